"""`Runs`: what stands behind `evaluate` on every front: the function made of a formula, kept, and called on values."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any, TypeVar

from .analysis import analyse
from .codegen import Signature, function
from .edges import EdgeList
from .emission import Front
from .formula import Formula
from .given import formula_of, read_by
from .graph import NUMBER, Kind
from .scope import Sources, assemble

Kinds = tuple[tuple[str, Kind], ...]
Explained = Callable[[Exception, CodeType, str, frozenset[tuple[int, int]]], Exception]
Mark = Hashable
"""All that the kind of an input depends on: the dtype of a tensor, the type of anything else."""
Called = TypeVar("Called", bound=Callable[..., Any])


def constant_in_graphs(function: Called) -> Called:
    """Of constants and of constants alone: torch's compiler calls it while it captures, and keeps what it returns.

    This is `torch.compiler.assume_constant_result` without its import.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def kind_of(mark: Mark, dtype_class: Callable[[Any], str]) -> Kind | None:
    """What is known of an input when it is given; None for what can only be called.

    Args:
        mark: that of the input.
        dtype_class: what is known of a dtype.
    """
    if not isinstance(mark, type):
        return Kind(dtype=dtype_class(mark))
    if issubclass(mark, bool | int | float):
        return NUMBER
    called = any("__call__" in vars(base) for base in mark.__mro__)
    return None if called and not issubclass(mark, EdgeList) else Kind(dtype="any", tensor=False)


@dataclass(frozen=True)
class Run:
    """A function made from a formula, and what its errors need."""

    function: FunctionType
    text: str
    calls: frozenset[tuple[int, int]]
    inputs: tuple[str, ...]
    parts: frozenset[str]
    explained: Explained

    def __call__(self, values: Mapping[str, Any]) -> Any:
        parts = Callables({name: values[name] for name in self.parts}) if self.parts else None
        try:
            return self.function(parts, *[values[name] for name in self.inputs])
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
        dtype_class: what is known of a dtype.
        explained: the error to raise instead of a framework's.
        traced: whether it is written as for a captured graph, where numbers may be tensors.
    """

    def __init__(
        self, front: Front, dtype_class: Callable[[Any], str], explained: Explained, traced: bool = False
    ) -> None:
        self._front, self._dtype_class, self._explained, self._traced = front, dtype_class, explained, traced
        self._made = lru_cache(maxsize=1024)(self._make)
        self.of = lru_cache(maxsize=4096)(self._of)

    def _of(self, text: str, strict: bool, names: tuple[str, ...], marks: tuple[Mark, ...]) -> Run:
        """What computes a formula from such values; values that it does not read are left alone.

        Args:
            text: the formula.
            strict: whether undeclared values must fit as they are.
            names: of the values.
            marks: of the values, in the same order.
        """
        formula = formula_of(text)
        read = read_by(formula)
        kinds = {
            name: kind_of(mark, self._dtype_class) for name, mark in zip(names, marks, strict=True) if name in read
        }
        parts = frozenset(name for name, kind in kinds.items() if kind is None)
        known = tuple((name, kind) for name in sorted(kinds) if (kind := kinds[name]) is not None)
        return self._made(formula, text, known, parts, strict)

    def _make(self, formula: Formula, text: str, kinds: Kinds, parts: frozenset[str], strict: bool) -> Run:
        whole, top, _ = assemble(text, formula.program, {})
        sources = Sources(top, whole, modules=parts, input_kinds=dict(kinds), strict=strict, closed=True)
        analysis = analyse(sources)
        made = function(analysis, self._front, Signature(sources.inputs, assumed=False, traced=self._traced))
        calls = frozenset(value.span for value in analysis.graph.values() if value.op == "call")
        return Run(made, whole, calls, sources.inputs, parts, self._explained)
