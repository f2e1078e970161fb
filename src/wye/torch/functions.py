"""The functions of the language on torch tensors; their mathematics is in `wye.formula.functions`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..formula import refusals
from ..formula.numeric import Number
from .kernels import out_of_range, within
from .large import is_large, over

Dims = tuple[int, ...]


def sign(x: Tensor) -> Tensor:
    found = torch.sign(x)
    return found.masked_fill(x.isnan(), torch.nan) if x.is_floating_point() else found


def softplus(x: Tensor) -> Tensor:
    return F.softplus(x, 1.0, 40.0)


def cast(x: Tensor, dtype: str) -> Tensor:
    return x.to(getattr(torch, dtype))


def clamp(x: Any, low: Any, high: Any) -> Tensor:
    if isinstance(x, Tensor) and isinstance(low, Tensor) == isinstance(high, Tensor):
        return torch.clamp(x, low, high)
    first = next(value for value in (x, low, high) if isinstance(value, Tensor))
    return clamp_high(clamp_low(_like(x, first), low), high)


def clamp_low(x: Any, low: Any) -> Tensor:
    return torch.clamp(_like(x, low), min=low)


def clamp_high(x: Any, high: Any) -> Tensor:
    return torch.clamp(_like(x, high), max=high)


def _like(x: Any, other: Any) -> Tensor:
    """A number as a tensor like its partner; a tensor as it is."""
    return x if isinstance(x, Tensor) else torch.full((), float(x), dtype=_float_of(other), device=other.device)


def _float_of(x: Tensor) -> torch.dtype:
    return x.dtype if x.is_floating_point() else torch.get_default_dtype()


def where(condition: Any, x: Any, y: Any) -> Tensor:
    if not isinstance(condition, Tensor):
        condition = torch.full((), bool(condition), device=next(v.device for v in (x, y) if isinstance(v, Tensor)))
    condition = condition if condition.dtype == torch.bool else condition != 0
    return torch.where(condition, x, y)


def where_numbers(condition: Tensor, x: Number, y: Number, like: Tensor | None = None) -> Tensor:
    """A choice between two numbers, in the floats of the formula."""
    dtype = torch.get_default_dtype() if like is None else _float_of(like)
    return where(condition, torch.full((), float(x), dtype=dtype, device=condition.device), float(y))


def maximum(*values: Any) -> Tensor:
    return _joined(torch.maximum, values)


def minimum(*values: Any) -> Tensor:
    return _joined(torch.minimum, values)


def _joined(function: Callable[[Tensor, Tensor], Tensor], values: Sequence[Any]) -> Tensor:
    tensors = [value for value in values if isinstance(value, Tensor)]
    partner = next((tensor for tensor in tensors if tensor.is_floating_point()), tensors[0])
    result, *others = [_like(value, partner) for value in values]
    for other in others:
        result = function(result, other)
    return result


def modulo(x: Any, y: Any) -> Any:
    """`x % y`, which has the sign of y; whole numbers by 0 are NaN, so that all of them become floats."""
    if any(value.is_floating_point() if isinstance(value, Tensor) else isinstance(value, float) for value in (x, y)):
        return x % y
    if torch.compiler.is_compiling():
        if isinstance(y, Tensor):
            what = "whole numbers modulo 0 in a captured graph: make floats of them"
            torch.ops.aten._assert_async.msg((y != 0).all(), what)
        return x % y
    if bool((y != 0).all() if isinstance(y, Tensor) else y != 0):
        return x % y
    return _floating(x) % _floating(y)


def _floating(x: Any) -> Any:
    return x.to(torch.get_default_dtype()) if isinstance(x, Tensor) else float(x)


def logical_and(x: Any, y: Any) -> Tensor:
    return torch.logical_and(_truth(x, y), _truth(y, x))


def logical_or(x: Any, y: Any) -> Tensor:
    return torch.logical_or(_truth(x, y), _truth(y, x))


def _truth(x: Any, other: Any) -> Tensor:
    return x if isinstance(x, Tensor) else torch.full((), bool(x), device=other.device)


# reductions: (x, dims, keepdim) and, where entries are left out, (x, condition, dims, keepdim)


def mean(x: Tensor, dims: Dims | None = None, keep: bool = False) -> Tensor:
    """The mean; of nothing it is 0.

    Of a large tensor, the sum over the count: the gradient of a sum is a view, that of a mean has the size of x.
    """
    if x.numel() == 0:
        return torch.sum(x) if dims is None else torch.sum(x, dims, keep)
    if x.requires_grad and is_large(x):
        total = torch.sum(x) if dims is None else torch.sum(x, dims, keep)
        return total / (x.numel() // total.numel())
    return torch.mean(x) if dims is None else torch.mean(x, dims, keep)


def amax(x: Tensor, dims: Dims = (), keep: bool = False) -> Tensor:
    _check_some(x, dims)
    return torch.amax(x, dims, keep)


def amin(x: Tensor, dims: Dims = (), keep: bool = False) -> Tensor:
    _check_some(x, dims)
    return torch.amin(x, dims, keep)


def _check_some(x: Tensor, dims: Dims) -> None:
    if 0 in ([x.shape[dim] for dim in dims] or x.shape):
        raise refusals.nothing_to_choose(tuple(x.shape))


def norm(x: Tensor, dims: Dims | None = None, keep: bool = False) -> Tensor:
    return torch.linalg.vector_norm(x, 2, dims, keep)


def var(x: Tensor, dims: Dims | None = None, keep: bool = False) -> Tensor:
    if x.numel() == 0:
        return mean(x, dims, keep)
    return torch.var(x, dims, correction=0, keepdim=keep)


def logsumexp(x: Tensor, dims: Dims | None = None, keep: bool = False) -> Tensor:
    if x.dim() == 0:
        return x
    return torch.logsumexp(x, tuple(range(x.dim())) if dims is None else dims, keep)


def _all_dims(x: Tensor, dims: Dims | None) -> Dims:
    return tuple(range(x.dim())) if dims is None else dims


def _condition(x: Tensor, condition: Tensor) -> Tensor:
    condition = condition if condition.dtype == torch.bool else condition != 0
    return condition.expand(x.shape)


def _filled(x: Tensor, condition: Tensor, value: float) -> Tensor:
    return torch.where(condition, x, value)


def sum_where(x: Tensor, condition: Tensor, dims: Dims | None, keep: bool) -> Tensor:
    return torch.sum(_filled(x, _condition(x, condition), 0), _all_dims(x, dims), keep)


def mean_where(x: Tensor, condition: Tensor, dims: Dims | None, keep: bool) -> Tensor:
    count = torch.sum(_condition(x, condition), _all_dims(x, dims), keep).clamp(min=1)
    return sum_where(x, condition, dims, keep) / count.to(x.dtype)


def max_where(x: Tensor, condition: Tensor, dims: Dims | None, keep: bool) -> Tensor:
    return -min_where(-x, condition, dims, keep)


def min_where(x: Tensor, condition: Tensor, dims: Dims | None, keep: bool) -> Tensor:
    condition, over = _condition(x, condition), _all_dims(x, dims)
    some = condition.any(over) if over else condition
    if not torch.compiler.is_compiling() and not bool(some.all()):
        raise refusals.nothing_to_choose()
    return torch.amin(_filled(x, condition, torch.inf), over, keep)


def norm_where(x: Tensor, condition: Tensor, dims: Dims | None, keep: bool) -> Tensor:
    return norm(_filled(x, _condition(x, condition), 0), _all_dims(x, dims), keep)


def var_where(x: Tensor, condition: Tensor, dims: Dims | None, keep: bool) -> Tensor:
    centre = mean_where(x, condition, dims, True)
    return mean_where((x - centre) ** 2, condition, dims, keep)


def any_where(x: Tensor, condition: Tensor, dims: Dims | None, keep: bool) -> Tensor:
    return torch.any(_condition(x, condition) & (x != 0), _all_dims(x, dims), keep)


def all_where(x: Tensor, condition: Tensor, dims: Dims | None, keep: bool) -> Tensor:
    return torch.all(~_condition(x, condition) | (x != 0), _all_dims(x, dims), keep)


def logsumexp_where(x: Tensor, condition: Tensor, dims: Dims | None, keep: bool) -> Tensor:
    taken, over = _condition(x, condition) & (x != -torch.inf), _all_dims(x, dims)
    # Zeros instead of -inf where nothing is taken: the gradient of that row would be NaN.
    found = logsumexp(torch.where(taken, x, _nothing(x, taken, over)), over, keep)
    return torch.where(taken.any(over, keep), found, -torch.inf)


def _nothing(x: Tensor, taken: Tensor, dims: Dims) -> Tensor:
    """What stands for the entries that are left out: -inf, and 0 in rows of which all are."""
    return torch.where(taken.any(dims, True), -torch.inf, 0.0).to(x.dtype)


def weighted_mean(x: Tensor, w: Tensor, dims: Dims | None, keep: bool) -> Tensor:
    over = _all_dims(x, dims)
    total = torch.sum(w, over, keep)
    return torch.where(total == 0, 0, torch.sum(w * x, over, keep) / torch.where(total == 0, 1, total))


# along one axis


def softmax_where(x: Tensor, condition: Tensor, dim: int) -> Tensor:
    condition = _condition(x, condition)
    return _filled(torch.softmax(torch.where(condition, x, _nothing(x, condition, (dim,))), dim), condition, 0)


def unit(x: Tensor, dim: int) -> Tensor:
    length = torch.linalg.vector_norm(x, 2, dim, True)
    return over(x, torch.where(length == 0, 1, length))


def dot(a: Tensor, b: Tensor, dim: int) -> Tensor:
    return torch.sum(a * b, dim)


def cosine(a: Tensor, b: Tensor, dim: int) -> Tensor:
    if a.shape != b.shape:
        a, b = torch.broadcast_tensors(a, b)
    return dot(unit(a, dim), unit(b, dim), dim)


def distance(a: Tensor, b: Tensor, dim: int) -> Tensor:
    return torch.linalg.vector_norm(a - b, 2, dim)


# structure


def take(values: tuple[Any, Tensor], axis: int) -> Tensor:
    """The entries at an index; of a table's source as it hands them out."""
    if values[1].is_floating_point() or values[1].dtype == torch.bool:
        raise refusals.fractional_entries(values[1].dtype)
    index = within(values[1].long(), values[0].shape[axis])
    try:
        if not isinstance(values[0], Tensor):
            return values[0].rows(index)
        return torch.index_select(values[0], axis, index)
    except (IndexError, RuntimeError) as error:
        raise out_of_range(values[1], values[0].shape[axis]) if "out of" in str(error) else error from None


def concat(values: tuple[Tensor, ...], axis: int) -> Tensor:
    return torch.cat(values, axis)


def stack(values: tuple[Tensor, ...], axis: int) -> Tensor:
    return torch.stack(torch.broadcast_tensors(*values), axis)


def last(values: tuple[Tensor], axis: int) -> Tensor:
    return values[0].select(axis, -1)


def expand_as(values: tuple[Tensor, Tensor], _: int) -> Tensor:
    return values[0].expand(values[1].shape)
