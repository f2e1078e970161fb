"""What a module is made of: the kinds of parts, and the names that they may bear."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ..errors import PartError
from ..formula.formula import Formula
from ..formula.functions import FUNCTIONS
from ..formula.schedule import Schedule

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")


def part_kind(name: str, value: object) -> str:
    """`module parameter buffer number schedule formula` or `callable`.

    Raises:
        PartError: the value is none of these.
    """
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (nn.Module, "module"),
        (nn.Parameter, "parameter"),
        (Tensor, "buffer"),
        ((bool, int, float), "number"),
        (Schedule, "schedule"),
        ((Formula, str), "formula"),
    )
    for types, kind in kinds:
        if isinstance(value, types):
            return kind
    if callable(value):
        return "callable"
    raise PartError(
        f"`{name}` is no part.",
        f"{name}={type(value).__name__}(...)",
        type(value).__name__,
        "give a module, a Parameter, a tensor, a number, a formula, a Schedule or a callable",
    )


def check_names(parts: Mapping[str, Any], reserved: frozenset[str]) -> None:
    """Refuses names that cannot be read in a formula, or that the module itself needs."""
    for name in parts:
        if name in reserved:
            raise PartError(f"the name `{name}` belongs to the module.", f"{name}=...", name, f"call the part `{name}_part`")
        if not NAME.match(name):
            raise PartError(f"`{name}` is no name.", f"{name}=...", repr(name), "use ASCII letters, digits and _, a letter first")
        if name in FUNCTIONS and FUNCTIONS[name].kind == "random":
            raise PartError(f"the name `{name}` belongs to a die.", f"{name}=...", name, f"call the part `{name}_part`")
