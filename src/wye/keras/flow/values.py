"""The value that flows: a tensor, or a nested tuple or dict of tensors, the samples first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import KerasTensor

from ...errors import FlowError
from ..kernels import BOOLEAN, FLOATS, Array, Tensor, dtype_name, ops

Value = Any


def leaves(value: Value) -> list[Array]:
    """The tensors of a value, in their order."""
    return [leaf for leaf in keras.tree.flatten(value) if isinstance(leaf, Tensor)]


def mapped(function: Callable[..., Any], value: Value, *others: Value) -> Value:
    """The value with each tensor changed, in the same nest."""
    return keras.tree.map_structure(function, value, *others)


def is_symbol(value: Value) -> bool:
    return any(isinstance(leaf, KerasTensor) for leaf in keras.tree.flatten(value))


def batch_size(value: Value, where: str) -> int | None:
    """The number of samples; None where it is not known before the run.

    Raises:
        FlowError: there is no tensor, one has no axes, or two differ in length.
    """
    found = leaves(value)
    if not found:
        raise FlowError(
            "the value that flows holds no tensor.", where, shapes(value), "give a tensor, its samples first"
        )
    if any(len(tensor.shape) == 0 for tensor in found):
        fix = "put the batch axis first; what all samples share goes by name, as a side input"
        raise FlowError("the value that flows has a tensor without a batch axis.", where, shapes(value), fix)
    sizes = {tensor.shape[0] for tensor in found} - {None}
    if len(sizes) > 1:
        fix = "put the batch axis first in each; what all samples share goes by name, as a side input"
        raise FlowError("the value that flows has tensors of different batch sizes.", where, shapes(value), fix)
    return next(iter(sizes), None)


def shapes(value: Value, start: int = 0) -> str:
    """The shapes of a value in its nest, from the axis `start` on, as errors show them."""
    if isinstance(value, Tensor):
        return str(tuple(value.shape)[start:])
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {shapes(item, start)}" for key, item in value.items()) + "}"  # pyright: ignore
    if isinstance(value, tuple | list):
        items = [shapes(item, start) for item in value]  # pyright: ignore[reportUnknownVariableType]
        return f"{type(value).__name__} of {', '.join(items) or 'nothing'}"  # pyright: ignore[reportUnknownArgumentType]
    return type(value).__name__


def truths(value: Array) -> Array:
    """Whether each entry holds; NaN, which nobody can refuse while a graph is captured, does not."""
    if value.dtype in BOOLEAN:
        return value
    return ops.logical_and(ops.not_equal(value, 0), ops.equal(value, value))


def alike(value: Value, other: Value, start: int = 0) -> bool:
    """Whether two values have the same nest and, from the axis `start` on, shapes that may be the same."""
    if isinstance(value, Tensor) and isinstance(other, Tensor):
        return fits(tuple(value.shape)[start:], tuple(other.shape)[start:])
    if isinstance(value, dict) and isinstance(other, dict):
        return value.keys() == other.keys() and all(alike(item, other[key], start) for key, item in value.items())  # pyright: ignore
    if isinstance(value, tuple | list) and isinstance(other, tuple | list):
        return len(value) == len(other) and all(map(lambda a, b: alike(a, b, start), value, other))  # pyright: ignore
    return type(value) is type(other)


def fits(shape: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Whether two shapes may be the same: a size that is not known yet fits any."""
    return len(shape) == len(other) and all(
        one == two or None in (one, two) for one, two in zip(shape, other, strict=False)
    )


def rows_alike(value: Value, size: int | None) -> bool:
    """Whether each tensor may have one row for each of `size` samples, and there is one."""
    found = leaves(value)
    return bool(found) and all(len(one.shape) and fits((one.shape[0],), (size,)) for one in found)


def floating(value: Value) -> str | None:
    """The dtype of the first tensor of floats."""
    return next((dtype_name(tensor) for tensor in leaves(value) if tensor.dtype in FLOATS), None)


def symbols(value: Value) -> Value:
    """Symbols of a value, of which nobody knows how many samples it has."""

    def symbol(tensor: Any) -> Any:
        if not isinstance(tensor, Tensor):
            return tensor
        shape = tuple(tensor.shape)
        return KerasTensor((None, *shape[1:]) if shape else shape, dtype_name(tensor))

    return keras.tree.map_structure(symbol, value)
