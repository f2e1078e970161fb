"""The contrastive losses of the catalogue on torch tensors; what they equal is in `wye.formula.contrasts`."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ...formula import refusals
from .contrast import contrast, without_autocast
from .plan import Parts, Plan
from .positives import ByLabel, ByPlace, Halves, Positives, Soft

WIDE = frozenset({torch.float32, torch.float64})


def info_nce(
    query: Tensor,
    key: Tensor,
    temperature: Any,
    *,
    label: Tensor | None = None,
    key_label: Tensor | None = None,
    target: Tensor | None = None,
    normalize: bool,
    multiply: str | None,
    reduction: str,
) -> Tensor:
    """Each query against all keys."""
    positives = _positives("info_nce", query, key, label, key_label, target)
    return _choice(positives, query, key, temperature, normalize, multiply, reduction, False)


def clip_loss(
    a: Tensor,
    b: Tensor,
    temperature: Any,
    *,
    label: Tensor | None = None,
    target: Tensor | None = None,
    normalize: bool,
    multiply: str | None,
    reduction: str,
) -> Tensor:
    """Each row of a against all of b, and each of b against all of a."""
    positives = _positives("clip_loss", a, b, label, label, target)
    return _choice(positives, a, b, temperature, normalize, multiply, reduction, True)


def siglip_loss(
    a: Tensor,
    b: Tensor,
    temperature: Any,
    bias: Any,
    *,
    label: Tensor | None = None,
    target: Tensor | None = None,
    normalize: bool,
    multiply: str | None,
    reduction: str,
) -> Tensor:
    """Every pair by itself."""
    positives = _positives("siglip_loss", a, b, label, label, target, each=True)
    over = _over(reduction, a.shape[0])
    plan = Plan(positives, sigmoid=True, normalize=normalize, rounded=multiply is not None, over=over)
    return _found(plan, a, b, temperature, bias)[0]


def nt_xent(a: Tensor, b: Tensor, temperature: Any, *, normalize: bool, multiply: str | None, reduction: str) -> Tensor:
    """Both views of every sample against all others."""
    dtype = torch.promote_types(a.dtype, b.dtype)
    views = torch.cat([a.to(dtype), b.to(dtype)])
    over = _over(reduction, a.shape[0])
    over = over if over is None else over * 2
    found = _against_itself(Halves(), views, temperature, normalize, multiply, over)
    return (found[: a.shape[0]] + found[a.shape[0] :]) / 2 if reduction == "none" else found


def sup_con(
    x: Tensor, label: Tensor, temperature: Any, *, normalize: bool, multiply: str | None, reduction: str
) -> Tensor:
    """Every row against all others, those of its label together."""
    positives = ByLabel(_whole(label), itself=False)
    over = _over(reduction, positives)
    return _against_itself(positives, x, temperature, normalize, multiply, over)


def _positives(
    name: str,
    a: Tensor,
    b: Tensor,
    label: Tensor | None,
    other: Tensor | None,
    target: Tensor | None,
    each: bool = False,
) -> Positives:
    if target is not None:
        if label is not None or other is not None:
            raise refusals.two_targets(name)
        return Soft(target)
    if label is None and other is None:
        return ByPlace(a.shape[0], b.shape[0])
    if label is None or other is None:
        raise refusals.labels_of_one_side(name)
    if label.dtype is not other.dtype:
        label, other = _whole(label).long(), _whole(other).long()
    return ByLabel(_whole(label), None if other is label else _whole(other), each=each)


def _whole(label: Tensor) -> Tensor:
    if label.is_floating_point() or label.is_complex():
        raise refusals.fractional_labels(label.dtype)
    return label


def _over(reduction: str, counted: int | ByLabel) -> float | Tensor | None:
    """What the sum of all losses is divided by; rows to which nothing belongs do not count."""
    if reduction != "mean":
        return 1 if reduction == "sum" else None
    return max(counted, 1) if isinstance(counted, int) else (counted.count > 0).sum().clamp(min=1)


def _choice(
    positives: Positives,
    a: Tensor,
    b: Tensor,
    temperature: Any,
    normalize: bool,
    multiply: str | None,
    reduction: str,
    both: bool,
) -> Tensor:
    over = _over(reduction, positives if isinstance(positives, ByLabel) else a.shape[0])
    over = over * 2 if both and over is not None else over
    plan = Plan(positives, both, normalize=normalize, rounded=multiply is not None, over=over)
    found, columns = _found(plan, a, b, temperature, None)
    return found if columns is None else (found + columns) / 2


def _against_itself(
    positives: Positives,
    x: Tensor,
    temperature: Any,
    normalize: bool,
    multiply: str | None,
    over: float | Tensor | None,
) -> Tensor:
    plan = Plan(positives, False, True, normalize=normalize, rounded=multiply is not None, over=over)
    return _found(plan, x, x, temperature, None)[0]


def _found(plan: Plan, a: Tensor, b: Tensor, temperature: Any, bias: Any) -> Parts:
    """The loss in the dtype of the rows; computed in float32 at least, autocast or not."""
    dtype = a.dtype if a.dtype is b.dtype else torch.promote_types(a.dtype, b.dtype)
    wide = dtype if dtype in WIDE else torch.float32
    with without_autocast(a):
        y = b if b.dtype is wide else b.to(wide)
        x = y.detach() if plan.against_itself else a if a.dtype is wide else a.to(wide)
        if isinstance(plan.positives, Soft):
            plan = plan.softened(wide)
        found = contrast(plan, x, y, _above_zero(temperature, x), None if bias is None else _number(bias, x))
        parts = found if isinstance(found, tuple) else (found, None)
        if wide is dtype:
            return parts
        return parts[0].to(dtype), None if parts[1] is None else parts[1].to(dtype)


def _number(value: Any, like: Tensor) -> Tensor:
    if isinstance(value, Tensor):
        value = value if value.dim() == 0 else value.reshape(())
        return value if value.dtype is like.dtype and value.device == like.device else value.to(like)
    return torch.full((), value, dtype=like.dtype, device=like.device)


def _above_zero(temperature: Any, like: Tensor) -> Tensor:
    """The temperature; one that is not above 0 is NaN where a look would hold up an accelerator, or in a graph."""
    found, holds = _number(temperature, like), _is_above_zero(temperature)
    if holds is False:
        raise refusals.not_above_zero(float(found.detach()))
    return torch.where(found <= 0, math.nan, found) if holds is None else found


def _is_above_zero(x: Any) -> bool | None:
    """Whether it is, or NaN; None where nobody is to know yet."""
    if isinstance(x, Tensor) and (x.device.type != "cpu" or torch.compiler.is_compiling()):
        return None
    try:
        return not bool(x <= 0)
    except RuntimeError:
        return None
