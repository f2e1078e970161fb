"""What an objective holds beside the batch: masks, tables, and their size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..torch.parts import Parts


@dataclass(frozen=True)
class Context:
    """A tensor that the objective holds, such as a mask or a table."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int

    @property
    def rows(self) -> int:
        return self.shape[0] if self.shape else 1

    @property
    def entries(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Batch:
    """The tensors that a call was given, together."""

    bytes: int = 0
    entries: int = 0

    def __add__(self, other: Batch) -> Batch:
        return Batch(self.bytes + other.bytes, self.entries + other.entries)

    @classmethod
    def of(cls, given: Iterable[Tensor]) -> Batch:
        once = {id(tensor): tensor for tensor in given}.values()
        return cls(sum(map(bytes_of, once)), sum(tensor.numel() for tensor in once))


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in nested tuples, lists, mappings and dataclasses."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for one in cast(Mapping[Any, Any], value).values():
            yield from tensors_in(one)
    elif isinstance(value, tuple | list):
        for one in cast(tuple[Any, ...], value):
            yield from tensors_in(one)
    elif is_dataclass(value):
        for one in fields(value):
            yield from tensors_in(getattr(value, one.name, None))


def bytes_of(tensor: Tensor) -> int:
    """The memory of a tensor: what is spread out by a view counts once, and of a sparse one what it stores."""
    if tensor.layout is torch.strided and type(tensor) in (Tensor, nn.Parameter):
        return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())
    if tensor.layout is torch.sparse_coo:
        return bytes_of(tensor._indices()) + bytes_of(tensor._values())
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return sum(map(bytes_of, (tensor.crow_indices(), tensor.col_indices(), tensor.values())))
    if tensor.layout in (torch.sparse_csc, torch.sparse_bsc):
        return sum(map(bytes_of, (tensor.ccol_indices(), tensor.row_indices(), tensor.values())))
    return tensor.numel() * tensor.element_size()


def contexts_of(module: nn.Module) -> dict[str, Context]:
    """The tensors that a module holds itself, and those of parts that hold buffers alone."""
    found: dict[str, Any] = {}
    held = [("", module)]
    for name, part in module.named_children():
        if next(part.parameters(), None) is None:
            held += [(f"{name}.{inner}." if inner else f"{name}.", one) for inner, one in part.named_modules()]
    for prefix, one in held:
        names = [name for name, _ in (*one.named_parameters(recurse=False), *one.named_buffers(recurse=False))]
        found |= {
            prefix + name: getattr(one, name) for name in names if not (isinstance(one, Parts) and name == "step")
        }
    # A number's mirror is a buffer, but its name gives the number.
    return {
        name: Context(name, tuple(value.shape), str(value.dtype).removeprefix("torch."), bytes_of(value))
        for name, value in found.items()
        if isinstance(value, Tensor)
    }


__all__ = ["Batch", "Context", "contexts_of", "tensors_in"]
