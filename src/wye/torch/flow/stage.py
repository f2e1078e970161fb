"""How a module is called within a flow: where the flowing value goes, and which side inputs it takes by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from ...errors import InputError, PartError, did_you_mean, listed
from ...formula.deciding import FLOWING
from ...formula.formula import Formula
from ..join import Frozen, Join
from ..keras_layer import KerasLayer, adopted
from .condition import Wants
from .refusal import refuse
from .values import Value


@dataclass(frozen=True)
class Stage:
    """How a module is called.

    Args:
        module: the module.
        flowing: the keyword of the flowing value; None: it comes first.
        sides: for each keyword the side input that it takes.
        required: keywords that must be given.
    """

    module: nn.Module
    flowing: str | None
    sides: Mapping[str, str]
    required: frozenset[str] = frozenset()

    def __call__(self, x: Value, sides: Mapping[str, Any]) -> Value:
        if not self.sides:
            return self.module(x) if self.flowing is None else self.module(**{self.flowing: x})
        taken = {keyword: sides[name] for keyword, name in self.sides.items() if name in sides}
        for keyword in self.required - taken.keys():
            name = self.sides[keyword]
            refuse(
                f"a stage takes the side input `{name}`, which is not given.",
                f"{title(self.module)}(..., {keyword}=...)",
                f"side inputs: {listed(sides)}",
                f"give {name}=..., or take it from another: Takes(module, {keyword}='...')",
                InputError,
            )
        return self.module(x, **taken) if self.flowing is None else self.module(**{self.flowing: x}, **taken)


def title(module: nn.Module) -> str:
    """What a user calls the module: its class, or the function that it stands for."""
    if isinstance(module, Takes | Frozen):
        return title(module.module)
    if isinstance(module, KerasLayer):
        return type(module.layer).__name__
    return str(module.name) if isinstance(module, Called) else type(module).__name__


def stage(module: nn.Module) -> Stage:
    """How to call a module, from its own declaration or from the signature of its forward."""
    if isinstance(module, Wants):
        return Stage(module, None, {name: name for name in sorted(module.wants)})
    if isinstance(module, Frozen):
        return replace(stage(module.module), module=module)
    if isinstance(module, Takes):
        inner = stage(module.module)
        sides = {**inner.sides, **module.names}
        return Stage(module, inner.flowing, sides, inner.required)
    if isinstance(module, Join):
        flowing = FLOWING if FLOWING in module.inputs else module.inputs[0] if module.inputs else None
        return Stage(module, flowing, {name: name for name in module.inputs if name != flowing})
    found, _ = signature(module)
    required = frozenset(name for name, needed in found.items() if needed)
    return Stage(module, None, {name: name for name in found}, required)


def signature(module: nn.Module) -> tuple[dict[str, bool], bool]:
    """The keywords of a forward behind its first argument, and whether each is required; and whether it hides more."""
    if isinstance(module, KerasLayer):
        return module.sides(), False
    target = module.function if isinstance(module, Called) else module.forward
    try:
        found = list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):
        return {}, True
    hides = any(one.kind in (one.VAR_KEYWORD, one.POSITIONAL_ONLY) for one in found)
    named = [one for one in found[1:] if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    return {one.name: one.default is one.empty for one in named}, hides


class Takes(nn.Module):
    """A module whose keywords are fed from side inputs of other names.

    Args:
        module: the module.
        **names: for each of its keywords the side input that it takes.

    Raises:
        PartError: the module has no such keyword.

    Example:
        >>> import torch, wye
        >>> layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        >>> net = wye.Chain(wye.Takes(layer, src_key_padding_mask="padding"))
        >>> net(torch.zeros(2, 3, 8), padding=torch.zeros(2, 3, dtype=torch.bool)).shape
        torch.Size([2, 3, 8])
    """

    def __init__(self, module: nn.Module, /, **names: str) -> None:
        super().__init__()
        module = as_module(module, "Takes(...)")
        known = stage(module).sides
        declares = isinstance(module, Wants | Join | Takes) or not signature(module)[1]
        for keyword, name in names.items():
            if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
                got = type(name).__name__
                raise PartError(
                    "a keyword takes a side input by its name.", f"{keyword}=...", got, f'write {keyword}="mask"'
                )
            if declares and keyword not in known:
                fix = did_you_mean(keyword, known, f"its keywords are {listed(known)}")
                raise PartError(
                    f"{title(module)} has no keyword `{keyword}`.", f"Takes(..., {keyword}={name!r})", keyword, fix
                )
        self.module = module
        self.names = names

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def extra_repr(self) -> str:
        return ", ".join(f"{keyword}={name!r}" for keyword, name in self.names.items())


class Called(nn.Module):
    """A function as a stage."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    @property
    def name(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def extra_repr(self) -> str:
        return self.name


def as_module(value: Any, where: str) -> nn.Module:
    """A module as it is; a formula as a Join of its inputs; a function as a module that calls it."""
    value = adopted(value, where[where.find("(") + 1 : where.find("=")] if "=" in where else "layer", where)
    if isinstance(value, nn.Module):
        return value
    if isinstance(value, str | Formula):
        return Join(value)
    if isinstance(value, type) and issubclass(value, nn.Module):
        raise PartError("a stage is a module, not a class.", where, value.__name__, f"write {value.__name__}()")
    if callable(value) and not isinstance(value, type):
        return Called(value)
    fix = 'give a module, a formula such as "relu(x)", or a function'
    got = type(value).__name__
    raise PartError(f"a stage is a module, a formula or a function, not {got}.", where, got, fix)


def share(module: nn.Module, names: frozenset[str]) -> None:
    """Side inputs that are not per sample are so all the way down."""
    for child in module.children():
        if isinstance(child, Wants):
            child.shared |= names
            share(child, child.shared)
        elif isinstance(child, Takes):
            inner = frozenset(keyword for keyword, name in stage(child).sides.items() if name in names)
            share(child, inner)
        elif isinstance(child, Frozen):
            share(child, names)
