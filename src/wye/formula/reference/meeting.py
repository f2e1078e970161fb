"""How values meet: by name where their axes are declared, strictly by shape where they are not."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import FormulaError, ShapeError
from .. import shapes
from ..shapes import Shape
from ..tree import Node, Span
from .cure import named_axes
from .values import REST, Array, Named, Order, Site, Term, derived, describe

SHORT = 30


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds where an operation stands.

    Args:
        text: the formula.
        strict: whether undeclared values meet strictly.
        meant: whether values may cross here.
        most: the most elements that a value may have.
    """

    text: str
    strict: bool
    meant: bool
    most: int

    def check_room(self, shape: Shape, span: Span) -> None:
        count = math.prod(shape)
        if count > self.most:
            raise Site(self.text, span).error(
                "the value would have too many elements.",
                f"{shape}: {count:,} elements, of at most {self.most:,}",
                "reduce an axis first, or give fewer entries at a time",
                ShapeError,
            )


def together(terms: Sequence[Term], rules: Rules, span: Span, stretch: bool = False, crossing: bool = True) -> Named:
    """What several values become together, met from the left: axes and shape, with no entries yet."""
    if crossing:
        check_apart(terms, rules, span)
    first, *others = terms
    met = first
    for term in others:
        met = Term(_meet(met, term, rules, span, stretch), Node(span=(first.node.span[0], term.node.span[1])))
    return _blank(met.value.shape, met.value.axes, [term.value for term in terms], met.value.kept)


def spread(value: Named, like: Named) -> Array:
    """The array of a value, laid out along all axes of `like`."""
    array = value.array
    if like.axes is not None and value.axes is not None:
        array = laid_out(value, like.axes, len(like.places().get(REST, ())))
    elif like.axes is not None or shapes.broadcast(array.shape, like.shape) != like.shape:
        array = array.reshape(())
    return np.broadcast_to(array, like.shape)


def laid_out(value: Named, axes: Order, rest: int) -> Array:
    """The array with one dimension for each of `axes` (`rest` of them for `...`), of size 1 where it lacks the axis."""
    places = value.places()
    held = tuple(name for name in axes if places.get(name))
    array = value.array.transpose([place for name in held for place in places[name]])
    shape: list[int] = []
    sizes = value.sizes()
    for name in axes:
        shape.extend(sizes[name] if name in held else (1,) * (rest if name == REST else 1))
    return array.reshape(shape)


def check_crossing(terms: Sequence[Term], rules: Rules, span: Span) -> None:
    """Refuse two values that each have a name which no other value here has, unless that is meant.

    Of two values this says that each has a name the other lacks; of factors, that two names each occur in one factor
    only. Positions bring their names freely, and `...` is no name.
    """
    real = [term for term in terms if term.value.axes and not term.value.position]
    counts = Counter(name for term in real for name in term.value.axes or ())
    lonely = [t for t in real if any(counts[name] == 1 and name != REST for name in t.value.axes or ())]
    if len(lonely) > 1 and not rules.meant:
        raise _crossing(lonely[0], lonely[1], rules, span)


def check_apart(terms: Sequence[Term], rules: Rules, span: Span) -> None:
    """Refuse two names that no value here has together: what check_crossing says of two values, for any number."""
    real = [term for term in terms if term.value.axes and not term.value.position]
    held = [set(term.value.axes or ()) - {REST} for term in real]
    for first, ours in enumerate(held):
        for second, theirs in enumerate(held[:first]):
            strange = [(a, b) for a in ours - theirs for b in theirs - ours]
            if not rules.meant and any(not any({a, b} <= names for names in held) for a, b in strange):
                raise _crossing(real[second], real[first], rules, span)


def _blank(shape: Shape, axes: Order | None, operands: Sequence[Named], kept: tuple[int, ...] = ()) -> Named:
    return derived(np.broadcast_to(np.False_, shape), axes, operands, kept)


def _meet(left: Term, right: Term, rules: Rules, span: Span, stretch: bool) -> Named:
    a, b = left.value, right.value
    if a.axes is None and b.axes is None:
        shape, axes, kept = _met_shape(left, right, rules, span, stretch), None, ()
        kept = _kept(a, b, shape)
    elif a.axes is None or b.axes is None:
        shape, axes = _met_mixed(left, right, rules, span)
        kept = ()
    else:
        shape, axes = _met_names(left, right, a.axes, b.axes, rules, span)
        kept = ()
    rules.check_room(shape, span)
    return _blank(shape, axes, [a, b], kept)


def _met_shape(left: Term, right: Term, rules: Rules, span: Span, stretch: bool) -> Shape:
    a, b = left.value, right.value
    shape = shapes.met(a.operand, b.operand, stretch) if rules.strict else shapes.broadcast(a.shape, b.shape)
    if shape is None:
        raise _shape_error(left, right, rules, span)
    return shape


def _kept(left: Named, right: Named, shape: Shape) -> tuple[int, ...]:
    """Axes stay kept while nothing but 0-dim values, context and other kept axes have met them."""
    if not right.shape or (left.data and not right.data):
        kept = left.kept
    elif not left.shape or (right.data and not left.data):
        kept = right.kept
    else:
        kept = tuple(set(left.kept) & set(right.kept))
    return tuple(sorted(axis for axis in kept if axis < len(shape) and shape[axis] == 1))


def _met_mixed(left: Term, right: Term, rules: Rules, span: Span) -> tuple[Shape, Order | None]:
    declared, bare = (left.value, right.value) if left.value.axes is not None else (right.value, left.value)
    if not bare.shape or (bare.array.size == 1 and not bare.data):
        return declared.shape, declared.axes
    if not declared.axes:
        return bare.shape, None
    other = left if bare is left.value else right
    names = ", ".join(declared.axes[: bare.array.ndim]) if len(declared.axes) >= bare.array.ndim else "..."
    raise Site(rules.text, span).error(
        f"{_called(left, rules, 'the left side')} and {_called(right, rules, 'the right side')} do not meet: "
        "only one of them has named axes.",
        _both(left, right, rules),
        f"name the axes of the other: {_atom(Site(rules.text, other.node.span).words)}[{names}]",
        ShapeError,
    )


def _met_names(
    left: Term, right: Term, first: Order, second: Order, rules: Rules, span: Span
) -> tuple[Shape, tuple[str, ...]]:
    mine, others = left.value.sizes(), right.value.sizes()
    names = (*first, *(name for name in second if name not in first))
    for name in first:
        if name in others and mine[name] != others[name] and not (name == REST and () in (mine[name], others[name])):
            raise Site(rules.text, span).error(
                f"`{name}` has two sizes." if name != REST else "the axes behind `...` differ.",
                _both(left, right, rules),
                "give equal sizes, or another name to one of the two",
                ShapeError,
            )
    shape = tuple(size for name in names for size in (mine.get(name) or others.get(name) or ()))
    return shape, names


def _crossing(left: Term, right: Term, rules: Rules, span: Span) -> FormulaError:
    words = Site(rules.text, span).words
    names = list(dict.fromkeys((*(left.value.axes or ()), *(right.value.axes or ()))))
    shared = [name for name in names if name in (left.value.axes or ()) and name in (right.value.axes or ())]
    return Site(rules.text, span).error(
        f"{_called(left, rules, 'the left side')} and {_called(right, rules, 'the right side')} cross: "
        "each has an axis that the other lacks.",
        _both(left, right, rules),
        f"name the result, value[{', '.join(names)}] = {words}, or reduce: sum({words}, {(shared or names)[-1]})",
        ShapeError,
    )


def _shape_error(left: Term, right: Term, rules: Rules, span: Span) -> FormulaError:
    a, b = left.value.shape, right.value.shape
    free = shapes.broadcast(a, b)
    if free is None:
        end = "have different shapes."
    elif free in (a, b):
        end = "have different shapes, and one would stretch."
    else:
        end = "would broadcast to something larger than both."
    return Site(rules.text, span).error(
        f"{_called(left, rules, 'the left side')} and {_called(right, rules, 'the right side')} {end}",
        _both(left, right, rules) + ("" if free is None else f" -> {free}"),
        named_axes(rules.text, span, (left.node, a), (right.node, b)),
        ShapeError,
    )


def _called(term: Term, rules: Rules, otherwise: str) -> str:
    words = Site(rules.text, term.node.span).words
    return f"`{words}`" if len(words) <= SHORT and "\n" not in words else otherwise


def _both(left: Term, right: Term, rules: Rules) -> str:
    names = [_called(left, rules, "left"), _called(right, rules, "right")]
    return ", ".join(
        f"{name.strip('`')} {describe(term.value)}" for name, term in zip(names, (left, right), strict=True)
    )


def _atom(words: str) -> str:
    return words if words.replace("_", "").isalnum() else f"({words})"
