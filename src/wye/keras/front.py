"""All that generated code finds by name when it runs on Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from ..formula import refusals
from ..formula.contrast_calls import CONTRASTS
from ..formula.graph import Axes, Graph, Value
from ..formula.numeric import compute
from ..formula.pairs import Contraction
from ..formula.table import named
from . import edge_losses, loss_kernels, picks, products, structure
from . import functions as f
from . import kernels as k
from .kernels import Array, ops
from .tiles import losses as contrasts


def capturing() -> bool:
    """Whether what is seen of shapes must not be kept: never, for a size that is not known is None."""
    return False


def not_a_tensor(graph: Graph, value: Value) -> Callable[..., Array]:
    """What is made of a value that is no tensor."""
    return refusals.not_a_tensor(graph, value, k.one_number)


def contraction(axes: tuple[Axes, ...], lost: Axes, kept: Axes, mean: bool) -> Contraction:
    return Contraction(KERNELS, capturing, axes, lost, kept, mean)


def item(x: Any, key: int | str) -> Any:
    return refusals.item(x, key, k.Tensor)


def squared_difference(a: Any, b: Any) -> Array:
    return k.squared(ops.subtract(a, b))


def standard(x: Array, *facts: Any) -> Array:
    """(x - mean(x)) / sqrt(var(x) + eps), from `eps` if there is one, and the axes it goes along."""
    *eps, dims = facts
    centred, var = ops.subtract(x, f.mean(x, dims, True)), f.var(x, dims, True)
    return ops.divide(centred, ops.sqrt(k.add(var, eps[0]) if eps else var))


def sum_of_weighted_difference(weight: Array, a: Any, b: Any, dims: tuple[int, ...] | None) -> Array:
    """sum(weight * (a - b))."""
    return ops.sum(ops.multiply(weight, ops.subtract(a, b)), dims)


def traced_number(name: str, values: tuple[Any, ...], dtype: str | None) -> Any:
    """A function of numbers, of which those of variables and sizes not yet known are tensors."""
    if not any(isinstance(value, k.Tensor) for value in values):
        return compute(name, values, dtype)
    floats = [ops.cast(value, keras.config.floatx()) for value in values]
    functions: dict[str, Callable[..., Any]] = {
        "/": ops.divide,
        "**": ops.power,
        "%": f.remainder,
        "not": ops.logical_not,
        "and": ops.logical_and,
        "or": ops.logical_or,
        "clamp": f.clamp,
        "clamp_low": f.clamp_low,
        "clamp_high": f.clamp_high,
        "max": f.maximum,
        "min": f.minimum,
        "where": f.where,
        "sign": f.sign,
        "stop": ops.stop_gradient,
    }
    if name == "cast":
        return k.cast(floats[0], str(dtype))
    return functions[name](*floats) if name in functions else getattr(ops, name)(*floats)


def softmax(x: Array, dim: int) -> Array:
    """Along one axis; of one entry it is 1, which Keras would warn of."""
    return k.add(ops.subtract(x, x), 1) if x.shape[dim] == 1 else ops.softmax(x, dim)


REDUCTIONS: dict[str, Callable[..., Array]] = {
    "sum": ops.sum,
    "any": ops.any,
    "all": ops.all,
    "mean": f.mean,
    "max": f.amax,
    "min": f.amin,
    "norm": f.norm,
    "var": f.var,
    "logsumexp": f.logsumexp,
}

KERNELS: dict[str, Any] = {
    **named(f, loss_kernels, structure),
    "loss_edge_cosine_loss": edge_losses.edge_cosine_loss,
    "loss_edge_distance_loss": edge_losses.edge_distance_loss,
    **{f"contrast_{name}": getattr(contrasts, name) for name in CONTRASTS},
    "Tensor": k.Tensor,
    "floats": k.FLOATS,
    "square": k.squared,
    "squared_difference": squared_difference,
    "less": ops.subtract,
    "over": ops.divide,
    "standard": standard,
    "sum_of_weighted_difference": sum_of_weighted_difference,
    "add": k.add,
    "subtract": ops.subtract,
    "multiply": ops.multiply,
    "divide": ops.divide,
    "power": ops.power,
    "remainder": f.remainder,
    "equal": k.in_one_dtype(ops.equal),
    "unequal": k.in_one_dtype(ops.not_equal),
    "below": k.in_one_dtype(ops.less),
    "at_most": k.in_one_dtype(ops.less_equal),
    "above": k.in_one_dtype(ops.greater),
    "at_least": k.in_one_dtype(ops.greater_equal),
    "permute": ops.transpose,
    "insert": ops.expand_dims,
    "select": k.select,
    "diagonal": k.diagonal,
    "size": k.size,
    "rows": k.rows,
    "spread": k.spread,
    "pick": picks.pick,
    "pick_one": picks.pick_one,
    "pair": products.pair,
    "contraction": contraction,
    "positions": k.positions,
    "matmul": products.matmul,
    "fit": k.fit,
    "level": k.level,
    "to_float": k.to_float,
    "widen": k.widen,
    "to_tensor": k.to_tensor,
    "broadcast": k.broadcast,
    "item": item,
    "unpack": refusals.unpack,
    "number_like": k.number_like,
    "traced_number": traced_number,
    "distances": products.distances,
    **{
        f"f_{name}": getattr(ops, name)
        for name in ("exp", "expm1", "log", "log1p", "sqrt", "relu", "sigmoid", "tanh", "softplus")
    },
    **{f"f_{name}": getattr(ops, name) for name in ("sin", "cos", "round", "floor")},
    "f_abs": f.absolute,
    "f_stop": ops.stop_gradient,
    "f_cast": k.cast,
    "f_not": ops.logical_not,
    "f_and": ops.logical_and,
    "f_or": ops.logical_or,
    **{f"reduce_{scope}{name}": function for name, function in REDUCTIONS.items() for scope in ("", "all_")},
    "along_softmax": softmax,
    "along_log_softmax": ops.log_softmax,
}


class KerasFront:
    """The front that code generation writes for."""

    kernels = KERNELS
    promotes = False
    capturing = staticmethod(capturing)
    not_a_tensor = staticmethod(not_a_tensor)


FRONT = KerasFront()
