"""`evaluate`: the value of a formula on whatever values it is given."""

from __future__ import annotations

import sys
from typing import Any

from .formula.formula import Formula
from .formula.given import flat, holds, is_array, on_arrays, refuse_arrays, text_of


def evaluate(formula: str | Formula, /, *, strict: bool = True, **values: Any) -> Any:
    """The value of a formula, computed by the framework whose values are given.

    NumPy arrays and plain numbers are computed in NumPy, in float64; torch tensors by torch, with gradients; other
    tensors of Keras by `keras.ops` on its backend. Values that the formula does not read are left alone, so a whole
    batch can be given.

    Args:
        formula: the text, see the language's page.
        strict: whether undeclared values must fit as they are; False broadcasts as the framework does.
        **values: tensors, arrays, numbers, tuples or dicts of them, and callables, by name.

    Returns:
        A tensor, an array or a number; several where the formula's last line has several values.

    Raises:
        FormulaError: the text is not in the language, or the values do not fit it.

    Example:
        >>> import numpy, wye
        >>> w, pred, label = numpy.array([1.0, 3.0]), numpy.ones((2, 4)), numpy.zeros((2, 4))
        >>> float(wye.evaluate("mean(w[b] * (pred[b, k] - label[b, k]) ** 2)", w=w, pred=pred, label=label))
        2.0
    """
    text = text_of(formula, strict)
    torch, keras = sys.modules.get("torch"), sys.modules.get("keras")
    if torch is not None and holds(values, torch.Tensor):
        refuse_arrays(values, "torch.from_numpy")
        from .torch.evaluate import evaluate as on_torch

        return on_torch(text, values, strict)
    if keras is not None and any(_is_of_keras(value, keras) for value in flat(values)):
        from .keras.evaluation import evaluate as on_keras

        return on_keras(text, strict=strict, **values)
    return on_arrays(text, values, strict)


def _is_of_keras(value: object, keras: Any) -> bool:
    return isinstance(value, keras.KerasTensor | keras.Variable) or (keras.ops.is_tensor(value) and not is_array(value))
