"""Settings in words of JSON, and back: what Python knows and JSON does not is an object with one key, its kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from ..errors import PartError

Special = Callable[[Any], tuple[str, Any] | None]
"""Says of a value that only a front knows its kind and what is written; None where it does not know it either."""
Again = Callable[[str, Any], Any]
"""The value again from its kind and what was written.

Raises:
    ValueError: there is no such kind.
"""


def written(value: Any, special: Special, name: str, where: str) -> Any:
    """A value in words of JSON.

    Args:
        value: None, a truth, a number, a text; lists, tuples and dicts of them; and what `special` knows.
        special: see `Special`.
        name: of the setting, for errors.
        where: the module that it is a setting of, for errors.

    Raises:
        PartError: it is none of these.
    """
    value = _of_python(value)
    kind = cast("type[object]", type(value))
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if kind is list or kind is tuple or kind.__name__ == "Size":  # the tuple that shapes of torch are
        items = [written(item, special, name, where) for item in value]
        return items if kind is list else {"tuple": items}
    if kind is dict and all(isinstance(key, str) for key in value):
        return {"dict": {key: written(item, special, key, where) for key, item in value.items()}}
    known = special(value)
    if known is None:
        raise _unwritten(name, value, where)
    return {known[0]: known[1]}


def _of_python(value: Any) -> Any:
    """A number of NumPy as one of Python."""
    return cast(Any, value).item() if isinstance(value, np.generic) else value


def _unwritten(name: str, value: object, where: str) -> PartError:
    """A callable in a file would be code."""
    if callable(value):
        got = getattr(value, "__name__", type(value).__name__)
        fix = "write it as a formula, or register it where it is defined: @wye.register"
        return PartError(f"`{name}` is a callable, which no file holds.", where, got, fix)
    fix = "give numbers, texts, lists, tuples, dicts and modules, or say how to build it in a method settings()"
    return PartError(f"`{name}` is of a kind that no file holds.", where, type(value).__name__, fix)


def read(value: Any, again: Again) -> Any:
    """The value that `written` wrote.

    Raises:
        ValueError: it is in no words that `written` has.
    """
    if isinstance(value, list):
        return [read(item, again) for item in cast(list[Any], value)]
    if not isinstance(value, Mapping):
        return value
    if len(cast(Mapping[str, Any], value)) != 1:
        raise ValueError("a setting of two kinds")
    ((kind, told),) = cast(Mapping[str, Any], value).items()
    if kind == "float" and told in ("inf", "-inf", "nan"):
        return float(told)
    if kind == "tuple" and isinstance(told, list):
        return tuple(read(item, again) for item in cast(list[Any], told))
    if kind == "dict" and isinstance(told, Mapping):
        return {key: read(item, again) for key, item in cast(Mapping[str, Any], told).items()}
    return again(kind, told)
