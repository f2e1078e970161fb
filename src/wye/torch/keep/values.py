"""Settings that are no plain values: dtypes, modules, tensors and registered functions; formulas and schedules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ...errors import PartError
from ...formula.formula import Formula
from ...formula.schedule import Schedule
from . import layers, registry
from .registry import OwnTensor, name_of


class UnregisteredError(LookupError):
    """A name in a file that is registered nowhere here."""


def class_name(cls: type) -> str | None:
    """The name of a class of modules in files."""
    return layers.KINDS.get(cls) or registry.name_of(cls, registry.CLASSES)


def class_of(name: Any) -> type[nn.Module]:
    """The class of a name."""
    found = layers.LAYERS.get(name) or registry.CLASSES.get(name) if isinstance(name, str) else None
    if found is None:
        raise UnregisteredError(str(name))
    return found


class Held:
    """A part that a module holds under its name.

    Args:
        kind: `module parameter buffer` or `table`.
        by: the input that chooses entries of a table.
    """

    def __init__(self, kind: str, by: str = "") -> None:
        self.kind, self.by = kind, by


def special(module: nn.Module) -> Callable[[Any], tuple[str, Any] | None]:
    """What a setting of a module is called that is no plain value; see `plain.Special`."""

    def known(value: Any) -> tuple[str, Any] | None:
        if isinstance(value, Held):
            return (value.kind, value.by) if value.kind == "table" else ("held", value.kind)
        if isinstance(value, Formula):
            return "formula", value.text
        if isinstance(value, Schedule):
            return "schedule", value.formula.text
        if isinstance(value, torch.dtype):
            return "dtype", str(value).removeprefix("torch.")
        if isinstance(value, OwnTensor):
            return "tensor", value.name
        if isinstance(value, nn.Module):
            path = next((path for path, one in module.named_modules() if one is value), None)
            if path is None:
                got, fix = type(value).__name__, "hold it, or say how to build one as it is now in a method settings()"
                where = f"{type(module).__name__}(...)"
                raise PartError("an argument is a module that is not in the module any more.", where, got, fix)
            return "module", path
        if isinstance(value, type):
            kind = class_name(value)
            return None if kind is None else ("class", kind)
        name = name_of(value, registry.FUNCTIONS) if callable(value) else None
        return None if name is None else ("function", name)

    return known


def again(child: Callable[[str], nn.Module], own: Callable[[str], torch.Tensor]) -> Callable[[str, Any], Any]:
    """The values again that `special` wrote.

    Args:
        child: gives a module inside by its path.
        own: gives a tensor of the module, of which only dtype and shape are known yet.
    """

    def read(kind: str, told: Any) -> Any:
        if kind == "class":
            return class_of(told)
        if not isinstance(told, str):
            raise ValueError(f"`{kind}` of {type(told).__name__}")
        if kind == "held" and told in ("module", "parameter", "buffer"):
            return Held(told)
        if kind == "table":
            return Held(kind, told)
        if kind == "function" and told not in registry.FUNCTIONS:
            raise UnregisteredError(told)
        dtype = getattr(torch, told, None) if kind == "dtype" and told.isidentifier() else None
        if kind == "dtype" and not isinstance(dtype, torch.dtype):
            raise ValueError(f"no dtype `{told}`")
        ways: dict[str, Callable[[str], Any]] = {
            "formula": Formula,
            "schedule": Schedule,
            "dtype": lambda _: dtype,
            "module": child,
            "tensor": own,
            "function": registry.FUNCTIONS.__getitem__,
        }
        if kind not in ways:
            raise ValueError(f"a setting of kind `{kind[:40]}`")
        return ways[kind](told)

    return read
