"""The functions of the language in `keras.ops`; their mathematics is in `wye.formula.functions`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras

from ..formula import refusals
from .kernels import (
    BOOLEAN,
    FLOATS,
    LONG,
    ON_JAX,
    WHOLE,
    Array,
    Tensor,
    add,
    broadcast,
    in_graph,
    in_one_dtype,
    is_empty,
    number_dtype,
    ops,
    sizes,
    truth,
)
from .products import lengths

Dims = tuple[int, ...]

SHARES_TIES = keras.backend.backend() != "tensorflow"
"""Whether the backend's `maximum` gives each of two equal values half of the gradient; TensorFlow gives all to one."""


def absolute(x: Array) -> Array:
    """|x|; JAX gives it a gradient of 1 at 0."""
    return ops.multiply(x, ops.stop_gradient(ops.sign(x))) if ON_JAX else ops.abs(x)


def sign(x: Array) -> Array:
    found = ops.sign(x)
    return ops.where(ops.isnan(x), x, found) if x.dtype in FLOATS else found


def clamp(x: Any, low: Any, high: Any) -> Array:
    return clamp_high(clamp_low(x, low), high)


def clamp_low(x: Any, low: Any) -> Array:
    """The gradient at the bound is 1."""
    x, low = _tensors(x, low)
    return ops.where(ops.logical_or(ops.less(x, low), ops.isnan(low)), low, x)


def clamp_high(x: Any, high: Any) -> Array:
    x, high = _tensors(x, high)
    return ops.where(ops.logical_or(ops.greater(x, high), ops.isnan(high)), high, x)


def _tensors(*values: Any) -> list[Array]:
    """Values in one dtype; numbers take that of the floats they meet."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    partner = next((tensor for tensor in tensors if tensor.dtype in FLOATS), tensors[0] if tensors else None)
    dtype = number_dtype(1.0, partner)
    made = [value if isinstance(value, Tensor) else ops.convert_to_tensor(float(value), dtype) for value in values]
    joint = keras.backend.result_type(*(value.dtype for value in made))
    return [ops.cast(value, joint) for value in made]


def where(condition: Any, x: Any, y: Any) -> Array:
    if not isinstance(condition, Tensor):
        condition = ops.convert_to_tensor(bool(condition))
    return ops.where(_boolean(condition), x, y)


def _boolean(condition: Array) -> Array:
    return condition if condition.dtype in BOOLEAN else ops.not_equal(condition, 0)


def where_numbers(condition: Array, x: Any, y: Any, like: Array = None) -> Array:
    """A choice between two numbers, in the floats of the formula."""
    dtype = number_dtype(1.0, like)
    return where(condition, *(ops.cast(ops.convert_to_tensor(value), dtype) for value in (x, y)))


def maximum(*values: Any) -> Array:
    return _joined(ops.maximum, values)


def minimum(*values: Any) -> Array:
    return _joined(ops.minimum, values)


def _joined(function: Callable[[Array, Array], Array], values: Sequence[Any]) -> Array:
    result, *others = _tensors(*values)
    for other in others:
        found = function(result, other)
        if not SHARES_TIES and found.dtype in FLOATS:
            found = ops.where(ops.equal(result, other), add(result * 0.5, other * 0.5), found)
        result = found
    return result


remainder = in_one_dtype(ops.mod)


def modulo(x: Any, y: Any) -> Any:
    """`x % y`, which has the sign of y; whole numbers by 0 are NaN, so that all of them become floats.

    A captured graph cannot wait for that: there such an entry is the lowest whole number.
    """
    if any(value.dtype in FLOATS if isinstance(value, Tensor) else isinstance(value, float) for value in (x, y)):
        return remainder(x, y)
    zero = ops.equal(y, 0)
    some = truth(ops.any(zero))
    if some:
        return remainder(_floating(x), _floating(y))
    if some is None:
        return ops.where(zero, -(2**31), remainder(x, ops.where(zero, ops.ones_like(zero, dtype=WHOLE), y)))
    return remainder(x, y)


def _floating(x: Any) -> Any:
    return ops.cast(x, keras.config.floatx()) if isinstance(x, Tensor) else float(x)


# reductions: (x, dims, keepdim) and, where entries are left out, (x, condition, dims, keepdim)


def count(x: Array, dims: Dims | None) -> Any:
    """How many entries are reduced into one: a number where it is known, else a tensor of the run."""
    shape = sizes(x)
    counted: Any = math.prod(shape[dim] for dim in _all_dims(x, dims))
    if isinstance(counted, int):
        return max(counted, 1)
    return ops.maximum(ops.cast(counted, x.dtype), 1) if isinstance(counted, Tensor) else 1.0


def mean(x: Array, dims: Dims | None = None, keep: bool = False) -> Array:
    """The mean; of nothing it is 0."""
    counted = count(x, dims)
    if isinstance(counted, int) and not is_empty(x) and not (in_graph(x) and x.dtype in LONG):
        return ops.mean(x, dims, keep)
    return ops.divide(ops.sum(x, dims, keep), counted)  # in a graph its gradient is divided before it is spread


def amax(x: Array, dims: Dims | None = None, keep: bool = False) -> Array:
    _check_some(x, dims)
    return ops.max(x, dims, keep) if len(x.shape) else x


def amin(x: Array, dims: Dims | None = None, keep: bool = False) -> Array:
    _check_some(x, dims)
    return ops.min(x, dims, keep) if len(x.shape) else x


def _check_some(x: Array, dims: Dims | None) -> None:
    if any(isinstance(x.shape[dim], int) and not x.shape[dim] for dim in _all_dims(x, dims)):
        raise refusals.nothing_to_choose(tuple(x.shape))


def norm(x: Array, dims: Dims | None = None, keep: bool = False) -> Array:
    return lengths(x, dims, keep)


def var(x: Array, dims: Dims | None = None, keep: bool = False) -> Array:
    return mean(ops.square(ops.subtract(x, mean(x, dims, True))), dims, keep)


def logsumexp(x: Array, dims: Dims | None = None, keep: bool = False) -> Array:
    over = _all_dims(x, dims)
    if not over:
        return x
    if is_empty(x):
        return ops.log(ops.sum(x, over, keep))
    largest = ops.stop_gradient(ops.max(x, over, True))
    largest = ops.where(ops.isfinite(largest), largest, ops.zeros_like(largest))
    total = ops.sum(ops.exp(ops.subtract(x, largest)), over, keep)
    nothing = ops.equal(total, 0)
    shift = largest if keep else ops.squeeze(largest, over)
    found = add(ops.log(ops.where(nothing, ops.ones_like(total), total)), shift)
    return ops.where(nothing, ops.cast(-math.inf, found.dtype), found)


def _all_dims(x: Array, dims: Dims | None) -> Dims:
    return tuple(range(len(x.shape))) if dims is None else dims


def _condition(x: Array, condition: Array) -> Array:
    condition = _boolean(condition)
    return condition if condition.shape == x.shape else broadcast(condition, x)


def _filled(x: Array, condition: Array, value: float) -> Array:
    return ops.where(condition, x, ops.cast(value, x.dtype))


def sum_where(x: Array, condition: Array, dims: Dims | None, keep: bool) -> Array:
    return ops.sum(_filled(x, _condition(x, condition), 0), _all_dims(x, dims), keep)


def mean_where(x: Array, condition: Array, dims: Dims | None, keep: bool) -> Array:
    kept = ops.sum(ops.cast(_condition(x, condition), WHOLE), _all_dims(x, dims), keep)
    return ops.divide(sum_where(x, condition, dims, keep), ops.cast(ops.maximum(kept, 1), x.dtype))


def max_where(x: Array, condition: Array, dims: Dims | None, keep: bool) -> Array:
    return ops.negative(min_where(ops.negative(x), condition, dims, keep))


def min_where(x: Array, condition: Array, dims: Dims | None, keep: bool) -> Array:
    condition, over = _condition(x, condition), _all_dims(x, dims)
    some = ops.any(condition, over) if over else condition
    if truth(ops.all(some)) is False:
        raise refusals.nothing_to_choose()
    x = x if x.dtype in FLOATS else _floating(x)
    filled = _filled(x, condition, math.inf)
    return ops.min(filled, over, keep) if over else filled


def norm_where(x: Array, condition: Array, dims: Dims | None, keep: bool) -> Array:
    return norm(_filled(x, _condition(x, condition), 0), _all_dims(x, dims), keep)


def var_where(x: Array, condition: Array, dims: Dims | None, keep: bool) -> Array:
    centre = mean_where(x, condition, dims, True)
    return mean_where(ops.square(ops.subtract(x, centre)), condition, dims, keep)


def any_where(x: Array, condition: Array, dims: Dims | None, keep: bool) -> Array:
    return ops.any(ops.logical_and(_condition(x, condition), _boolean(x)), _all_dims(x, dims), keep)


def all_where(x: Array, condition: Array, dims: Dims | None, keep: bool) -> Array:
    left_out = ops.logical_not(_condition(x, condition))
    return ops.all(ops.logical_or(left_out, _boolean(x)), _all_dims(x, dims), keep)


def logsumexp_where(x: Array, condition: Array, dims: Dims | None, keep: bool) -> Array:
    return logsumexp(_filled(x, _condition(x, condition), -math.inf), _all_dims(x, dims), keep)


def weighted_mean(x: Array, w: Array, dims: Dims | None, keep: bool) -> Array:
    over = _all_dims(x, dims)
    total = ops.sum(w, over, keep)
    nothing = ops.equal(total, 0)
    found = ops.divide(ops.sum(ops.multiply(w, x), over, keep), ops.where(nothing, ops.ones_like(total), total))
    return ops.where(nothing, ops.zeros_like(found), found)


# along one axis


def softmax_where(x: Array, condition: Array, dim: int) -> Array:
    condition = _condition(x, condition)
    some = ops.any(condition, (dim,), True)
    nothing = ops.where(some, ops.cast(-math.inf, x.dtype), ops.cast(0, x.dtype))
    return _filled(ops.softmax(ops.where(condition, x, nothing), dim), condition, 0)


def unit(x: Array, dim: int) -> Array:
    length = lengths(x, (dim,), True)
    return ops.divide(x, ops.where(ops.equal(length, 0), ops.ones_like(length), length))


def dot(a: Array, b: Array, dim: int) -> Array:
    return ops.sum(ops.multiply(a, b), dim)


def cosine(a: Array, b: Array, dim: int) -> Array:
    if a.shape != b.shape:
        a, b = broadcast(a, b), broadcast(b, a)
    return dot(unit(a, dim), unit(b, dim), dim)


def distance(a: Array, b: Array, dim: int) -> Array:
    return lengths(ops.subtract(a, b), dim)
