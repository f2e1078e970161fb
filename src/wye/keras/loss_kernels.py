"""The losses of the catalogue in `keras.ops`; what they equal is in `wye.formula.losses`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from keras import KerasTensor

from ..formula import refusals
from . import functions as f
from .kernels import (
    BOOLEAN,
    COMPLEX,
    FLOATS,
    LONG,
    ON_JAX,
    ON_TENSORFLOW,
    WHOLE,
    Array,
    Dtypes,
    add,
    dtype_name,
    ops,
    rows,
    size,
    squared,
    truth,
)
from .picks import only, out_of_range, pick, within

IDS = Dtypes("int32", "int64")


def mse(pred: Array, target: Array, reduction: str) -> Array:
    """Mean squared error; the mean over nothing is 0."""
    return _over(squared(ops.subtract(pred, target)), reduction)


def cross_entropy(logits: Array, target: Array, reduction: str, ignore_index: int, label_smoothing: float) -> Array:
    """Cross entropy over the last axis; class ids, or probabilities of the shape of the logits."""
    if target.dtype in FLOATS and len(target.shape) == len(logits.shape):
        found = _of_probabilities(logits, ops.cast(target, logits.dtype), label_smoothing)
        return _over(found, reduction)
    if target.dtype in FLOATS or len(target.shape) != len(logits.shape) - 1:
        raise refusals.no_class_ids(dtype_name(target), tuple(target.shape), tuple(logits.shape))
    target = target if target.dtype in IDS else ops.cast(target, WHOLE)
    if ON_TENSORFLOW and reduction != "none" and not label_smoothing and _is_plain(logits):
        return _total_of_ids(logits, target, ignore_index, reduction)
    kept, found = _of_ids(logits, ops.cast(target, WHOLE), ignore_index, label_smoothing)
    if reduction == "none":
        return found
    total = ops.sum(found)
    return total if reduction == "sum" else ops.divide(total, _count(kept, total))


def by_label(label: Array, together: Array, apart: Array) -> Array:
    """`together` where the label is 1, `apart` where it is 0; others are refused, in a captured graph they give NaN."""
    if label.dtype in FLOATS or label.dtype in COMPLEX:
        raise refusals.no_labels(dtype_name(label))
    if label.dtype in BOOLEAN:
        return ops.where(label, together, apart)
    is_one = ops.equal(label, 1)
    fits = ops.equal(ops.cast(is_one, label.dtype), label)
    chosen = ops.where(is_one, together, apart)
    holds = truth(ops.all(fits))
    if holds is None:
        return ops.where(fits, chosen, ops.cast(math.nan, chosen.dtype))
    if not holds:
        raise refusals.neither_label(int(ops.min(label)), int(ops.max(label)))
    return chosen


def _count(kept: Array, like: Array) -> Array:
    return ops.cast(ops.maximum(ops.sum(ops.cast(kept, WHOLE)), 1), like.dtype)


def _of_probabilities(logits: Array, target: Array, label_smoothing: float) -> Array:
    if label_smoothing:
        classes = ops.cast(size(logits, -1), logits.dtype)
        target = add(ops.multiply(target, 1 - label_smoothing), ops.divide(label_smoothing, classes))
    return ops.negative(ops.sum(ops.multiply(target, ops.log_softmax(logits, -1)), -1))


def _of_ids(logits: Array, target: Array, ignore_index: int, label_smoothing: float) -> tuple[Array, Array]:
    """Which targets are kept, and the loss of each; 0 for the others."""
    kept = ops.not_equal(target, ignore_index)
    ids = ops.where(kept, target, ops.zeros_like(target))
    if ON_JAX and not label_smoothing and _is_plain(logits):  # fewer passes over all classes than what follows
        index, inside = within(ids, logits.shape[-1])
        entry = ops.take_along_axis(ops.log_softmax(logits, -1), ops.expand_dims(index, -1), -1)
        entry = only(ops.negative(ops.squeeze(entry, -1)), inside, 0)
        return kept, ops.where(kept, entry, ops.zeros_like(entry))
    total = f.logsumexp(logits, (-1,))
    shared = len(target.shape)
    entry = ops.subtract(total, pick(logits, ids, shared, 0, 0, None))
    if label_smoothing:
        smooth = ops.subtract(total, f.mean(logits, (-1,)))
        entry = add(ops.multiply(entry, 1 - label_smoothing), ops.multiply(smooth, label_smoothing))
    return kept, ops.where(kept, entry, ops.zeros_like(entry))


def _is_plain(logits: Array) -> bool:
    """Whether it is a tensor of a run, with floats that count exactly and a known number of classes."""
    return not isinstance(logits, KerasTensor) and logits.dtype in LONG and bool(logits.shape[-1])


def _total_of_ids(logits: Array, target: Array, ignore_index: int, reduction: str) -> Array:
    """The sum or mean over class ids with a gradient of its own: TensorFlow's would go over all classes more often."""
    classes = logits.shape[-1]
    ids = ops.maximum(ops.minimum(target, classes - 1), 0)
    inside, kept = ops.equal(ids, target), ops.not_equal(target, ignore_index)
    if 0 <= ignore_index < classes:
        inside = ops.logical_and(inside, kept)
    fits = ops.all(ops.equal(inside, kept))
    holds = truth(fits)
    if holds is False:
        raise out_of_range(ops.where(kept, target, 0), classes)
    counts = ops.cast(inside, logits.dtype)
    scale = ops.divide(1, ops.maximum(ops.sum(counts), 1)) if reduction == "mean" else ops.ones((), logits.dtype)
    if holds is None:
        scale = ops.where(fits, scale, ops.cast(math.nan, logits.dtype))

    @ops.custom_gradient
    def total(logits: Array) -> tuple[Array, Callable[..., Array]]:
        logs = ops.log_softmax(logits, -1)
        flat = ops.reshape(ids, (-1,))
        places = flat + ops.arange(ops.shape(flat)[0], dtype=flat.dtype) * classes
        picked = ops.reshape(ops.take(ops.reshape(logs, (-1,)), places), ops.shape(ids))

        def gradient(upstream: Array) -> Array:
            weights = ops.expand_dims(counts * (upstream * scale), -1)
            return (ops.exp(logs) - ops.one_hot(ids, classes, dtype=logs.dtype)) * weights

        return ops.negative(ops.sum(ops.where(inside, picked, ops.zeros_like(picked)))) * scale, gradient

    return total(logits)


def _over(found: Array, reduction: str) -> Array:
    reductions: dict[str, Callable[[Any], Any]] = {"none": lambda x: x, "sum": ops.sum, "mean": f.mean}
    return reductions[reduction](found)


def mse_rows(pred: Array, target: Array, reduction: str) -> Array:
    return _over_rows(mse(pred, target, "none"), reduction)


def cross_entropy_rows(
    logits: Array, target: Array, reduction: str, ignore_index: int, label_smoothing: float
) -> Array:
    found = cross_entropy(logits, target, "none", ignore_index, label_smoothing)
    if reduction != "mean" or target.dtype in FLOATS:
        return _over_rows(found, reduction)
    return f.mean_where(rows(found), rows(ops.not_equal(target, ignore_index)), (1,), False)


def _over_rows(found: Array, reduction: str) -> Array:
    if reduction == "none":
        return found
    return ops.sum(rows(found), 1) if reduction == "sum" else f.mean(rows(found), (1,))
