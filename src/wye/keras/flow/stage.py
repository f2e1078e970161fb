"""How a layer is called within a flow: where the flowing value goes, and which side inputs it takes by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras

from ...errors import PartError
from ...formula.deciding import FLOWING
from ...formula.formula import Formula
from ...formula.parting import not_given
from ..frozen import Frozen
from ..join import Join
from ..parts import Parts, is_torch_module
from ..writing import unwritten
from .values import Value

OWN = ("training", "mask")
"""Arguments that Keras itself gives."""


class Wants(Parts):
    """A layer of a flow, as the one around it sees it: it says which side inputs it wants."""

    wants: frozenset[str]
    shared: frozenset[str]


@dataclass(frozen=True)
class Stage:
    """How a layer is called.

    Args:
        layer: the layer.
        flowing: the keyword of the flowing value; None: it comes first.
        sides: the keywords that take side inputs, which bear the same names.
        required: keywords that must be given.
    """

    layer: Any
    flowing: str | None
    sides: tuple[str, ...]
    required: frozenset[str] = frozenset()

    def __call__(self, x: Value, sides: Mapping[str, Any]) -> Value:
        taken = {name: sides[name] for name in self.sides if name in sides}
        for name in self.required - taken.keys():
            raise not_given(name, name, title(self.layer), sides)
        return self.layer(x, **taken) if self.flowing is None else self.layer(**{self.flowing: x}, **taken)


def title(layer: keras.Layer) -> str:
    """What a user calls the layer: its class, or the function that it stands for."""
    if isinstance(layer, Frozen):
        return title(layer.module)
    return layer.title if isinstance(layer, Called) else type(layer).__name__


def stage(layer: keras.Layer) -> Stage:
    """How to call a layer, from its own declaration or from the signature of its call."""
    if isinstance(layer, Wants):
        return Stage(layer, None, tuple(sorted(layer.wants)))
    if isinstance(layer, Frozen):
        return replace(stage(layer.module), layer=layer)
    if isinstance(layer, Join):
        flowing = FLOWING if FLOWING in layer.inputs else layer.inputs[0] if layer.inputs else None
        return Stage(layer, flowing, tuple(name for name in layer.inputs if name != flowing))
    target = layer.function if isinstance(layer, Called) else layer.call
    try:
        found = list(inspect.signature(target).parameters.values())[1:]
    except (TypeError, ValueError):
        found = []
    named = [one for one in found if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY) and one.name not in OWN]
    required = frozenset(one.name for one in named if one.default is one.empty)
    return Stage(layer, None, tuple(one.name for one in named), required)


class Called(keras.Layer):
    """A function as a stage."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    @property
    def title(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        raise unwritten("function", self.function)


def as_layer(value: Any, where: str) -> keras.Layer:
    """A layer as it is; a formula as a Join of its inputs; a function as a layer that calls it."""
    if isinstance(value, keras.Layer):
        return value
    if isinstance(value, str | Formula):
        return Join(value)
    got = type(value).__name__
    if is_torch_module(value):
        fix = "wrap it, for Keras on torch: keras.layers.TorchModuleWrapper(module)"
        raise PartError("a stage is a layer of Keras.", where, got, fix)
    if isinstance(value, type) and issubclass(value, keras.Layer):
        raise PartError("a stage is a module, not a class.", where, value.__name__, f"write {value.__name__}()")
    if callable(value) and not isinstance(value, type):
        return Called(value)
    fix = 'give a module, a formula such as "relu(x)", or a function'
    raise PartError(f"a stage is a module, a formula or a function, not {got}.", where, got, fix)


def share(layer: keras.Layer, names: frozenset[str]) -> None:
    """Side inputs that are not per sample are so all the way down."""
    for child in layer._layers:  # pyright: ignore[reportPrivateUsage]
        if isinstance(child, Wants):
            child.shared |= names
            share(child, child.shared)
        elif isinstance(child, Frozen):
            share(child, names)
