"""`evaluate`: the value of a formula on whatever values it is given."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import Any

from .errors import InputError
from .formula.algebra import line_names
from .formula.formula import Formula


@lru_cache(maxsize=1024)
def _formula(text: str) -> Formula:
    return Formula(text)


def evaluate(formula: str | Formula, /, *, strict: bool = True, **values: Any) -> Any:
    """The value of a formula, computed by the framework whose values are given.

    NumPy arrays and plain numbers are computed in NumPy, in float64; torch tensors by torch, with gradients. Values
    that the formula does not read are left alone, so a whole batch can be given.

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
    if not isinstance(strict, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
        fix = "write strict=False, or call the value otherwise"
        raise InputError("`strict` is a setting, not a value.", "evaluate(..., strict=...)", type(strict).__name__, fix)
    checked = formula if isinstance(formula, Formula) else _formula(formula)
    torch = sys.modules.get("torch")
    if torch is not None and any(isinstance(value, torch.Tensor) for value in _flat(values)):
        _refuse_arrays(values)
        from .torch.evaluate import evaluate as on_torch

        return on_torch(checked, values, strict)
    from .formula.reference import evaluate as on_arrays

    read = {*checked.names, *checked.calls, *checked.axes, *line_names(checked.program)}
    given = {name: value for name, value in values.items() if name in read}
    return on_arrays(checked.program, given, checked.text, strict=strict)


def _flat(values: Any) -> list[Any]:
    """All that is given, inside tuples and dicts too."""
    found, waiting = list[Any](), list(values.values())
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
        elif isinstance(value, tuple | list):
            waiting.extend(value)  # pyright: ignore[reportUnknownArgumentType]
        else:
            found.append(value)
    return found


def _refuse_arrays(values: dict[str, Any]) -> None:
    numpy = sys.modules.get("numpy")
    for name, value in values.items():
        if numpy is not None and isinstance(value, numpy.ndarray):
            raise InputError(
                "tensors and arrays are given together.",
                "evaluate(...)",
                f"`{name}` is a NumPy array",
                f"give torch.from_numpy({name})",
            )
