"""The losses of the catalogue on torch tensors; what they equal is in `wye.formula.losses`."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..formula import refusals
from . import functions as f
from .kernels import out_of_range, rows


def mse(pred: Tensor, target: Tensor, reduction: str) -> Tensor:
    """Mean squared error; the mean over nothing is 0."""
    if pred.dtype is not target.dtype:
        dtype = torch.promote_types(pred.dtype, target.dtype)
        pred, target = pred.to(dtype), target.to(dtype)
    if pred.shape != target.shape:
        pred, target = torch.broadcast_tensors(pred, target)
    return F.mse_loss(pred, target, reduction="sum" if reduction == "mean" and pred.numel() == 0 else reduction)


def cross_entropy(logits: Tensor, target: Tensor, reduction: str, ignore_index: int, label_smoothing: float) -> Tensor:
    """Cross entropy over the last axis; class ids, or probabilities of the shape of the logits."""
    classes = logits.shape[-1]
    flat = logits.reshape(-1, classes) if logits.dim() != 2 else logits
    if target.is_floating_point() and target.shape == logits.shape:
        found = F.cross_entropy(
            flat, target.reshape(-1, classes).to(flat.dtype), reduction="none", label_smoothing=label_smoothing
        )
        return _over(found.reshape(logits.shape[:-1]), reduction)
    if target.is_floating_point() or target.shape != logits.shape[:-1]:
        raise refusals.no_class_ids(target.dtype, tuple(target.shape), tuple(logits.shape))
    ids = target.reshape(-1).long()
    # torch's mean of no rows is NaN, and only the CPU may be asked whether it is; elsewhere the rows are counted.
    cheap = reduction == "mean" and flat.device.type == "cpu" and not torch.compiler.is_compiling()
    how = reduction if cheap or reduction == "none" else "sum"
    try:
        found = F.cross_entropy(flat, ids, ignore_index=ignore_index, reduction=how, label_smoothing=label_smoothing)
        if cheap:
            if not _is_nan(found):
                return found
            found = F.cross_entropy(
                flat, ids, ignore_index=ignore_index, reduction="sum", label_smoothing=label_smoothing
            )
    except IndexError as error:
        raise out_of_range(ids[ids != ignore_index], classes) if "out of bounds" in str(error) else error from None
    if reduction == "none":
        return found.reshape(target.shape)
    return found / (ids != ignore_index).sum().clamp(min=1) if reduction == "mean" else found


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


_row_functions: dict[str, Callable[..., Tensor]] = {"sum": torch.sum, "mean": f.mean}
