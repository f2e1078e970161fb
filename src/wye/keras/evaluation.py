"""`evaluate` on Keras tensors: one call, no class; the function made for a text is kept."""

from __future__ import annotations

from typing import Any

from keras import KerasTensor

from ..formula.formula import Formula
from ..formula.given import flat, formula_of, on_arrays, read_by, refuse_arrays, text_of
from .kernels import Tensor, as_it_stands
from .making import value_of
from .symbolic import evaluated


@as_it_stands
def evaluate(formula: str | Formula, /, *, strict: bool = True, **values: Any) -> Any:
    """The value of a formula, computed by `keras.ops` on the backend that Keras runs on.

    In eager, inside of `tf.function` and `jax.jit`, and on symbols of the functional API. NumPy arrays and plain
    numbers alone are computed in NumPy, in float64. While a graph is captured, an index out of range cannot be
    refused: the entry that it picks is NaN.

    Args:
        formula: the text, see the language's page.
        strict: whether undeclared values must fit as they are; False broadcasts as the framework does.
        **values: tensors, variables, symbols, numbers, tuples or dicts of them, and callables, by name.

    Returns:
        A tensor, a symbol or a number; several where the formula's last line has several values.

    Raises:
        FormulaError: the text is not in the language, or the values do not fit it.

    Example:
        >>> import keras, wye.keras as wye
        >>> pred, label = keras.ops.ones((2, 4)), keras.ops.zeros((2, 4))
        >>> w = keras.ops.array([1.0, 3.0])
        >>> float(wye.evaluate("mean(w[b] * (pred[b, k] - label[b, k]) ** 2)", w=w, pred=pred, label=label))
        2.0
    """
    text = text_of(formula, strict)
    read = read_by(formula_of(text))
    given = {name: value for name, value in values.items() if name in read}
    found = flat(given)
    if not any(isinstance(value, Tensor) for value in found):
        return on_arrays(text, given, strict)
    refuse_arrays(given, "keras.ops.convert_to_tensor")
    if any(isinstance(value, KerasTensor) for value in found):
        return evaluated(text, given, strict)
    return value_of(text, given, strict)
