"""What a formula computes, as values that each depend on earlier ones: no text, no framework, no numbers yet.

`analysis` turns a tree into this graph, checking all that can be known before a value is seen; `planning` breaks
sums of products into pairs; `codegen` writes one function from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from ..errors import FormulaError, Place, ShapeError
from .tree import Span

Axes = tuple[str, ...]

REST = "..."
SAMPLE = "*"
"""The axis of the samples in a condition: always first, never written, shared by all that has it."""


@dataclass(frozen=True)
class Kind:
    """What is known of a value before it is computed.

    Args:
        axes: names of its axes in the order in which they lie; () has none; None: not declared.
        written: the orders of the named values written inside, in reading order.
        data: whether it comes from an input; else it is context.
        dtype: `number` (a Python number), `float`, `int` (32 or 64 bits), `small` (booleans and below), `complex`
            (refused where it is read), `any`, or `assumed`: an input, taken for floats where it is computed with.
        sample: not declared, and the samples are its first axis.
        shape: not declared; two values with the same mark have the same shape.
        kept: axes of size 1 that a reduction with `keepdims=True` left, as written.
        unless: values that met it since; with axes of their own they undo `kept`.
        position: whether it is made of the positions along its axes alone; such values cross freely.
        tensor: whether it is known to be a tensor or a number, not a tuple or a dict.
    """

    axes: Axes | None = None
    written: tuple[Axes, ...] = ()
    data: bool = True
    dtype: str = "float"
    sample: bool = False
    shape: int | None = None
    kept: tuple[int, ...] = ()
    unless: tuple[Value, ...] = ()
    position: bool = False
    tensor: bool = True

    @property
    def number(self) -> bool:
        return self.dtype == "number"

    @property
    def declared(self) -> bool:
        """Whether it has named axes, the one of the samples aside."""
        return self.axes is not None and self.axes not in ((), (SAMPLE,))

    @property
    def scalar(self) -> bool:
        """Whether it is known to have no axes, per sample."""
        return self.axes in ((), (SAMPLE,))

    @property
    def names(self) -> Axes:
        """The names without the axis of the samples."""
        return tuple(name for name in self.axes or () if name != SAMPLE)


NUMBER = Kind(axes=(), data=False, dtype="number")


@dataclass(frozen=True, eq=False)
class Guard:
    """A check that runs before a value is computed: `check` names it, `facts` are what it needs to know."""

    check: str
    args: tuple[Value, ...]
    facts: tuple[object, ...]
    span: Span


@dataclass(frozen=True, eq=False)
class Value:
    """One value: an operation on earlier values, with constants in `facts`."""

    op: str
    args: tuple[Value, ...]
    facts: tuple[object, ...]
    kind: Kind
    span: Span
    guards: tuple[Guard, ...] = ()


class Graph:
    """The values of a formula while it is read; the same operation on the same values is one value."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._known: dict[tuple[object, ...], Value] = {}
        self.expanded: dict[tuple[object, ...], Value] = {}
        self.trusted = False  # whether shapes are known to fit, so that nothing needs a check
        self._shapes = 0

    def value(
        self,
        op: str,
        args: Iterable[Value],
        facts: tuple[object, ...],
        kind: Kind,
        span: Span,
        guards: Iterable[Guard] = (),
    ) -> Value:
        """The value of an operation; a second time it is the first one again."""
        args = tuple(args)
        # 1, 1.0 and True are equal, yet they are different constants.
        key = (op, tuple(map(id, args)), facts, tuple(type(fact) for fact in facts), kind.axes, kind.data)
        if key not in self._known:
            self._known[key] = Value(op, args, facts, kind, span, () if self.trusted else tuple(guards))
        return self._known[key]

    def values(self) -> list[Value]:
        """All values, in the order in which they came up."""
        return list(self._known.values())

    def number(self, value: float | int | bool, span: Span) -> Value:
        return self.value("constant", (), (value,), NUMBER, span)

    def new_shape(self) -> int:
        """A mark for a shape about which nothing is known."""
        self._shapes += 1
        return self._shapes

    def error(
        self, what: str, span: Span, got: str = "", fix: str = "", kind: type[FormulaError] = FormulaError
    ) -> FormulaError:
        return kind(what, Place(self.text, *span), got, fix)

    def shape_error(self, what: str, span: Span, got: str = "", fix: str = "") -> FormulaError:
        return self.error(what, span, got, fix, ShapeError)

    def written_at(self, span: Span) -> str:
        return self.text[span[0] : span[1]]


def with_kind(kind: Kind, **changes: object) -> Kind:
    return replace(kind, **changes)  # type: ignore[arg-type]


def in_order(roots: Iterable[Value], also: Callable[[Value], Iterable[Value]] | None = None) -> list[Value]:
    """All values that the roots need, each after those it depends on; the order of reading otherwise."""
    found: dict[int, Value] = {}
    waiting: list[tuple[Value, bool]] = [(root, False) for root in reversed(list(roots))]
    while waiting:
        value, ready = waiting.pop()
        if id(value) in found:
            continue
        if ready:
            found[id(value)] = value
            continue
        waiting.append((value, True))
        needs = [*value.args, *(arg for guard in value.guards for arg in guard.args), *(also(value) if also else ())]
        waiting.extend((need, False) for need in reversed(needs) if id(need) not in found)
    return list(found.values())
