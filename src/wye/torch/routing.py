"""The rows of a batch: some are taken out and put back, or all are split among branches and merged again.

With I the rows taken, `take` returns x[I], and `splice` returns x with x[I] replaced; `split` returns x[I_k] for each k
of a partition, and `merge` puts such pieces together. Written as pairs, the backward is made of gathers as well:
nothing is filled with zeros first, and nothing is copied twice. The way back through `splice` hands on the whole
gradient, rows I included, which the `take` before it then overwrites.

The gradient that a `take` overwrites is written in place where nobody else holds it. A witness tells: a gradient of one
element that is made for this alone, and goes the same way at the same time. Whoever keeps a gradient, by a name, a
hook, a view or a second branch, adds to one of the counts of its holders, and the witness has fewer.

Those functions serve torch's eager autograd. Whatever else looks at the operations (capture, `torch.func`, forward
mode) gets plain `index_select` and `index_copy`, whose values and derivatives are the same.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import is_legacy_batchedtensor
from torch.autograd import Function, forward_ad

Context = Any


def others_differentiate() -> bool:
    """Whether something other than eager autograd looks at the operations."""
    return (
        torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0  # pyright: ignore[reportPrivateUsage]
    )


def take(x: Tensor, index: Tensor) -> Tensor:
    """The rows at `index`, each at most once; the backward puts the gradient among zeros."""
    if not x.requires_grad or others_differentiate() or not torch.is_grad_enabled():
        return x.index_select(0, index)
    return _Rows.apply(x, index)  # type: ignore[no-any-return]


def part(x: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """The rows at `index`, and the rest: x again, which must go into `splice` with the same index and nowhere else."""
    if not x.requires_grad or others_differentiate() or not torch.is_grad_enabled():
        return x.index_select(0, index), x
    rows, rest, witness = _Take.apply(x, index)  # type: ignore[misc]
    rest.witness = witness
    return rows, rest


def splice(rest: Tensor, index: Tensor, rows: Tensor) -> Tensor:
    """The rest with new rows at `index`.

    Args:
        rest: of `part`, of shape (B, ...).
        index: the rows, of shape (n,), each once.
        rows: of shape (n, ...) and the dtype of the rest.
    """
    if others_differentiate() or not torch.is_grad_enabled():
        return rest.index_copy(0, index, rows)
    witness = getattr(rest, "witness", None)
    if witness is None:
        witness = rest.new_empty(1)
    return _Splice.apply(rest, witness, index, rows)  # type: ignore[no-any-return]


def split(x: Tensor, indices: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The rows at each index; together the indices name every row once."""
    if not x.requires_grad or others_differentiate() or not torch.is_grad_enabled():
        return tuple(x.index_select(0, index) for index in indices)
    return _Split.apply(x, *indices)  # type: ignore[no-any-return]


def merge(indices: Sequence[Tensor], pieces: Sequence[Tensor], size: int | None = None) -> Tensor:
    """The pieces, each at its rows; together the indices name every row once.

    A capture, in which nobody knows how many rows each piece has, must be told how many they have together: inductor
    plans the result of `cat` before it knows.
    """
    if size is not None and torch.compiler.is_compiling():
        out = pieces[0].new_zeros((size, *pieces[0].shape[1:]))
        for index, piece in zip(indices, pieces, strict=True):
            out = out.index_copy(0, index, piece)
        return out
    if others_differentiate() or not torch.is_grad_enabled():
        return _placed(together(pieces), indices, pieces)
    return _Merge.apply(len(indices), *indices, *pieces)  # type: ignore[no-any-return]


def together(pieces: Sequence[Tensor]) -> tuple[int, ...]:
    """The shape of the pieces together."""
    return (sum(map(len, pieces)), *pieces[0].shape[1:])


def _placed(shape: Sequence[int], indices: Sequence[Tensor], pieces: Sequence[Tensor]) -> Tensor:
    """The pieces at their rows in a new tensor, in one pass."""
    if torch.is_grad_enabled() or others_differentiate():  # a backward that is itself differentiated, or batched
        order = torch.argsort(torch.cat(list(indices)))
        return torch.cat(list(pieces)).index_select(0, order)
    out = pieces[0].new_empty(shape)
    for index, piece in zip(indices, pieces, strict=True):
        out.index_copy_(0, index, piece)
    return out


def is_ours(grad: Tensor, refs: int, witness: Tensor, witness_refs: int) -> bool:
    """Whether nobody but the backward holds a gradient: it counts as many holders as a witness that nobody else has.

    Args:
        grad: the gradient.
        refs: how many names Python has for it.
        witness: a gradient that was made for this, and has come the same way.
        witness_refs: how many names Python has for that one, counted where the others were.
    """
    if type(grad) is not Tensor or others_differentiate() or is_legacy_batchedtensor(grad) or torch.is_grad_enabled():
        return False
    storage, other = grad.untyped_storage(), witness.untyped_storage()
    if not grad.is_contiguous() or not storage.resizable() or (storage.device.type == "cpu" and storage.is_shared()):
        return False
    found = refs, sys.getrefcount(storage), grad._use_count(), torch._C._storage_Use_Count(storage._cdata)  # pyright: ignore
    alone = witness_refs, sys.getrefcount(other), witness._use_count(), torch._C._storage_Use_Count(other._cdata)  # pyright: ignore
    return found == alone


class _Rows(Function):
    @staticmethod
    def forward(ctx: Context, x: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.shape = x.shape
        return x.index_select(0, index)

    @staticmethod
    def backward(ctx: Context, *grads: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        (index,) = ctx.saved_tensors
        return grads[0].new_zeros(ctx.shape).index_copy(0, index, grads[0]), None


class _Take(Function):
    @staticmethod
    def forward(ctx: Context, x: Tensor, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(index)
        ctx.set_materialize_grads(False)
        ctx.shape = x.shape
        return x.index_select(0, index), x.view_as(x), x.new_empty(1)

    @staticmethod
    def backward(ctx: Context, rows: Tensor | None, rest: Tensor | None, witness: Tensor | None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        (index,) = ctx.saved_tensors
        if rest is None:
            return None if rows is None else rows.new_zeros(ctx.shape).index_copy(0, index, rows), None
        if rows is None:
            return rest.index_fill(0, index, 0), None
        if witness is not None and is_ours(rest, sys.getrefcount(rest), witness, sys.getrefcount(witness)):
            return rest.index_copy_(0, index, rows), None
        return rest.index_copy(0, index, rows), None


class _Splice(Function):
    @staticmethod
    def forward(ctx: Context, rest: Tensor, witness: Tensor, index: Tensor, rows: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        return rest.index_copy(0, index, rows)

    @staticmethod
    def backward(ctx: Context, *grads: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        (index,) = ctx.saved_tensors
        (grad,) = grads
        return grad, grad.new_zeros(1), None, take(grad, index) if ctx.needs_input_grad[3] else None


class _Split(Function):
    @staticmethod
    def forward(ctx: Context, x: Tensor, *indices: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(*indices)
        ctx.shape = x.shape
        return tuple(x.index_select(0, index) for index in indices)

    @staticmethod
    def backward(ctx: Context, *grads: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return _placed(ctx.shape, ctx.saved_tensors, grads), *(None for _ in grads)


class _Merge(Function):
    @staticmethod
    def forward(ctx: Context, count: int, *both: Tensor) -> Tensor:
        indices, pieces = both[:count], both[count:]
        ctx.save_for_backward(*indices)
        return _placed(together(pieces), indices, pieces)

    @staticmethod
    def backward(ctx: Context, *grads: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        indices = ctx.saved_tensors
        return None, *(None for _ in indices), *(take(grads[0], index) for index in indices)
