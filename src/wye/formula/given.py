"""What `evaluate` is given, whatever the framework."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ..errors import InputError
from .algebra import line_names
from .formula import Formula


@lru_cache(maxsize=1024)
def _formula(text: str) -> Formula:
    return Formula(text)


def formula_of(formula: str | Formula, strict: object) -> Formula:
    """The formula, once it is clear that `strict` is the setting and not a value."""
    if not isinstance(strict, bool):
        fix = "write strict=False, or call the value otherwise"
        raise InputError("`strict` is a setting, not a value.", "evaluate(..., strict=...)", type(strict).__name__, fix)
    return formula if isinstance(formula, Formula) else _formula(formula)


@lru_cache(maxsize=1024)
def read_by(formula: Formula) -> frozenset[str]:
    """The names of values that the formula may read."""
    return frozenset({*formula.names, *formula.calls, *formula.axes, *line_names(formula.program)})


def flat(values: Mapping[str, Any]) -> list[Any]:
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


def is_array(value: object) -> bool:
    """Whether it is one of NumPy's, which is not loaded to find out."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.ndarray)


def refuse_arrays(values: Mapping[str, Any], converter: str) -> None:
    """Arrays beside tensors are an error that names the function which makes tensors of them."""
    for name, value in values.items():
        if is_array(value):
            raise InputError(
                "tensors and arrays are given together.",
                "evaluate(...)",
                f"`{name}` is a NumPy array",
                f"give {converter}({name})",
            )


def on_arrays(formula: Formula, values: Mapping[str, Any], strict: bool) -> Any:
    """The value of a formula on arrays and numbers."""
    from .reference import evaluate

    read = read_by(formula)
    given = {name: value for name, value in values.items() if name in read}
    return evaluate(formula.program, given, formula.text, strict=strict)
