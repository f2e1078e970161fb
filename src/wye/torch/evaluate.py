"""`evaluate` on torch: one call, no class; the function made for a text is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..formula.formula import Formula
from ..formula.running import Runs
from .failures import explained
from .front import FRONT
from .making import input_kind

RUNS = Runs(FRONT, input_kind, explained)


def evaluate(formula: Formula, values: Mapping[str, Any], strict: bool) -> Any:
    """The value of a formula on torch tensors; see `wye.evaluate`."""
    return RUNS.value(formula, values, strict)
