"""From a formula to a function that runs on Keras tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from ..formula.formula import Formula
from ..formula.given import read_by
from ..formula.graph import Kind
from ..formula.running import Runs, kind_of
from .failures import explained
from .front import FRONT
from .kernels import COMPLEX, FLOATS, SMALL, Array, Tensor, ops


def dtype_class(tensor: Array) -> str:
    if tensor.dtype in COMPLEX:
        return "complex"
    return "float" if tensor.dtype in FLOATS else "small" if tensor.dtype in SMALL else "int"


def input_kind(value: object) -> Kind | None:
    """What is known of an input when it is given; None for what can only be called."""
    return kind_of(value, Tensor, dtype_class)


# As for a captured graph, where numbers may be tensors: so may sizes be, of which nobody knows more.
RUNS = Runs(FRONT, input_kind, explained, traced=True)


def value_of(formula: Formula, values: Mapping[str, Any], strict: bool) -> Any:
    """The value of a formula on Keras tensors."""
    read = read_by(formula)
    return RUNS.value(formula, {name: as_value(value) for name, value in values.items() if name in read}, strict)


def as_value(value: Any) -> Any:
    """What a variable holds; all else as it is."""
    return ops.convert_to_tensor(value) if isinstance(value, keras.Variable) else value
