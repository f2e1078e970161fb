"""Ways through large tensors whose backward makes fewer passes over memory.

Each gives what its plain form gives: the same numbers and gradients of any order. Small tensors, half precision,
captured graphs and transforms (`vmap`, `jvp`) take the plain form.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

LARGE = 16_384
"""Elements from which a pass over memory costs more than a call."""

PLAIN = frozenset({Tensor, nn.Parameter})
WIDE = frozenset({torch.float32, torch.float64})

_squared_error: Any = torch._C._nn.mse_loss  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
is_transformed: Any = torch._C._are_functorch_transforms_active  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]


def is_large(x: Any) -> bool:
    """Whether another way of computing the same pays for x."""
    if torch.compiler.is_compiling() or type(x) not in PLAIN or x.numel() < LARGE:
        return False
    return x.dtype in WIDE and not is_transformed()


def square(x: Tensor) -> Tensor:
    """x². The gradient of a squared error is one pass, that of a power three."""
    if x.requires_grad and is_large(x):
        return _squared_error(x, x.new_zeros(()).expand(x.shape), 0)
    return torch.square(x)


def squared_difference(a: Any, b: Any) -> Tensor:
    """(a - b)², without keeping the difference."""
    if not isinstance(a, Tensor):
        a, b = b, a
    if is_large(a):
        if isinstance(b, Tensor):
            if b.dtype is a.dtype and b.shape == a.shape:
                return _squared_error(a, b, 0)
        elif a.requires_grad:
            return _squared_error(a, a.new_full((), b).expand(a.shape), 0)
    return torch.square(a - b)


def less(x: Tensor, y: Tensor) -> Tensor:
    """x - y for a y with fewer axes: minus is put on y, so that no gradient of the size of x is negated."""
    return torch.add(x, torch.neg(y)) if y.requires_grad and is_large(x) else torch.sub(x, y)


def over(x: Tensor, y: Tensor) -> Tensor:
    """x / y for a y with fewer axes: the division is made on y, for the gradient of a quotient takes five passes."""
    return torch.mul(x, torch.reciprocal(y)) if y.requires_grad and is_large(x) else torch.div(x, y)


def standard(x: Tensor, *facts: Any) -> Tensor:
    """(x - mean(x)) / sqrt(var(x) + eps), from `eps` if there is one, and the axes it goes along."""
    *eps, dims = facts
    if x.dim() == 2 and dims == (0,) and x.device.type == "cpu" and is_large(x):
        found, _, inverse = torch.native_batch_norm(x, None, None, None, None, True, 0.0, *(eps or [0.0]))
        if eps or bool(inverse.all()):  # it makes 0 of 0 / 0
            return found
    if x.numel() == 0:
        return x.clone()
    centred = less(x, torch.mean(x) if dims is None else torch.mean(x, dims, True))
    var = torch.var(x, dims, correction=0, keepdim=dims is not None)
    return over(centred, torch.sqrt(var + eps[0] if eps else var))


def sum_of_weighted_difference(weight: Tensor, a: Any, b: Any, dims: tuple[int, ...] | None) -> Tensor:
    """sum(weight * (a - b)): turned round where b alone has a gradient, which is then not negated entry by entry."""
    if not (isinstance(a, Tensor) and isinstance(b, Tensor) and is_large(a) and is_large(b)):
        return _sum(weight * (a - b), dims)
    turned = b.requires_grad and not a.requires_grad
    value = b - a if turned else a - b
    if weight.requires_grad or weight.dtype is not value.dtype or weight.shape != value.shape:
        value = weight * value
    else:
        value.mul_(weight)  # nothing else holds the difference, and its gradient does not need it
    return _sum(value, dims).neg_() if turned else _sum(value, dims)


def _sum(x: Tensor, dims: tuple[int, ...] | None) -> Tensor:
    return torch.sum(x) if dims is None else torch.sum(x, dims)
