"""The value that flows: a tensor, or a nested tuple or dict of tensors, the samples first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ...errors import FlowError
from .. import routing

Value = Any


def leaves(value: Value) -> Iterator[Tensor]:
    """The tensors of a value, in their order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():  # pyright: ignore[reportUnknownVariableType]
            yield from leaves(item)
    elif isinstance(value, tuple | list):
        for item in value:  # pyright: ignore[reportUnknownVariableType]
            yield from leaves(item)


def mapped(function: Callable[..., Any], value: Value, *others: Value) -> Value:
    """The value with each tensor changed, in the same nest."""
    if isinstance(value, Tensor):
        return function(value, *others)
    if isinstance(value, dict):
        return {key: mapped(function, item, *(other[key] for other in others)) for key, item in value.items()}  # pyright: ignore
    if isinstance(value, tuple | list):
        items = [mapped(function, *row) for row in zip(value, *others, strict=True)]  # pyright: ignore
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)  # pyright: ignore
    return value


def batch_size(value: Value, where: str) -> int:
    """The number of samples.

    Raises:
        FlowError: there is no tensor, one has no axes, or two differ in length.
    """
    if isinstance(value, Tensor) and (shape := value.shape):
        return shape[0]
    sizes = [tensor.shape[0] if tensor.dim() else None for tensor in leaves(value)]
    if not sizes:
        raise FlowError(
            "the value that flows holds no tensor.", where, shapes(value), "give a tensor, its samples first"
        )
    if None in sizes:
        fix = "put the batch axis first; what all samples share goes by name, as a side input"
        raise FlowError("the value that flows has a tensor without a batch axis.", where, shapes(value), fix)
    if any(size != sizes[0] for size in sizes):
        fix = "put the batch axis first in each; what all samples share goes by name, as a side input"
        raise FlowError("the value that flows has tensors of different batch sizes.", where, shapes(value), fix)
    return int(sizes[0] or 0)


def take(value: Value, index: Tensor) -> Value:
    """The samples at `index`; tensors without axes stay as they are."""
    return mapped(lambda tensor: routing.take(tensor, index) if tensor.dim() else tensor, value)


def part(value: Value, index: Tensor) -> tuple[Value, Value]:
    """The samples at `index`, and the rest, which goes into `splice`."""
    if isinstance(value, Tensor):
        return routing.part(value, index)
    pairs = {id(tensor): routing.part(tensor, index) for tensor in leaves(value)}
    return mapped(lambda tensor: pairs[id(tensor)][0], value), mapped(lambda tensor: pairs[id(tensor)][1], value)


def splice(rest: Value, index: Tensor, new: Value) -> Value:
    """The rest with new samples at `index`; dtype and order stay."""
    return mapped(lambda old, rows: routing.splice(old, index, rows), rest, new)


def split(value: Value, indices: Sequence[Tensor]) -> list[Value]:
    """The samples at each index; together the indices name every sample once."""
    if isinstance(value, Tensor):
        return list(routing.split(value, indices))
    pieces = {id(tensor): routing.split(tensor, indices) for tensor in leaves(value)}
    return [mapped(lambda tensor, at=at: pieces[id(tensor)][at], value) for at in range(len(indices))]


def merge(indices: Sequence[Tensor], pieces: Sequence[Value], size: int | None = None) -> Value:
    """Pieces of a batch of some size, each with the places of its samples, in the order of the batch."""
    if len(pieces) == 1:
        return pieces[0]
    first, *others = pieces
    return mapped(lambda *rows: routing.merge(indices, rows, size), first, *others)


def shapes(value: Value, start: int = 0) -> str:
    """The shapes of a value in its nest, from the axis `start` on, as errors show them."""
    if isinstance(value, Tensor):
        return str(tuple(value.shape[start:]))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {shapes(item, start)}" for key, item in value.items()) + "}"  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, tuple | list):
        items = [shapes(item, start) for item in value]  # pyright: ignore[reportUnknownVariableType]
        return f"{type(value).__name__} of {', '.join(items) or 'nothing'}"  # pyright: ignore[reportUnknownArgumentType]
    return type(value).__name__


def alike(value: Value, other: Value, start: int = 0) -> bool:
    """Whether two values have the same nest and, from the axis `start` on, the same shapes."""
    if isinstance(value, Tensor) and isinstance(other, Tensor):
        return value.shape[start:] == other.shape[start:]
    if isinstance(value, dict) and isinstance(other, dict):
        return value.keys() == other.keys() and all(alike(item, other[key], start) for key, item in value.items())  # pyright: ignore
    if isinstance(value, tuple | list) and isinstance(other, tuple | list):
        return len(value) == len(other) and all(map(lambda a, b: alike(a, b, start), value, other))  # pyright: ignore
    return type(value) is type(other)


def rows_alike(value: Value, size: int) -> bool:
    """Whether each tensor has one row for each of `size` samples, and there is one."""
    lengths = {tensor.shape[0] if tensor.dim() else None for tensor in leaves(value)}
    return lengths == {size}


def floating(value: Value) -> torch.dtype | None:
    """The dtype of the first tensor of floats."""
    return next((tensor.dtype for tensor in leaves(value) if tensor.is_floating_point()), None)


def holds(dtype: torch.dtype, other: torch.dtype) -> bool:
    """Whether values of the other dtype may become this one; Dynamo runs this as it is."""
    return torch.can_cast(other, dtype)


holds._dynamo_marked_constant = True  # type: ignore[attr-defined]


def inhabited(value: Value, size: int) -> Value:
    """Within a capture, where it may be that no sample came, one row stands in: nobody goes by what is asked of it."""
    # Dynamo has it imported by now; whoever never captures is spared that.
    if not torch.fx.experimental.symbolic_shapes.guard_or_true(size == 0):  # pyright: ignore[reportAttributeAccessIssue]
        return value

    def with_one(tensor: Tensor) -> Tensor:
        if not tensor.dim():
            return tensor
        row = tensor.new_full((1, *tensor.shape[1:]), int(tensor.is_floating_point()))
        kept = torch.arange(torch.sym_max(size, 1), device=tensor.device)
        return torch.cat((tensor, row)).index_select(0, kept)

    return mapped(with_one, value)
