"""Calls of the functions: how each kind treats axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import ShapeError, did_you_mean
from . import functions as numpy_functions
from .functions import ALONG, ELEMENTWISE, PAIR, REDUCTIONS, calculated, cast_to, selected, truth
from .given import Given, numbered_axis
from .meeting import check_apart, spread, together
from .structure import structured
from .values import Array, Named, Order, Term, derived, describe, floating


def called(given: Given) -> Named:
    """The value of a call."""
    kind = given.function.kind
    if kind == "elementwise":
        return _elementwise(given)
    if kind == "reduction":
        return _several(given) if given.function.variadic and len(given.terms) > 1 else _reduction(given)
    if kind in ("along", "pair"):
        return _along(given)
    return structured(given)


def _elementwise(given: Given) -> Named:
    name, x = given.function.name, given.first
    if name == "where":
        return _where(given)
    if name == "clamp":
        return _clamp(given)
    if name == "cast":
        out = cast_to(x.array, str(given.options.get("dtype", given.function.options["dtype"])))
    else:
        out = ELEMENTWISE[name](x.array)
    return derived(out, x.axes, [x], x.kept)


def _where(given: Given) -> Named:
    condition, x, y = given.terms
    span = given.site.span
    check_apart(given.terms, given.rules, span)
    values = together([x, y], given.rules, span, crossing=False)
    like = together([condition, Term(values, x.node)], given.rules, span, stretch=True, crossing=False)
    chosen = selected(spread(x.value, like), spread(y.value, like))
    return _joined(np.where(truth(spread(condition.value, like)), *chosen), like, given.terms)


def _clamp(given: Given) -> Named:
    bounds = [(name, given.extra[name]) for name in ("low", "high") if name in given.extra]
    terms = (*given.terms, *(term for _, term in bounds))
    if not bounds:
        raise given.site.error("`clamp` wants a bound.", "neither low nor high", f"write clamp({given.words(0)}, 0, 1)")
    like = together(terms, given.rules, given.site.span)
    out = spread(given.first, like)
    for name, term in bounds:
        out = calculated("max" if name == "low" else "min", out, spread(term.value, like))
    return _joined(numpy_functions.computing(out), like, terms)


def _several(given: Given) -> Named:
    """`max` or `min` of several values, entry by entry."""
    if given.options or given.extra:
        raise given.site.error(
            f"`{given.function.name}` of several values has no keywords.",
            ", ".join([*given.options, *given.extra]),
            f"reduce one value: {given.function.name}({given.words(0)}, ...)",
        )
    like = together(given.terms, given.rules, given.site.span)
    out = spread(given.first, like)
    for term in given.terms[1:]:
        out = calculated(given.function.name, out, spread(term.value, like))
    return _joined(out, like, given.terms)


def _joined(out: Array, like: Named, terms: Sequence[Term]) -> Named:
    return derived(out, like.axes, [term.value for term in terms], like.kept)


def _reduction(given: Given) -> Named:
    name, terms = given.function.name, given.terms
    like = together(terms, given.rules, given.site.span, stretch=name == "weighted_mean")
    if "where" in given.extra:
        like = together([Term(like, terms[0].node), given.extra["where"]], given.rules, given.site.span, stretch=True)
    names, dimensions = _reduced(given, like)
    rows = [_rows(spread(term.value, like), dimensions) for term in terms]
    keep = np.broadcast_to(np.True_, rows[0].shape)
    if "where" in given.extra:
        keep = _rows(truth(spread(given.extra["where"].value, like)), dimensions)
    if name in ("max", "min") and not keep.any(-1).all():
        raise given.site.error(
            f"`{name}` of no entries has no value.",
            f"{given.words(0)} {describe(given.first)}" + (", all left out by `where`" if rows[0].shape[-1] else ""),
            "let `where` keep an entry in each row" if rows[0].shape[-1] else "give at least one entry",
        )
    out = numpy_functions.weighted_mean(*rows) if name == "weighted_mean" else REDUCTIONS[name](rows[0], keep)
    operands = [*(term.value for term in terms), *(term.value for term in given.extra.values())]
    if like.axes is not None:
        return derived(out, tuple(axis for axis in like.axes if axis not in names), operands)
    if given.options.get("keepdims"):
        return derived(np.expand_dims(out, dimensions), None, operands, tuple(sorted({*like.kept, *dimensions})))
    left = [axis for axis in range(like.array.ndim) if axis not in dimensions]
    return derived(out, None, operands, tuple(left.index(axis) for axis in like.kept if axis in left))


def _rows(array: Array, dimensions: tuple[int, ...]) -> Array:
    """The reduced dimensions flattened into one, the last."""
    count = len(dimensions)
    moved = np.moveaxis(array, dimensions, range(array.ndim - count, array.ndim))
    size = int(np.prod([array.shape[dimension] for dimension in dimensions], dtype=np.int64))
    return moved.reshape((*moved.shape[: array.ndim - count], size))


def _reduced(given: Given, like: Named) -> tuple[Order, tuple[int, ...]]:
    """The names and the dimensions that a reduction loses."""
    if like.axes is not None:
        names = _named(given, like) or like.axes
        places = like.places()
        return names, tuple(place for name in names for place in places[name])
    _refuse_names(given)
    if "axis" not in given.options:
        return (), tuple(range(like.array.ndim))
    return (), (numbered_axis(given, like.shape),)


def _named(given: Given, like: Named) -> Order:
    """The names of axes written in the call, each once, each held by the value."""
    assert like.axes is not None
    numbered = [key for key in ("axis", "keepdims") if key in given.options]
    if numbered:
        raise given.site.error(
            f"declared values are reduced by name; `{numbered[0]}` is for undeclared ones.",
            f"{given.words(0)} {describe(like)}",
            f"name the axis: {given.function.name}({given.words(0)}, {like.axes[-1] if like.axes else 'k'})",
            ShapeError,
        )
    names: list[str] = []
    for node in given.axes:
        if node.id not in like.axes or node.id in names:
            twice = node.id in names
            raise given.site.at(node).error(
                f"the axis `{node.id}` is written twice." if twice else f"the value has no axis `{node.id}`.",
                f"{given.words(0)} {describe(like)}",
                "write it once"
                if twice
                else did_you_mean(node.id, like.axes, "use one of its axes, or name them anew"),
                ShapeError,
            )
        names.append(node.id)
    return tuple(names)


def _refuse_names(given: Given) -> None:
    if given.axes:
        names = ", ".join(node.id for node in given.axes)
        count = given.first.array.ndim
        own = ", ".join([*(f"a{place}" for place in range(1, count)), given.axes[0].id])
        raise given.site.error(
            "the axes of the value are not named.",
            f"{given.words(0)} {describe(given.first)}",
            f"name them first: {given.function.name}({given.words(0)}[{own}], {names})",
            ShapeError,
        )


def _along(given: Given) -> Named:
    """What runs along one axis: `softmax` and its like keep it, `dot` and its like lose it."""
    name = given.function.name
    like = together(given.terms, given.rules, given.site.span)
    terms = list(given.terms)
    if "where" in given.extra:
        terms.append(given.extra["where"])
        like = together([Term(like, terms[0].node), terms[-1]], given.rules, given.site.span, stretch=True)
    place = _one_place(given, like)
    rows = [np.moveaxis(spread(term.value, like), place, -1) for term in terms]
    axes = like.axes
    if name in PAIR:
        axes = None if axes is None else tuple(axis for axis in axes if like.places()[axis] != (place,))
        return derived(PAIR[name](rows[0], rows[1]), axes, [term.value for term in terms])
    keep = truth(rows[1]) if len(rows) > 1 else np.broadcast_to(np.True_, rows[0].shape)
    return _joined(np.moveaxis(ALONG[name](floating(rows[0]), keep), -1, place), like, terms)


def _one_place(given: Given, like: Named) -> int:
    if like.axes is None:
        _refuse_names(given)
        return numbered_axis(given, like.shape)
    names = _named(given, like)
    for term in given.terms:
        if len(names) == 1 and names[0] not in (term.value.axes or ()):
            raise given.site.at(term.node).error(
                f"the value has no axis `{names[0]}`.",
                f"{given.site.at(term.node).words} {describe(term.value)}",
                f"`{given.function.name}` wants values that have the axis it runs along",
                ShapeError,
            )
    if len(names) != 1:
        words = ", ".join(given.words(place) for place in range(len(given.terms)))
        raise given.site.error(
            f"`{given.function.name}` of declared values runs along one named axis.",
            f"{len(names)} names, {words} {describe(like)}",
            f"write {given.function.name}({words}, {like.axes[-1] if like.axes else 'k'})",
            ShapeError,
        )
    return like.places()[names[0]][0]
