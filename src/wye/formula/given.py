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
def formula_of(text: str) -> Formula:
    """The formula of a text, as it is typed."""
    return Formula(text)


def text_of(formula: str | Formula, strict: object) -> str:
    """The text as typed, once it is clear that `strict` is the setting and not a value."""
    if not isinstance(strict, bool):
        fix = "write strict=False, or call the value otherwise"
        raise InputError("`strict` is a setting, not a value.", "evaluate(..., strict=...)", type(strict).__name__, fix)
    if isinstance(formula, str):
        return formula
    return Formula(formula).text


@lru_cache(maxsize=1024)
def read_by(formula: Formula) -> frozenset[str]:
    """The names of values that the formula may read."""
    return frozenset({*formula.names, *formula.calls, *formula.axes, *line_names(formula.program)})


def flat(values: Mapping[str, Any]) -> list[Any]:
    """All that is given, inside tuples and dicts too."""
    found: list[Any] = []
    waiting = list(values.values())
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
        elif isinstance(value, tuple | list):
            waiting.extend(value)  # pyright: ignore[reportUnknownArgumentType]
        else:
            found.append(value)
    return found


def holds(values: Mapping[str, Any], kind: Any) -> bool:
    """Whether a value of that type is given, by itself or inside."""
    for value in values.values():
        if isinstance(value, kind):
            return True
    return any(isinstance(value, kind) for value in flat(values))


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


def on_arrays(text: str, values: Mapping[str, Any], strict: bool) -> Any:
    """The value of a formula on arrays and numbers."""
    from .reference import evaluate

    formula = formula_of(text)
    read = read_by(formula)
    given = {name: value for name, value in values.items() if name in read}
    return evaluate(formula.program, given, formula.text, strict=strict)
