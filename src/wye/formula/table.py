"""The kernels that every front has under the names of its own functions."""

from __future__ import annotations

from typing import Any

SAME = "sign clamp clamp_low clamp_high modulo where where_numbers"
WHERE = "sum mean max min norm var any all logsumexp"
"""The reductions that leave entries out."""
LOSSES = ("mse", "cross_entropy", "weighted_cross_entropy")
"""The losses that a front computes by a kernel of its own."""


def named(functions: Any, losses: Any, structure: Any) -> dict[str, Any]:
    """Kernels by the names that generated code reads, from a front's modules."""
    return {
        **{f"f_{name}": getattr(functions, name) for name in SAME.split()},
        "f_max": functions.maximum,
        "f_min": functions.minimum,
        **{f"reduce_where_{name}": getattr(functions, f"{name}_where") for name in WHERE.split()},
        "reduce_weighted_mean": functions.weighted_mean,
        "along_where_softmax": functions.softmax_where,
        "along_unit": functions.unit,
        **{f"pairwise_{name}": getattr(functions, name) for name in ("dot", "cosine", "distance")},
        "f_by_label": losses.by_label,
        **{name: getattr(losses, name) for name in ("ids", "signs", "full", "as_given")},
        **{f"loss_{name}": getattr(losses, name) for name in LOSSES},
        **{f"loss_rows_{name}": getattr(losses, f"{name}_rows") for name in LOSSES},
        **{f"structure_{name}": getattr(structure, name) for name in "take concat stack last expand_as".split()},
    }
