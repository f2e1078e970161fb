"""`evaluate` on torch: one call, no class; the function made for a text is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..formula.running import Mark, Runs, constant_in_graphs
from .failures import explained
from .front import FRONT
from .making import dtype_class

RUNS = Runs(FRONT, dtype_class, explained)


def evaluate(text: str, values: Mapping[str, Any], strict: bool) -> Any:
    """The value of a formula on torch tensors; see `wye.evaluate`."""
    marks = tuple([value.dtype if isinstance(value, Tensor) else type(value) for value in values.values()])
    if torch.compiler.is_compiling():
        return getattr(_HELD, _captured(text, strict, tuple(values), marks))(values)
    return RUNS.of(text, strict, tuple(values), marks)(values)


class _Held:
    """Where a captured graph finds what it runs, and guards nothing else."""


_HELD = _Held()


@constant_in_graphs
def _captured(text: str, strict: bool, names: tuple[str, ...], marks: tuple[Mark, ...]) -> str:
    """The name of what computes a formula, which is made while a graph is captured."""
    run = RUNS.of(text, strict, names, marks)
    name = f"run_{id(run)}"
    setattr(_HELD, name, run)
    return name
