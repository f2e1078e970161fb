"""Functions that take entries or put values together, in `keras.ops`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from ..formula import refusals
from .kernels import BOOLEAN, FLOATS, Array, broadcast, dtype_name, ops, sizes
from .picks import beside, only, within


def take(values: tuple[Any, Array], axis: int) -> Array:
    """The entries at an index; of a table's source as it hands them out."""
    x, index = values
    held = not hasattr(x, "rows")  # which torch.compile understands, and `isinstance(x, Tensor)` it does not
    if index.dtype in FLOATS or index.dtype in BOOLEAN:
        raise refusals.fractional_entries(dtype_name(index))
    index, inside = within(index, sizes(x)[axis] if held else x.shape[axis])
    found = ops.take(x, beside(x, index), axis=axis) if held else x.rows(index)
    if inside is None:
        return found
    shape = [1] * len(x.shape)
    shape[axis] = -1
    return only(found, ops.reshape(inside, shape), 0)


def concat(values: tuple[Array, ...], axis: int) -> Array:
    return ops.concatenate(_promoted(values), axis)


def stack(values: tuple[Array, ...], axis: int) -> Array:
    largest = max(values, key=lambda value: len(value.shape))
    wide = [value if value.shape == largest.shape else broadcast(value, largest) for value in values]
    return ops.stack(_promoted(wide), axis)


def _promoted(values: Sequence[Array]) -> list[Array]:
    dtype = keras.backend.result_type(*(value.dtype for value in values))
    return [ops.cast(value, dtype) for value in values]


def last(values: tuple[Array], axis: int) -> Array:
    return ops.take(values[0], -1, axis=axis)


def expand_as(values: tuple[Array, Array], _: int) -> Array:
    return broadcast(values[0], values[1])
