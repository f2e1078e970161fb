"""Entries picked from Keras tensors, by numbers and by indices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import KerasTensor

from ..errors import KernelError
from ..formula import refusals
from ..formula.shapes import UNKNOWN
from .kernels import (
    BOOLEAN,
    FLOATS,
    WHOLE,
    Array,
    Sizes,
    Tensor,
    dtype_name,
    is_empty,
    ops,
    reshape,
    select,
    sizes,
    truth,
)


def pick(x: Array, index: Array, shared: int, new: int, rest: int, run: int | None) -> Array:
    """For each entry of `index` one entry of x: axes (shared, picked, rest) and (shared, new) give (shared, new, rest).

    `run` is the place of `...` among the shared axes, if it is one of them.
    """
    if index.dtype in FLOATS or index.dtype in BOOLEAN:
        raise refusals.fractional_pick(dtype_name(index))
    if run is not None:
        mine, others = len(x.shape) - shared - rest, len(index.shape) - shared - new + 1
        if mine != others:  # one of them is empty
            longer = sizes(x)[run : run + mine] or sizes(index)[run : run + others]
            x = x if mine else _repeated(x, run, longer)
            index = index if others else _repeated(index, run, longer)
        shared += max(mine, others) - 1
    index, inside = within(index, sizes(x)[shared])
    index = beside(x, index)
    if shared == 0:
        return only(ops.take(x, index, axis=0), inside, rest)
    lead, count, width = sizes(x)[:shared], sizes(x)[shared], sizes(x)[shared + 1 :]
    rows_of_lead = math.prod(lead)
    flat = reshape(index, (rows_of_lead, math.prod(sizes(index)[shared:])))
    starts = KerasTensor((None,), WHOLE) if rows_of_lead is UNKNOWN else ops.arange(rows_of_lead, dtype=WHOLE)
    starts = ops.expand_dims(ops.multiply(starts, 1 if count is UNKNOWN else count), 1)
    found = ops.take(reshape(x, (rows_of_lead * count, *width)), flat + starts, axis=0)
    return only(reshape(found, (*sizes(index), *width)), inside, rest)


def within(index: Array, size: Any) -> tuple[Array, Array | None]:
    """The index, checked; while a graph is captured also what says of each entry whether it is in range."""
    index = ops.cast(index, WHOLE)
    if size is UNKNOWN:  # that of a symbol: the run knows it
        return index, None
    inside = ops.logical_and(ops.greater_equal(index, 0), ops.less(index, size))
    holds = truth(ops.all(inside))
    if holds:
        return index, None
    if holds is None:
        return ops.where(inside, index, 0), inside
    raise out_of_range(index, size)


def beside(x: Array, index: Array) -> Array:
    """The index, as a symbol where x is one: its shape is all that matters then, and Keras would read its values."""
    symbolic = isinstance(x, KerasTensor) and not isinstance(index, KerasTensor)
    return KerasTensor(tuple(index.shape), WHOLE) if symbolic else index


def only(x: Array, inside: Array | None, rest: int) -> Array:
    """What was picked; entries from outside of the axis, which a captured graph cannot refuse, are NaN."""
    if inside is None:
        return x
    for _ in range(rest):
        inside = ops.expand_dims(inside, -1)
    if x.dtype in FLOATS:
        return ops.where(inside, x, ops.cast(math.nan, x.dtype))
    if x.dtype in BOOLEAN:
        return x
    lowest = max(-(2**31), np.iinfo(dtype_name(x)).min)
    return ops.where(inside, x, ops.cast(lowest, x.dtype))


def out_of_range(index: Array, size: Any) -> KernelError:
    low, high = (0, 0) if is_empty(index) else (int(ops.min(index)), int(ops.max(index)))
    return refusals.outside(low, high, size)


def _repeated(x: Array, place: int, shape: Sizes) -> Array:
    """x with further axes of these sizes, the first of them at `place`."""
    for _ in shape:
        x = ops.expand_dims(x, place)
    full = (*sizes(x)[:place], *shape, *sizes(x)[place + len(shape) :])
    return KerasTensor(reshape(x, full).shape, x.dtype) if isinstance(x, KerasTensor) else ops.broadcast_to(x, full)


def pick_one(x: Array, place: Any, dim: int) -> Array:
    """The entry of x at one place along an axis; the place is a number, or a tensor where a size is not yet known."""
    count = x.shape[dim]
    if isinstance(place, Tensor):
        index, inside = within(place, sizes(x)[dim])
        return only(ops.take(x, beside(x, index), axis=dim), inside, len(x.shape) - 1)
    if not math.isfinite(place) or place != int(place):
        raise refusals.fractional_place(place)
    if place < 0 or (count is not None and place >= count):
        raise refusals.outside(int(place), int(place), count)
    return select(x, dim, int(place))
