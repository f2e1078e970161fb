"""From a formula to a function that runs on Keras tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import FunctionType
from typing import Any

import keras

from ..formula.analysis import analyse
from ..formula.codegen import Signature, function
from ..formula.formula import Formula
from ..formula.given import read_by
from ..formula.graph import NUMBER, Kind
from ..formula.scope import Sources, assemble
from .failures import explained
from .front import FRONT
from .kernels import COMPLEX, FLOATS, SMALL, Array, Tensor, ops


def kind_of(value: object) -> Kind | None:
    """What is known of an input when it is given; None for what can only be called."""
    if isinstance(value, Tensor):
        return Kind(dtype=dtype_class(value))
    if isinstance(value, bool | int | float):
        return NUMBER
    return None if callable(value) else Kind(dtype="any", tensor=False)


def dtype_class(tensor: Array) -> str:
    if tensor.dtype in COMPLEX:
        return "complex"
    return "float" if tensor.dtype in FLOATS else "small" if tensor.dtype in SMALL else "int"


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
def run_of(
    formula: Formula, text: str, kinds: tuple[tuple[str, Kind], ...], parts: frozenset[str], strict: bool
) -> Run:
    """The function of a formula for inputs of these kinds.

    It is written as for a captured graph, where numbers may be tensors: so may sizes be, of which nobody knows more.
    """
    whole, top, _ = assemble(text, formula.program, {})
    sources = Sources(top, whole, modules=parts, input_kinds=dict(kinds), strict=strict, closed=True)
    analysis = analyse(sources)
    made = function(analysis, FRONT, Signature(sources.inputs, assumed=False, traced=True))
    calls = frozenset(value.span for value in analysis.graph.values() if value.op == "call")
    return Run(made, whole, calls, sources.inputs)


def value_of(formula: Formula, values: Mapping[str, Any], strict: bool) -> Any:
    """The value of a formula on Keras tensors."""
    read = read_by(formula)
    given = {name: as_value(value) for name, value in values.items() if name in read}
    kinds = {name: kind_of(value) for name, value in given.items()}
    parts = frozenset(name for name, kind in kinds.items() if kind is None)
    known = tuple((name, kind) for name in sorted(kinds) if (kind := kinds[name]) is not None)
    run = run_of(formula, formula.text, known, parts, strict)
    return run(Callables({name: given[name] for name in parts}), *(given[name] for name in run.inputs))


def as_value(value: Any) -> Any:
    """What a variable holds; all else as it is."""
    return ops.convert_to_tensor(value) if isinstance(value, keras.Variable) else value
