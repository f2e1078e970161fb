"""The contrastive losses of the catalogue in `keras.ops`; what they equal is in `wye.formula.losses`."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import KerasTensor

from ...formula import refusals
from ..kernels import COMPLEX, FLOATS, WHOLE, Array, alike, dtype_name, ops, truth
from ..products import lengths
from .stripes import Contrast, Weights, same_place

Belonging = tuple[Weights, tuple[Array, ...], Array | None]


def info_nce(
    query: Array,
    key: Array,
    temperature: Any,
    *,
    label: Array | None = None,
    key_label: Array | None = None,
    target: Array | None = None,
    normalize: bool,
    multiply: str | None,
    reduction: str,
) -> Array:
    """Each query against all keys."""
    if _is_symbol(query, key):
        return _symbol(query, key, reduction)
    weights, arrays, count = _belonging("info_nce", query, key, label, key_label, target)
    rows, _ = _found(Contrast(weights, arrays), query, key, temperature, 0.0, normalize, multiply)
    return _reduced(_dtype(query, key), rows, count, reduction)


def clip_loss(
    a: Array,
    b: Array,
    temperature: Any,
    *,
    label: Array | None = None,
    target: Array | None = None,
    normalize: bool,
    multiply: str | None,
    reduction: str,
) -> Array:
    """Each row of a against all of b, and each of b against all of a."""
    if _is_symbol(a, b):
        return _symbol(a, b, reduction)
    weights, arrays, count = _belonging("clip_loss", a, b, label, label, target)
    rows, columns = _found(Contrast(weights, arrays, both=True), a, b, temperature, 0.0, normalize, multiply)
    return _reduced(_dtype(a, b), (rows + columns) / 2, count, reduction)


def siglip_loss(
    a: Array,
    b: Array,
    temperature: Any,
    bias: Any,
    *,
    label: Array | None = None,
    target: Array | None = None,
    normalize: bool,
    multiply: str | None,
    reduction: str,
) -> Array:
    """Every pair by itself."""
    if _is_symbol(a, b):
        return _symbol(a, b, reduction)
    weights, arrays, _ = _belonging("siglip_loss", a, b, label, label, target, each=True)
    rows, _ = _found(Contrast(weights, arrays, sigmoid=True), a, b, temperature, bias, normalize, multiply)
    return _reduced(_dtype(a, b), rows, None, reduction)


def nt_xent(a: Array, b: Array, temperature: Any, *, normalize: bool, multiply: str | None, reduction: str) -> Array:
    """Both views of every sample against all others."""
    if _is_symbol(a, b):
        return _symbol(a, b, reduction)
    half = ops.shape(a)[0]
    views = ops.concatenate(alike(a, b), 0)

    def other(start: Any, rows: Any) -> Array:
        return same_place(start, rows, 2 * half, half)

    rows, _ = _found(Contrast(other, against_itself=True), views, views, temperature, 0.0, normalize, multiply)
    return _reduced(_dtype(a, b), (rows[:half] + rows[half:]) / 2, None, reduction)


def sup_con(
    x: Array, label: Array, temperature: Any, *, normalize: bool, multiply: str | None, reduction: str
) -> Array:
    """Every row against all others, those of its label together."""
    if _is_symbol(x, label):
        return _symbol(x, x, reduction)
    _check_whole(label)
    weights, arrays, count = _by_label(label, label, False, apart=True)
    rows, _ = _found(Contrast(weights, arrays, against_itself=True), x, x, temperature, 0.0, normalize, multiply)
    return _reduced(_dtype(x, x), rows, count, reduction)


def _is_symbol(*values: Array) -> bool:
    return any(isinstance(value, KerasTensor) for value in values)


def _dtype(a: Array, b: Array) -> str:
    return keras.backend.result_type(a.dtype, b.dtype)


def _symbol(a: Array, b: Array, reduction: str) -> KerasTensor:
    shape = (a.shape[0],) if reduction == "none" else ()
    return KerasTensor(shape, _dtype(a, b))


def _check_whole(label: Array) -> None:
    if label.dtype in FLOATS or label.dtype in COMPLEX:
        raise refusals.fractional_labels(dtype_name(label))


def _belonging(
    name: str,
    a: Array,
    b: Array,
    label: Array | None,
    other: Array | None,
    target: Array | None,
    each: bool = False,
) -> Belonging:
    """How much columns belong to rows, and of what that is made; and where some rows have none, how many each has."""
    if target is not None:
        if label is not None or other is not None:
            raise refusals.two_targets(name)
        given = ops.stop_gradient(target)
        return lambda start, rows, given: ops.slice(given, (start, 0), (rows, ops.shape(given)[1])), (given,), None
    if label is None and other is None:
        return lambda start, rows: same_place(start, rows, ops.shape(b)[0]), (), None
    if label is None or other is None:
        raise refusals.labels_of_one_side(name)
    for one in (label, other):
        _check_whole(one)
    return _by_label(label, other, each)


def _by_label(label: Array, other: Array, each: bool, apart: bool = False) -> Belonging:
    label, other = ops.cast(label, WHOLE), ops.cast(other, WHOLE)
    order = ops.sort(other)
    rank = ops.searchsorted(order, label, side="left")
    count = ops.searchsorted(order, label, side="right") - rank
    own = ops.cast(ops.where(count > 0, rank, -1), "float32")
    theirs = ops.cast(ops.searchsorted(order, other, side="left"), "float32")
    count = ops.maximum(count - int(apart), 0)
    share = ops.cast(ops.maximum(count, 1), "float32")

    def weights(start: Any, rows: Any, own: Array, theirs: Array, share: Array) -> Array:
        found = ops.equal(ops.expand_dims(ops.slice(own, (start,), (rows,)), 1), theirs)
        if apart:
            found = ops.logical_and(found, ops.logical_not(same_place(start, rows, ops.shape(theirs)[0])))
        found = ops.cast(found, "float32")
        return found if each else found / ops.expand_dims(ops.slice(share, (start,), (rows,)), 1)

    return weights, (own, theirs, share), count


def _found(
    contrast: Contrast, x: Array, y: Array, temperature: Any, bias: Any, normalize: bool, multiply: str | None
) -> tuple[Array, Array]:
    """The losses of rows and of columns, in float32 at least."""
    wide = keras.backend.result_type(x.dtype, y.dtype, "float32")
    x, y = ops.cast(x, wide), ops.cast(y, wide)
    if normalize:
        x, y = _unit(x), _unit(y)
    x = x / _above_zero(temperature, wide)
    if multiply is not None:
        x, y = (ops.cast(ops.cast(side, multiply), wide) for side in (x, y))
    return contrast.losses(x, y, _number(bias, wide))


def _number(value: Any, dtype: str) -> Array:
    return ops.cast(ops.reshape(ops.convert_to_tensor(value), ()), dtype)


def _above_zero(temperature: Any, dtype: str) -> Array:
    """The temperature; in a captured graph one that is not above 0 is NaN."""
    found = _number(temperature, dtype)
    below = ops.less_equal(found, 0)
    holds = truth(ops.logical_not(below))
    if holds is False:
        raise refusals.not_above_zero(float(ops.stop_gradient(found)))
    return found if holds else ops.where(below, ops.cast(math.nan, dtype), found)


def _unit(x: Array) -> Array:
    """Rows over their norms; rows of zeros stay what they are, with a gradient of 0."""
    length = lengths(x, -1, True)
    nothing = ops.equal(length, 0)
    return ops.where(nothing, ops.zeros_like(x), x / ops.where(nothing, ops.ones_like(length), length))


def _reduced(dtype: str, losses: Array, count: Array | None, reduction: str) -> Array:
    """The losses in the dtype of the rows; rows to which nothing belongs do not count in the mean."""
    if reduction == "none":
        return ops.cast(losses, dtype)
    total = ops.sum(losses)
    if reduction == "mean":
        kept = ops.shape(losses)[0] if count is None else ops.sum(ops.cast(ops.greater(count, 0), WHOLE))
        total = total / ops.cast(ops.maximum(kept, 1), total.dtype)
    return ops.cast(total, dtype)
