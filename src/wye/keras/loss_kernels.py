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
    HALF,
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
from .picks import beside, only, out_of_range, pick, within

IDS = Dtypes("int32", "int64")


def mse(pred: Array, target: Array, reduction: str) -> Array:
    """Mean squared error; the mean over nothing is 0."""
    found = _over(squared(ops.subtract(full(pred), full(target))), reduction)
    return as_given(found, pred, target)


def cross_entropy(
    logits: Array,
    target: Array,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
    weight: Array = None,
) -> Array:
    """Cross entropy over the last axis; class ids, or probabilities of the shape of the logits."""
    if logits.dtype in HALF:
        found = cross_entropy(full(logits), target, reduction, ignore_index, label_smoothing, weight)
        return ops.cast(found, logits.dtype)
    weight = None if weight is None else ops.cast(weight, logits.dtype)
    if target.dtype in FLOATS and len(target.shape) == len(logits.shape):
        found = _of_probabilities(logits, ops.cast(target, logits.dtype), label_smoothing, weight)
        return _over(found, reduction)
    if target.dtype in FLOATS or len(target.shape) != len(logits.shape) - 1:
        raise refusals.no_class_ids(dtype_name(target), tuple(target.shape), tuple(logits.shape))
    target = target if target.dtype in IDS else ops.cast(target, WHOLE)
    plain = not label_smoothing and weight is None and _is_plain(logits)
    if ON_TENSORFLOW and reduction != "none" and plain:
        return _total_of_ids(logits, target, ignore_index, reduction)
    target = ops.cast(target, WHOLE)
    kept, found = _of_ids(logits, target, ignore_index, label_smoothing, weight)
    if reduction == "none":
        return found
    total = ops.sum(found)
    if reduction == "sum":
        return total
    if weight is None:
        return ops.divide(total, _count(kept, total))
    return _over_shares(total, ops.sum(_shares(weight, kept, target)))


def weighted_cross_entropy(
    logits: Array, target: Array, weight: Array, reduction: str, ignore_index: int, label_smoothing: float
) -> Array:
    """The same, where each class has a weight."""
    return cross_entropy(logits, target, reduction, ignore_index, label_smoothing, weight)


def _shares(weight: Array, kept: Array, target: Array) -> Array:
    """The weight of each target's class; 0 for those that are left out."""
    ids = beside(weight, ops.where(kept, target, ops.zeros_like(target)))
    found = ops.take(weight, ids, axis=0)
    return ops.where(kept, found, ops.zeros_like(found))


def _over_shares(total: Array, shares: Array) -> Array:
    """A sum over that of the weights; 0 where these sum to 0."""
    nothing = ops.equal(shares, 0)
    found = ops.divide(total, ops.where(nothing, ops.ones_like(shares), shares))
    return ops.where(nothing, ops.zeros_like(found), found)


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


def signs(label: Array, like: Array) -> Array:
    """Labels 1 and -1 as floats; True is 1 and False -1, others are refused, in a captured graph they give NaN."""
    if label.dtype in BOOLEAN:
        return ops.where(label, ops.ones_like(label, like.dtype), -ops.ones_like(label, like.dtype))
    fits, found = ops.logical_or(ops.equal(label, 1), ops.equal(label, -1)), ops.cast(label, like.dtype)
    holds = truth(ops.all(fits))
    if holds is False:
        raise refusals.neither_sign()
    return found if holds else ops.where(fits, found, ops.cast(math.nan, like.dtype))


def ids(target: Array) -> Array:
    """Class ids, which pick; floats and truth values are refused."""
    if target.dtype in FLOATS or target.dtype in COMPLEX or target.dtype in BOOLEAN:
        raise refusals.fractional_ids(dtype_name(target))
    return ops.cast(target, WHOLE)


def full(x: Array) -> Array:
    """Floats of 16 bits in 32, in which a loss is computed; all else as it is."""
    return ops.cast(x, "float32") if x.dtype in HALF else x


def as_given(found: Array, *values: Array) -> Array:
    """A loss in the dtype of the floats that it is of."""
    dtype = values[0].dtype
    return ops.cast(found, dtype) if dtype in HALF and all(value.dtype == dtype for value in values) else found


def _count(kept: Array, like: Array) -> Array:
    return ops.cast(ops.maximum(ops.sum(ops.cast(kept, WHOLE)), 1), like.dtype)


def _of_probabilities(logits: Array, target: Array, label_smoothing: float, weight: Array) -> Array:
    if label_smoothing:
        classes = ops.cast(size(logits, -1), logits.dtype)
        target = add(ops.multiply(target, 1 - label_smoothing), ops.divide(label_smoothing, classes))
    logs = ops.log_softmax(logits, -1)
    logs = logs if weight is None else ops.multiply(weight, logs)
    return ops.negative(ops.sum(ops.multiply(target, logs), -1))


def _of_ids(
    logits: Array, target: Array, ignore_index: int, label_smoothing: float, weight: Array
) -> tuple[Array, Array]:
    """Which targets are kept, and the loss of each; 0 for the others."""
    kept = ops.not_equal(target, ignore_index)
    ids = ops.where(kept, target, ops.zeros_like(target))
    if ON_JAX and not label_smoothing and weight is None and _is_plain(logits):  # fewer passes over all classes
        index, inside = within(ids, logits.shape[-1])
        entry = ops.take_along_axis(ops.log_softmax(logits, -1), ops.expand_dims(index, -1), -1)
        entry = only(ops.negative(ops.squeeze(entry, -1)), inside, 0)
        return kept, ops.where(kept, entry, ops.zeros_like(entry))
    total = f.logsumexp(logits, (-1,))
    shared = len(target.shape)
    entry = ops.subtract(total, pick(logits, ids, shared, 0, 0, None))
    if weight is not None:
        entry = ops.multiply(_shares(weight, kept, target), entry)
    if label_smoothing:
        every = ops.subtract(ops.expand_dims(total, -1), logits)
        smooth = f.mean(every if weight is None else ops.multiply(weight, every), (-1,))
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


def weighted_cross_entropy_rows(
    logits: Array, target: Array, weight: Array, reduction: str, ignore_index: int, label_smoothing: float
) -> Array:
    found = cross_entropy(logits, target, "none", ignore_index, label_smoothing, weight)
    if reduction != "mean" or target.dtype in FLOATS:
        return _over_rows(found, reduction)
    target = ops.cast(target, WHOLE)
    shares = _shares(weight, ops.not_equal(target, ignore_index), target)
    return _over_shares(ops.sum(rows(found), 1), ops.sum(rows(shares), 1))


def _over_rows(found: Array, reduction: str) -> Array:
    if reduction == "none":
        return found
    return ops.sum(rows(found), 1) if reduction == "sum" else f.mean(rows(found), (1,))
