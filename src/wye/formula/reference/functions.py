"""The functions of the language in NumPy float64.

Reductions and what runs along an axis take it as the last one; `keep` says which entries take part.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from .values import Array, computing, floating

Unary = Callable[[Array], Array]
Reduction = Callable[[Array, Array], Array]
Binary = Callable[[Array, Array], Array]


def truth(x: Array) -> Array:
    """Whether each entry is not zero."""
    return x != 0


def selected(*values: Array) -> list[Array]:
    """Values among which entries are chosen, in one dtype; integers and booleans stay what they are if alone."""
    dtype = np.result_type(*(value.dtype for value in values))
    return [value.astype(np.float64 if dtype.kind == "f" else dtype) for value in values]


def _sigmoid(x: Array) -> Array:
    return np.where(x >= 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x)))


def _of_floats(function: Unary) -> Unary:
    return lambda x: function(floating(x))


def _of_numbers(function: Unary) -> Unary:
    return lambda x: function(computing(x))


ELEMENTWISE: dict[str, Unary] = {
    "exp": _of_floats(np.exp),
    "expm1": _of_floats(np.expm1),
    "log": _of_floats(np.log),
    "log1p": _of_floats(np.log1p),
    "sqrt": _of_floats(np.sqrt),
    "sin": _of_floats(np.sin),
    "cos": _of_floats(np.cos),
    "tanh": _of_floats(np.tanh),
    "sigmoid": _of_floats(_sigmoid),
    "softplus": _of_floats(lambda x: np.logaddexp(0, x)),
    "abs": _of_numbers(np.abs),
    "sign": _of_numbers(np.sign),
    "round": _of_numbers(np.round),
    "floor": _of_numbers(np.floor),
    "relu": _of_numbers(lambda x: np.maximum(x, 0)),
    "stop": lambda x: x,
}


def cast_to(x: Array, dtype: str) -> Array:
    """The entries rounded to the dtype; narrower floats stay in a float64 array."""
    if dtype in ("int64", "int32"):
        return x.astype(dtype).astype(np.int64)
    if dtype == "bool":
        return truth(x)
    if dtype == "bfloat16":
        return _bfloat16(x)
    return floating(x.astype(dtype))


def _bfloat16(x: Array) -> Array:
    """The upper 16 bits of a float32, rounded to the even one."""
    single = np.atleast_1d(x.astype(np.float32))
    bits = single.view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return floating(np.where(np.isnan(single), single, rounded.view(np.float32)).reshape(x.shape))


def _sum(x: Array, keep: Array) -> Array:
    return np.where(keep, x, 0).sum(-1)


def _mean(x: Array, keep: Array) -> Array:
    return _sum(floating(x), keep) / np.maximum(keep.sum(-1), 1)


def _largest(x: Array, keep: Array) -> Array:
    """Called with an entry to keep in each row; a NaN among them wins."""
    lowest = np.iinfo(np.int64).min if x.dtype.kind == "i" else -np.inf
    return np.where(keep, x, np.asarray(lowest, x.dtype)).max(-1)


def _smallest(x: Array, keep: Array) -> Array:
    highest = np.iinfo(np.int64).max if x.dtype.kind == "i" else np.inf
    return np.where(keep, x, np.asarray(highest, x.dtype)).min(-1)


def _norm(x: Array, keep: Array) -> Array:
    return np.sqrt(_sum(floating(x) ** 2, keep))


def _variance(x: Array, keep: Array) -> Array:
    return _mean((floating(x) - _mean(x, keep)[..., None]) ** 2, keep)


def _shifted(x: Array, keep: Array) -> tuple[Array, Array]:
    """The entries less their largest, with -inf for those left out, and the largest itself."""
    x = np.where(keep, floating(x), -np.inf)
    largest = x.max(-1, keepdims=True, initial=-np.inf)
    largest = np.where(largest == -np.inf, 0.0, largest)
    return x - largest, largest


def _logsumexp(x: Array, keep: Array) -> Array:
    shifted, largest = _shifted(x, keep)
    sums = (np.log(np.exp(shifted).sum(-1, keepdims=True)) + largest)[..., 0]
    return np.where(largest[..., 0] == np.inf, np.inf, sums)


REDUCTIONS: dict[str, Reduction] = {
    "sum": lambda x, keep: _sum(computing(x), keep),
    "mean": _mean,
    "max": lambda x, keep: _largest(computing(x), keep),
    "min": lambda x, keep: _smallest(computing(x), keep),
    "norm": _norm,
    "var": _variance,
    "any": lambda x, keep: np.asarray((truth(x) & keep).any(-1)),
    "all": lambda x, keep: np.asarray((truth(x) | ~keep).all(-1)),
    "logsumexp": _logsumexp,
}


def weighted_mean(x: Array, w: Array) -> Array:
    total = floating(w).sum(-1)
    return np.where(total == 0, 0.0, (floating(w) * floating(x)).sum(-1) / total)


def _softmax(x: Array, keep: Array) -> Array:
    powers = np.exp(_shifted(x, keep)[0])
    return np.where(keep, powers / powers.sum(-1, keepdims=True), 0.0)


def _log_softmax(x: Array, keep: Array) -> Array:
    shifted = _shifted(x, keep)[0]
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def _unit(x: Array, keep: Array) -> Array:
    length = _norm(x, keep)[..., None]
    return np.where(length == 0, 0.0, floating(x) / length)


ALONG: dict[str, Binary] = {"softmax": _softmax, "log_softmax": _log_softmax, "unit": _unit}


def _dot(a: Array, b: Array) -> Array:
    return (computing(a) * computing(b)).sum(-1)


def _cosine(a: Array, b: Array) -> Array:
    every = np.True_
    return _dot(_unit(a, np.broadcast_to(every, a.shape)), _unit(b, np.broadcast_to(every, b.shape)))


def _distance(a: Array, b: Array) -> Array:
    return np.sqrt(((floating(a) - floating(b)) ** 2).sum(-1))


PAIR: dict[str, Binary] = {"dot": _dot, "cosine": _cosine, "distance": _distance}


def _whole(*values: Array) -> bool:
    return all(value.dtype.kind == "i" for value in values)


def _modulo(a: Array, b: Array) -> Array:
    if _whole(a, b) and not b.all():
        return np.mod(floating(a), floating(b))
    return np.mod(a, b)


def _power(a: Array, b: Array) -> Array:
    if _whole(a, b) and (b < 0).any():
        return np.power(floating(a), floating(b))
    return np.power(a, b)


ARITHMETIC: dict[str, Binary] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": lambda a, b: np.true_divide(floating(a), floating(b)),
    "%": _modulo,
    "**": _power,
    "@": np.matmul,
    "max": np.maximum,
    "min": np.minimum,
}
COMPARISONS: dict[str, Binary] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def calculated(operator: str, a: Array, b: Array, numbers: bool = False) -> Array:
    """`a operator b`; plain numbers are folded in floating point, and stay whole as long as that is exact."""
    a, b = computing(a), computing(b)
    if not numbers:
        return np.asarray(ARITHMETIC[operator](a, b))
    folded = np.asarray(ARITHMETIC[operator](floating(a), floating(b)))
    whole = _whole(a, b) and operator != "/" and abs(folded) < 2**53 and folded == np.round(folded)
    return folded.astype(np.int64) if whole else folded


def compared(operator: str, a: Array, b: Array) -> Array:
    return np.asarray(cast("Any", COMPARISONS[operator](computing(a), computing(b))))
