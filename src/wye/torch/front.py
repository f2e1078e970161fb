"""All that generated code finds by name when it runs on torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..formula import refusals
from ..formula.contrast_calls import CONTRASTS
from ..formula.graph import Axes, Graph, Value
from ..formula.pairs import Contraction
from ..formula.table import named
from . import edge_losses, large, loss_kernels
from . import functions as f
from . import kernels as k
from .tiles import losses as contrasts


def capturing() -> bool:
    """Whether torch is turning the run into a graph, by compile or by export."""
    return torch.compiler.is_compiling()


def not_a_tensor(graph: Graph, value: Value) -> Callable[..., Tensor]:
    """What is made of a value that is no tensor."""
    return refusals.not_a_tensor(graph, value, k.one_number)


def contraction(axes: tuple[Axes, ...], lost: Axes, kept: Axes, mean: bool) -> Contraction:
    return Contraction(KERNELS, capturing, axes, lost, kept, mean)


def traced_number(name: str, values: tuple[Any, ...], dtype: str | None) -> Tensor:
    """A function of numbers that stand in buffers."""
    operators: dict[str, Callable[..., Any]] = {
        "/": lambda a, b: a / b,
        "**": lambda a, b: a**b,
        "%": lambda a, b: a % b,
        "not": torch.logical_not,
    }
    if name in operators:
        return operators[name](*values)
    function = KERNELS[f"f_{name}"]
    return function(*values, dtype) if dtype is not None else function(*values)


KERNELS: dict[str, Any] = {
    **named(f, loss_kernels, f),
    "loss_edge_cosine_loss": edge_losses.edge_cosine_loss,
    "loss_edge_distance_loss": edge_losses.edge_distance_loss,
    **{f"contrast_{name}": getattr(contrasts, name) for name in CONTRASTS},
    "Tensor": Tensor,
    "floats": k.FLOATS,
    "square": large.square,
    "squared_difference": large.squared_difference,
    "less": large.less,
    "over": large.over,
    "standard": large.standard,
    "sum_of_weighted_difference": large.sum_of_weighted_difference,
    "add": torch.add,
    "subtract": torch.sub,
    "multiply": torch.mul,
    "divide": torch.div,
    "permute": torch.permute,
    "insert": torch.unsqueeze,
    "select": torch.select,
    "diagonal": lambda x, first, second: torch.diagonal(x, 0, first, second),
    "rows": k.rows,
    "spread": k.spread,
    "pick": k.pick,
    "pick_one": k.pick_one,
    "pair": k.pair,
    "contraction": contraction,
    "positions": k.positions,
    "matmul": k.matmul,
    "fit": k.fit,
    "level": k.level,
    "to_float": k.to_float,
    "widen": k.widen,
    "to_tensor": k.to_tensor,
    "broadcast": k.broadcast,
    "item": k.item,
    "unpack": refusals.unpack,
    "number_like": k.number_like,
    "traced_number": traced_number,
    "distances": k.distances,
    **{
        f"f_{name}": getattr(torch, name)
        for name in (
            "abs",
            "exp",
            "expm1",
            "log",
            "log1p",
            "sqrt",
            "relu",
            "sigmoid",
            "tanh",
            "sin",
            "cos",
            "round",
            "floor",
        )
    },
    "f_softplus": f.softplus,
    "f_stop": Tensor.detach,
    "f_cast": f.cast,
    "f_not": torch.logical_not,
    "f_and": f.logical_and,
    "f_or": f.logical_or,
    "reduce_sum": torch.sum,
    "reduce_all_sum": torch.sum,
    "reduce_any": torch.any,
    "reduce_all_any": torch.any,
    "reduce_all": torch.all,
    "reduce_all_all": torch.all,
    **{
        f"reduce_{scope}{name}": function
        for name, function in (
            ("mean", f.mean),
            ("max", f.amax),
            ("min", f.amin),
            ("norm", f.norm),
            ("var", f.var),
            ("logsumexp", f.logsumexp),
        )
        for scope in ("", "all_")
    },
    "along_softmax": torch.softmax,
    "along_log_softmax": torch.log_softmax,
}


class TorchFront:
    """The front that code generation writes for."""

    kernels = KERNELS
    promotes = True
    capturing = staticmethod(capturing)
    not_a_tensor = staticmethod(not_a_tensor)


FRONT = TorchFront()
