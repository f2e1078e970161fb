"""From a formula to functions that run on Keras tensors: made for each kind of inputs, and kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any

import keras

from ..formula.codegen import Signature, function
from ..formula.graph import Kind
from ..formula.recipe import Prepared, Recipe, terms_of
from ..formula.running import Mark, Runs, kind_of
from .failures import explained
from .front import FRONT
from .kernels import COMPLEX, FLOATS, SMALL, Tensor, ops


def dtype_class(dtype: Any) -> str:
    if dtype in COMPLEX:
        return "complex"
    return "float" if dtype in FLOATS else "small" if dtype in SMALL else "int"


def input_kind(value: object) -> Kind | None:
    """What is known of an input when it is given; None for what can only be called."""
    return kind_of(_mark(value), dtype_class)


def _mark(value: Any) -> Mark:
    return value.dtype if isinstance(value, Tensor) else type(value)


# As for a captured graph, where numbers may be tensors: so may sizes be, of which nobody knows more.
RUNS = Runs(FRONT, dtype_class, explained, traced=True)


def value_of(text: str, values: Mapping[str, Any], strict: bool) -> Any:
    """The value of a formula on Keras tensors."""
    given = {name: as_value(value) for name, value in values.items()}
    marks = tuple([_mark(value) for value in given.values()])
    return RUNS.of(text, strict, tuple(given), marks)(given)


def as_value(value: Any) -> Any:
    """What a variable holds; all else as it is."""
    return ops.convert_to_tensor(value) if isinstance(value, keras.Variable) else value


class Made(Prepared):
    """The functions of one formula, by what is known of its inputs; see `Prepared`."""

    def __init__(self, recipe: Recipe, inputs: Sequence[str] | None = None) -> None:
        super().__init__(recipe, inputs)
        self.terms = tuple(terms_of(self.analysis)) if recipe.terms else ()
        self.known: dict[tuple[Kind | None, ...], FunctionType] = {}
        self.code = self.function((Kind(dtype="float"),) * len(self.reads)).__doc__ or ""

    def function(self, kinds: tuple[Kind | None, ...]) -> FunctionType:
        """The function for inputs of such kinds, in the order in which the formula reads them."""
        given = {name: kind or Kind(dtype="any", tensor=False) for name, kind in zip(self.reads, kinds, strict=True)}
        recipe, analysis = self.recipe, self.recipe.analysis(given)
        terms = terms_of(analysis) if recipe.terms else None
        signature = Signature(
            self.reads,
            assumed=False,
            traced=True,
            callables=recipe.callables,
            finish="_finish" if recipe.terms else "",
        )
        return function(analysis, FRONT, signature, terms)

    def __call__(self, parts: object, values: Mapping[str, Any]) -> Any:
        """The value of the formula over parts and inputs; what goes wrong is told in its words."""
        given = [as_value(values[name]) for name in self.reads]
        kinds = tuple(map(input_kind, given))
        made = self.known.get(kinds)
        if made is None:
            made = self.known[kinds] = self.function(kinds)
        try:
            return made(parts, *given)
        except Exception as error:
            told = explained(error, made.__code__, self.text, self.calls)
            if told is error:
                raise
            raise told from None
