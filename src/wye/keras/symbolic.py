"""A formula in Keras's functional API: one operation, whose shape is found on symbols and whose value in the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import KerasTensor

from ..errors import InputError
from ..formula.edges import EdgeList
from ..formula.formula import Formula
from .kernels import Tensor, ops
from .making import value_of


@keras.saving.register_keras_serializable("wye")
class Evaluation(keras.Operation):
    """The value of a formula, as a step of a functional model.

    Args:
        formula: the text.
        strict: whether undeclared values must fit as they are.
        name: the name of the step.
    """

    def __init__(self, formula: str, strict: bool = True, name: str | None = None) -> None:
        super().__init__(name=name)
        self.formula, self.strict = Formula(formula), strict

    def call(self, **values: Any) -> Any:
        found = value_of(self.formula.text, values, self.strict)
        return tuple(map(ops.convert_to_tensor, found)) if isinstance(found, tuple) else ops.convert_to_tensor(found)

    def compute_output_spec(self, **values: Any) -> Any:
        """The same run on symbols: they check all that is known of the shapes."""
        found = value_of(self.formula.text, fresh(values), self.strict)
        return tuple(map(symbol_of, found)) if isinstance(found, tuple) else symbol_of(found)

    def get_config(self) -> dict[str, Any]:
        return {"formula": str(self.formula), "strict": self.strict, "name": self.name}


def fresh(values: Any) -> Any:
    """Symbols without a past, so that finding the shape leaves no trace in a model; all else as it is."""

    def one(value: Any) -> Any:
        return KerasTensor(value.shape, value.dtype) if isinstance(value, KerasTensor) else value

    return keras.tree.map_structure(one, values)


def symbol_of(value: Any) -> KerasTensor:
    """A symbol of a tensor or of a number."""
    tensor = value if isinstance(value, Tensor) else ops.convert_to_tensor(value)
    return KerasTensor(tuple(tensor.shape), keras.backend.standardize_dtype(tensor.dtype))


def evaluated(text: str, values: Mapping[str, Any], strict: bool) -> Any:
    """The symbol of a formula's value; what can be trained or called needs an owner, and is refused."""
    for name, value in values.items():
        if isinstance(value, EdgeList):
            fix = f"give them to a model as a part: Join(formula, {name}=...)"
            raise InputError(
                f"`{name}` is a graph, which a formula of symbols cannot hold.", "evaluate(...)", "Edges", fix
            )
        if callable(value) or isinstance(value, keras.Variable):
            kind = "a variable" if isinstance(value, keras.Variable) else "called"
            raise InputError(
                f"`{name}` is {kind}, and a formula of symbols owns nothing that could be trained or saved.",
                "evaluate(...)",
                type(value).__name__,
                f"call it first and give what comes out: {name}=layer(x)",
            )
    return Evaluation(text, strict)(**values)
