"""`evaluate` on Keras tensors: one call, no class; the function made for a text is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..formula.algebra import line_names
from ..formula.formula import Formula
from .making import Callables, kind_of, run_of


def evaluate(formula: Formula, values: Mapping[str, Any], strict: bool) -> Any:
    """The value of a formula on Keras tensors; see `wye.evaluate`."""
    read = {*formula.names, *formula.calls, *formula.axes, *line_names(formula.program)}
    kinds = {name: kind_of(value) for name, value in values.items() if name in read}
    parts = frozenset(name for name, kind in kinds.items() if kind is None)
    known = tuple((name, kind) for name in sorted(kinds) if (kind := kinds[name]) is not None)
    run = run_of(formula, formula.text, known, parts, strict)
    return run(Callables({name: values[name] for name in parts}), *(values[name] for name in run.inputs))
