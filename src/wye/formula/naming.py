"""The names that parts may bear."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..errors import PartError
from .functions import FUNCTIONS

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")


def check_names(parts: Mapping[str, Any], reserved: frozenset[str]) -> None:
    """Refuses names that cannot be read in a formula, or that the module itself needs."""
    for name in parts:
        if name in reserved:
            raise PartError(
                f"the name `{name}` belongs to the module.", f"{name}=...", name, f"call the part `{name}_part`"
            )
        if not NAME.match(name):
            raise PartError(
                f"`{name}` is no name.", f"{name}=...", repr(name), "use ASCII letters, digits and _, a letter first"
            )
        if name in FUNCTIONS and FUNCTIONS[name].kind == "random":
            raise PartError(f"the name `{name}` belongs to a die.", f"{name}=...", name, f"call the part `{name}_part`")
