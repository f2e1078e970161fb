"""The losses of the catalogue on torch tensors; what they equal is in `wye.formula.losses`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..formula import refusals
from . import functions as f
from .kernels import HALF, out_of_range, pick, rows


def mse(pred: Tensor, target: Tensor, reduction: str) -> Tensor:
    """Mean squared error; the mean over nothing is 0."""
    if pred.dtype is not target.dtype:
        dtype = torch.promote_types(pred.dtype, target.dtype)
        pred, target = pred.to(dtype), target.to(dtype)
    if pred.dtype in HALF:
        return mse(pred.float(), target.float(), reduction).to(pred.dtype)
    if pred.shape != target.shape:
        pred, target = torch.broadcast_tensors(pred, target)
    return F.mse_loss(pred, target, reduction="sum" if reduction == "mean" and pred.numel() == 0 else reduction)


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
    weight: Tensor | None = None,
) -> Tensor:
    """Cross entropy over the last axis; class ids, or probabilities of the shape of the logits."""
    if logits.dtype in HALF:
        found = cross_entropy(logits.float(), target, reduction, ignore_index, label_smoothing, weight)
        return found.to(logits.dtype)
    classes = logits.shape[-1]
    flat = logits.reshape(-1, classes) if logits.dim() != 2 else logits
    weight = None if weight is None else weight.to(flat.dtype)
    if target.is_floating_point() and target.shape == logits.shape:
        wanted = target.reshape(-1, classes).to(flat.dtype)
        found = F.cross_entropy(flat, wanted, weight, reduction="none", label_smoothing=label_smoothing)
        return _over(found.reshape(logits.shape[:-1]), reduction)
    if target.is_floating_point() or target.shape != logits.shape[:-1]:
        raise refusals.no_class_ids(target.dtype, tuple(target.shape), tuple(logits.shape))
    flat_ids = target.reshape(-1).long()
    if weight is not None:
        found, shares = _weighted(flat, flat_ids, flat_ids != ignore_index, weight, label_smoothing)
        if reduction == "mean":
            return _over_shares(found.sum(), shares.sum())
        return found.reshape(target.shape) if reduction == "none" else found.sum()
    # torch's mean of no rows is NaN, and only the CPU may be asked whether it is; elsewhere the rows are counted.
    cheap = reduction == "mean" and flat.device.type == "cpu" and not torch.compiler.is_compiling()
    how = reduction if cheap or reduction == "none" else "sum"
    options: dict[str, Any] = {"ignore_index": ignore_index, "label_smoothing": label_smoothing}
    try:
        found = F.cross_entropy(flat, flat_ids, reduction=how, **options)
        if cheap:
            if not _is_nan(found):
                return found
            found = F.cross_entropy(flat, flat_ids, reduction="sum", **options)
    except IndexError as error:
        raise (
            out_of_range(flat_ids[flat_ids != ignore_index], classes) if "out of bounds" in str(error) else error
        ) from None
    if reduction == "none":
        return found.reshape(target.shape)
    return found / (flat_ids != ignore_index).sum().clamp(min=1) if reduction == "mean" else found


def _weighted(
    logits: Tensor, ids: Tensor, kept: Tensor, weight: Tensor, label_smoothing: float
) -> tuple[Tensor, Tensor]:
    """The loss of each row and the weight of its class; torch's own function has no gradient in the weights."""
    logs, known = torch.log_softmax(logits, -1), torch.where(kept, ids, 0)
    picked = pick(logs, known, 1, 0, 0, None)
    shares = torch.where(kept, pick(weight, known, 0, 1, 0, None), 0)
    found = -shares * picked
    if label_smoothing:
        found = (1 - label_smoothing) * found - label_smoothing * f.mean(weight * logs, (-1,))
    return torch.where(kept, found, 0), shares


def weighted_cross_entropy(
    logits: Tensor, target: Tensor, weight: Tensor, reduction: str, ignore_index: int, label_smoothing: float
) -> Tensor:
    """The same, where each class has a weight."""
    return cross_entropy(logits, target, reduction, ignore_index, label_smoothing, weight)


def _over_shares(total: Tensor, shares: Tensor) -> Tensor:
    """A sum over that of the weights; 0 where these sum to 0."""
    return torch.where(shares == 0, 0, total / torch.where(shares == 0, 1, shares))


def by_label(label: Tensor, together: Tensor, apart: Tensor) -> Tensor:
    """`together` where the label is 1, `apart` where it is 0; other labels are refused.

    Whether there are others is not looked at where that would hold up an accelerator, nor while a graph is captured:
    there the result is NaN for them.
    """
    if label.is_floating_point() or label.is_complex():
        raise refusals.no_labels(label.dtype)
    if label.dtype is torch.bool:
        return torch.where(label, together, apart)
    is_one = label == 1
    chosen, known = torch.where(is_one, together, apart), is_one.to(label.dtype)
    holds = None if torch.compiler.is_compiling() or label.device.type != "cpu" else _equal(known, label)
    if holds is None:
        return torch.where(known == label, chosen, math.nan)
    if not holds:
        raise refusals.neither_label(int(label.min()), int(label.max()))
    return chosen


def signs(label: Tensor, like: Tensor) -> Tensor:
    """Labels 1 and -1 as floats; True is 1 and False -1, others are refused, or NaN where `by_label` has NaN."""
    if label.dtype is torch.bool:
        return label.to(like.dtype) * 2 - 1
    fits, found = (label == 1) | (label == -1), label.to(like.dtype)
    holds = None if torch.compiler.is_compiling() or label.device.type != "cpu" else _equal(fits, fits | True)
    if holds is False:
        raise refusals.neither_sign()
    return found if holds else torch.where(fits, found, math.nan)


def ids(target: Tensor) -> Tensor:
    """Class ids, which pick; floats and truth values are refused."""
    if target.is_floating_point() or target.is_complex() or target.dtype is torch.bool:
        raise refusals.fractional_ids(target.dtype)
    return target.long()


def full(x: Tensor) -> Tensor:
    """Floats of 16 bits in 32, in which a loss is computed; all else as it is."""
    return x.float() if x.dtype in HALF else x


def as_given(found: Tensor, *values: Tensor) -> Tensor:
    """A loss in the dtype of the floats that it is of."""
    dtype = values[0].dtype
    return found.to(dtype) if dtype in HALF and all(value.dtype is dtype for value in values) else found


def _equal(left: Tensor, right: Tensor) -> bool | None:
    """Whether all entries are equal; None where nobody knows yet."""
    try:
        return torch.equal(left, right)
    except RuntimeError:
        return None


def _is_nan(x: Tensor) -> bool:
    """Whether it is NaN, or nobody knows yet."""
    try:
        return bool(x != x)
    except RuntimeError:
        return True


def _over(found: Tensor, reduction: str) -> Tensor:
    return {"none": lambda x: x, "sum": torch.sum, "mean": f.mean}[reduction](found)


def mse_rows(pred: Tensor, target: Tensor, reduction: str) -> Tensor:
    found = mse(pred, target, "none")
    return found if reduction == "none" else _row_functions[reduction](rows(found), (1,))


def cross_entropy_rows(
    logits: Tensor, target: Tensor, reduction: str, ignore_index: int, label_smoothing: float
) -> Tensor:
    found = cross_entropy(logits, target, "none", ignore_index, label_smoothing)
    if reduction != "mean" or target.is_floating_point():
        return found if reduction == "none" else _row_functions[reduction](rows(found), (1,))
    return f.mean_where(rows(found), rows(target != ignore_index), (1,), False)


def weighted_cross_entropy_rows(
    logits: Tensor, target: Tensor, weight: Tensor, reduction: str, ignore_index: int, label_smoothing: float
) -> Tensor:
    found = cross_entropy(logits, target, "none", ignore_index, label_smoothing, weight)
    if reduction != "mean" or target.is_floating_point():
        return found if reduction == "none" else _row_functions[reduction](rows(found), (1,))
    kept = target != ignore_index
    shares = torch.where(kept, weight[torch.where(kept, target, 0).long()], 0)
    return _over_shares(rows(found).sum(1), rows(shares).sum(1))


_row_functions: dict[str, Callable[..., Tensor]] = {"sum": torch.sum, "mean": f.mean}
