"""A value inside the interpreter: an array, the names of its axes, and the orders in which those were written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ...errors import FormulaError, Place, ShapeError
from ..shapes import Operand, Shape
from ..tree import Node, Span

Array = npt.NDArray[Any]
Order = tuple[str, ...]

REST = "..."


@dataclass(frozen=True, slots=True)
class Named:
    """An array and what the language knows of it.

    Args:
        array: the entries.
        axes: a name for each axis, `...` for any number of them; None where none was declared.
        written: the orders of all named values written inside, as they were read.
        data: whether it comes from an input.
        kept: the axes that a reduction kept at size 1.
        number: whether it is made of plain numbers alone.
        position: whether it is made of positions (and numbers) alone.
    """

    array: Array
    axes: Order | None = None
    written: tuple[Order, ...] = ()
    data: bool = False
    kept: tuple[int, ...] = ()
    number: bool = False
    position: bool = False

    @property
    def shape(self) -> Shape:
        return self.array.shape

    @property
    def operand(self) -> Operand:
        return Operand(self.shape, self.data, self.kept)

    def places(self) -> dict[str, tuple[int, ...]]:
        """The dimensions that each name stands for."""
        axes = self.axes or ()
        rest = self.array.ndim - (len(axes) - 1)
        found: dict[str, tuple[int, ...]] = {}
        start = 0
        for name in axes:
            stop = start + (rest if name == REST else 1)
            found[name] = tuple(range(start, stop))
            start = stop
        return found

    def sizes(self) -> dict[str, Shape]:
        """The sizes of the dimensions that each name stands for."""
        return {name: tuple(self.shape[place] for place in places) for name, places in self.places().items()}

    def candidates(self) -> tuple[Order, ...]:
        """The orders of the written values that hold all the names, restricted to these."""
        names = set(self.axes or ())
        holding = (order for order in self.written if names <= set(order))
        return tuple(dict.fromkeys(tuple(name for name in order if name in names) for order in holding))

    def transposed(self, order: Order) -> Named:
        """The same value with its axes in another order."""
        places = self.places()
        dimensions = [place for name in order for place in places[name]]
        return replace(self, array=self.array.transpose(dimensions), axes=order, kept=())


@dataclass(frozen=True, slots=True)
class Items:
    """A tuple or a dict, of which items are picked by number or by key."""

    items: Sequence[object] | Mapping[object, object]
    data: bool


@dataclass(frozen=True, slots=True)
class Part:
    """A callable."""

    call: Callable[..., object]


@dataclass(frozen=True, slots=True)
class Term:
    """A value, and where it is written."""

    value: Named
    node: Node


@dataclass(frozen=True, slots=True)
class Site:
    """A piece of the text, which errors point at."""

    text: str
    span: Span

    def at(self, node: Node) -> Site:
        return Site(self.text, node.span)

    @property
    def words(self) -> str:
        return self.text[slice(*self.span)]

    @property
    def place(self) -> Place:
        return Place(self.text, *self.span)

    def error(self, what: str, got: str, fix: str, kind: type[FormulaError] = FormulaError) -> FormulaError:
        return kind(what, self.place, got, fix)


def number(value: float) -> Named:
    """A plain number; a whole one stays whole while 64 bits hold it."""
    if isinstance(value, bool):
        return Named(np.asarray(value), number=True)
    whole = isinstance(value, int) and -(2**63) <= value < 2**63
    return Named(np.asarray(value, np.int64 if whole else np.float64), number=True)


def derived(array: Array, axes: Order | None, operands: Sequence[Named], kept: tuple[int, ...] = ()) -> Named:
    """What comes out of an operation: its axes stand in the order of the first written value that has them all."""
    value = Named(
        np.asarray(array),
        axes,
        _orders(operands, axes or ()),
        any(operand.data for operand in operands),
        kept,
        all(operand.number for operand in operands),
        all(operand.number or operand.position for operand in operands) and any(o.position for o in operands),
    )
    if axes is None:
        return value
    appearing = dict.fromkeys(name for order in value.written for name in order if name in axes)
    return value.transposed(next(iter(value.candidates()), tuple(appearing)))


def _orders(operands: Sequence[Named], axes: Order) -> tuple[Order, ...]:
    """The orders written inside, without the axes that were lost on the way: a name reduced is a name of its own."""
    orders = (tuple(name for name in order if name in axes) for operand in operands for order in operand.written)
    return tuple(dict.fromkeys(order for order in orders if order))


def seen(value: Named, site: Site) -> Named:
    """The value in the one order that a part or a renaming sees."""
    if value.axes is not None and len(value.axes) > 1 and len(value.candidates()) != 1:
        names = ", ".join(value.axes)
        raise site.error(
            "the order of the axes is not settled.",
            f"axes {names}, written in " + (" and ".join(map(describe_axes, value.candidates())) or "no one value"),
            f"name the result first: value[{names}] = {site.words}",
            ShapeError,
        )
    return value


def describe_axes(order: Order) -> str:
    return f"[{', '.join(order)}]"


def describe(value: Named) -> str:
    """Axes, where declared, and shape: `[b, k] (64, 10)`."""
    return (describe_axes(value.axes) + " " if value.axes else "") + str(value.shape)


def floating(array: Array) -> Array:
    return array.astype(np.float64)


def computing(array: Array) -> Array:
    """The array as arithmetic takes it: booleans and integers below 32 bits become floats."""
    if array.dtype.kind == "f" or array.dtype == np.bool_ or array.dtype.itemsize < 4:
        return floating(array)
    return array.astype(np.int64)


def taken_in(value: object, data: bool, site: Site) -> Named | Items | Part:
    """A value from outside, as the interpreter holds it."""
    if isinstance(value, (Named, Items, Part)):
        return value
    if isinstance(value, (bool, int, float)) and not isinstance(value, np.generic):
        return number(value)
    if isinstance(value, Mapping):
        return Items(cast("Mapping[object, object]", value), data)
    if isinstance(value, (tuple, list)):
        return Items(cast("Sequence[object]", value), data)
    if callable(value):
        return Part(value)
    try:
        array = np.asarray(value)
    except Exception as error:
        raise _no_array(value, site) from error
    if array.dtype.kind not in "fbiu":
        raise _no_array(value, site)
    if array.dtype.kind == "f":
        array = floating(array)
    elif array.dtype.kind in "iu" and array.dtype.itemsize >= 4:
        array = array.astype(np.int64)
    return Named(array, data=data)


def _no_array(value: object, site: Site) -> FormulaError:
    dtype = getattr(cast("Any", value), "dtype", None)
    kind = type(value).__name__ if dtype is None else f"an array of {dtype}"
    return site.error(
        f"`{site.words}` holds no real numbers.",
        kind,
        "give a number, an array of real numbers, or a tuple or dict of such",
    )


def given_back(value: Named | Items) -> object:
    """A value as the caller receives it: an array of its own, a scalar, or a Python number."""
    if isinstance(value, Items):
        if isinstance(value.items, tuple):
            return tuple(given_back(item) if isinstance(item, (Named, Items)) else item for item in value.items)
        return value.items
    if value.number:
        return bool(value.array) if value.array.dtype == np.bool_ else float(value.array)
    return np.array(value.array)[()]


def handed(value: Named | Items) -> object:
    """A value as a part receives it, its own to change."""
    if isinstance(value, Items):
        return given_back(value)
    return value.array.item() if value.number else np.array(value.array)
