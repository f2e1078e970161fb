"""`Runs`: what stands behind `evaluate` on every front: the function made of a formula, kept, and called on values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

from .analysis import analyse
from .codegen import Signature, function
from .edges import EdgeList
from .emission import Front
from .formula import Formula
from .given import read_by
from .graph import NUMBER, Kind
from .scope import Sources, assemble

Explained = Callable[[Exception, CodeType, str, frozenset[tuple[int, int]]], Exception]
Kinds = tuple[tuple[str, Kind], ...]


def kind_of(value: object, tensor: Any, dtype_class: Callable[[Any], str]) -> Kind | None:
    """What is known of an input when it is given; None for what can only be called.

    Args:
        value: the input.
        tensor: the type, or types, of the framework's tensors.
        dtype_class: what is known of a tensor's dtype.
    """
    if isinstance(value, tensor):
        return Kind(dtype=dtype_class(value))
    if isinstance(value, bool | int | float):
        return NUMBER
    return None if callable(value) and not isinstance(value, EdgeList) else Kind(dtype="any", tensor=False)


@dataclass(frozen=True)
class Run:
    """A function made from a formula, and what its errors need."""

    function: FunctionType
    text: str
    calls: frozenset[tuple[int, int]]
    inputs: tuple[str, ...]
    explained: Explained

    def __call__(self, module: object, *inputs: Any) -> Any:
        try:
            return self.function(module, *inputs)
        except Exception as error:
            told = self.explained(error, self.function.__code__, self.text, self.calls)
            if told is error:
                raise
            raise told from None


class Callables:
    """What the function finds its parts in."""

    def __init__(self, parts: Mapping[str, Callable[..., Any]]) -> None:
        self._modules = parts


class Runs:
    """The functions of a front, by formula and by what is known of its inputs.

    Args:
        front: what code is written for.
        kind_of: what is known of an input; None for what can only be called.
        explained: the error to raise instead of a framework's.
        traced: whether it is written as for a captured graph, where numbers may be tensors.
    """

    def __init__(
        self, front: Front, kind_of: Callable[[object], Kind | None], explained: Explained, traced: bool = False
    ) -> None:
        self._front, self._kind_of, self._explained, self._traced = front, kind_of, explained, traced
        self._made = lru_cache(maxsize=1024)(self._make)

    def _make(self, formula: Formula, text: str, kinds: Kinds, parts: frozenset[str], strict: bool) -> Run:
        whole, top, _ = assemble(text, formula.program, {})
        sources = Sources(top, whole, modules=parts, input_kinds=dict(kinds), strict=strict, closed=True)
        analysis = analyse(sources)
        made = function(analysis, self._front, Signature(sources.inputs, assumed=False, traced=self._traced))
        calls = frozenset(value.span for value in analysis.graph.values() if value.op == "call")
        return Run(made, whole, calls, sources.inputs, self._explained)

    def value(self, formula: Formula, values: Mapping[str, Any], strict: bool) -> Any:
        """The value of a formula; values that it does not read are left alone."""
        read = read_by(formula)
        kinds = {name: self._kind_of(value) for name, value in values.items() if name in read}
        parts = frozenset(name for name, kind in kinds.items() if kind is None)
        known = tuple((name, kind) for name in sorted(kinds) if (kind := kinds[name]) is not None)
        run = self._made(formula, formula.text, known, parts, strict)
        return run(Callables({name: values[name] for name in parts}), *(values[name] for name in run.inputs))
