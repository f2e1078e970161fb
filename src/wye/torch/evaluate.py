"""`evaluate` on torch: one call, no class; the function made for a text is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import FunctionType
from typing import Any

from ..formula.analysis import analyse
from ..formula.codegen import Signature, function
from ..formula.formula import Formula
from ..formula.given import read_by
from ..formula.graph import Kind
from ..formula.scope import Sources, assemble
from .failures import explained
from .front import FRONT
from .making import kind_of


@dataclass(frozen=True)
class Run:
    """A function made from a formula, and what its errors need."""

    function: FunctionType
    text: str
    calls: frozenset[tuple[int, int]]
    inputs: tuple[str, ...]

    def __call__(self, module: object, *inputs: Any) -> Any:
        try:
            return self.function(module, *inputs)
        except Exception as error:
            told = explained(error, self.function.__code__, self.text, self.calls)
            if told is error:
                raise
            raise told from None


class Callables:
    """What the function finds its parts in."""

    def __init__(self, parts: Mapping[str, Callable[..., Any]]) -> None:
        self._modules = parts


@lru_cache(maxsize=1024)
def _run(formula: Formula, text: str, kinds: tuple[tuple[str, Kind], ...], parts: frozenset[str], strict: bool) -> Run:
    whole, top, _ = assemble(text, formula.program, {})
    sources = Sources(top, whole, modules=parts, input_kinds=dict(kinds), strict=strict, closed=True)
    analysis = analyse(sources)
    made = function(analysis, FRONT, Signature(sources.inputs, assumed=False))
    calls = frozenset(value.span for value in analysis.graph.values() if value.op == "call")
    return Run(made, whole, calls, sources.inputs)


def evaluate(formula: Formula, values: Mapping[str, Any], strict: bool) -> Any:
    """The value of a formula on torch tensors; see `wye.evaluate`."""
    read = read_by(formula)
    kinds = {name: kind_of(value) for name, value in values.items() if name in read}
    parts = frozenset(name for name, kind in kinds.items() if kind is None)
    known = tuple((name, kind) for name in sorted(kinds) if (kind := kinds[name]) is not None)
    run = _run(formula, formula.text, known, parts, strict)
    return run(Callables({name: values[name] for name in parts}), *(values[name] for name in run.inputs))
