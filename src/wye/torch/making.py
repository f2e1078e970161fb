"""From a formula and its parts to functions that run: made once, checked before anything is replaced."""

from __future__ import annotations

from collections.abc import Sequence
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from ..formula.analysis import Analysis
from ..formula.codegen import Signature, function
from ..formula.graph import Kind
from ..formula.recipe import Prepared, Recipe, terms_of
from ..formula.running import kind_of
from .front import FRONT
from .kernels import FLOATS, SMALL


def input_kind(value: object) -> Kind | None:
    """What is known of an input when it is given; None for what can only be called."""
    return kind_of(value.dtype if isinstance(value, Tensor) else type(value), dtype_class)


def dtype_class(dtype: torch.dtype) -> str:
    if dtype.is_complex:
        return "complex"
    return "float" if dtype in FLOATS else "small" if dtype in SMALL else "int"


class Made(Prepared):
    """The functions of one formula: for tensors of floats, for other kinds of inputs, and for capturing.

    See `Prepared`.
    """

    def __init__(self, recipe: Recipe, inputs: Sequence[str] | None = None) -> None:
        super().__init__(recipe, inputs)
        self.numbers = any(value.op == "number" for value in self.analysis.graph.values())
        self.forward = self._function(self.analysis, Signature(self.inputs, numbers=self.numbers))
        unknown_kinds = dict.fromkeys(self.inputs, Kind(dtype="any", tensor=False))
        self.traced = self._function(recipe.analysis(unknown_kinds), Signature(self.inputs, assumed=False, traced=True))
        self.variants: dict[tuple[Kind | None, ...], FunctionType] = {}

    def _function(self, analysis: Analysis, signature: Signature) -> FunctionType:
        recipe = self.recipe
        terms = terms_of(analysis) if recipe.terms else None
        complete = Signature(
            signature.inputs,
            frozenset(self.inputs) - frozenset(self.reads),
            signature.assumed,
            signature.numbers,
            signature.traced,
            recipe.callables,
            "_finish" if recipe.terms else "",
        )
        return function(analysis, FRONT, complete, terms)

    def variant(self, values: Sequence[Any]) -> FunctionType:
        """The function for inputs that are not all tensors of floats."""
        kinds = tuple(map(input_kind, values))
        if kinds not in self.variants:
            given = {
                name: kind or Kind(dtype="any", tensor=False) for name, kind in zip(self.inputs, kinds, strict=True)
            }
            analysis = self.recipe.analysis(given)
            self.variants[kinds] = self._function(analysis, Signature(self.inputs, assumed=False))
        return self.variants[kinds]

    def codes(self) -> list[FunctionType]:
        """All functions made so far; those that another one calls come before it."""
        return [*self.variants.values(), self.traced, self.forward]
