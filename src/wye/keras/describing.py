"""What a model on Keras is made of, in the words that files of wye have: its parts, formulas and variables by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras

from ..formula.formula import Formula
from ..keep.description import Description, Entry, within
from ..keep.reading import DECIDES
from .flow.node import Node
from .frozen import Frozen
from .holding import Holder
from .join import Join
from .sources import Source

STOCK = ("keras.", "keras_core.")
"""The modules of Keras's own layers; what others do with their weights nobody knows."""


def named(model: Any) -> tuple[Description, dict[str, Any]]:
    """The description of a model, and its variables, each under its first key.

    Keys are the names of stages and parts; the layers inside one of Keras's own are counted, and its variables bear
    their own names: `deep.block.mid.kernel`, `net.0.bias`.
    """
    parts, same, ties = dict[str, Entry](), dict[str, str](), dict[str, str]()
    variables, layers, keys = dict[str, Any](), dict[int, str](), dict[int, str]()

    def visit(path: str, layer: Any) -> None:
        if layers.setdefault(id(layer), path) != path:
            same[path] = layers[id(layer)]
            return
        inside = children(layer)
        parts[path] = Entry(kind_of(layer), settings(layer), tuple(inside))
        for name, variable in own(layer):
            key = within(path, name)
            first = keys.setdefault(id(variable), key)
            if first == key:
                variables[key] = variable
            else:
                ties[key] = first
        for name, child in inside.items():
            visit(within(path, name), child)

    visit("", model)
    return Description(parts, same, ties), variables


def missing(model: Any) -> dict[str, tuple[Any, str]]:
    """The tables that a file did not hold, by key: the layer that each belongs to, and its name there."""
    found, known = dict[str, tuple[Any, str]](), set[int]()

    def visit(path: str, layer: Any) -> None:
        if id(layer) in known:
            return
        known.add(id(layer))
        sources: dict[str, Source] = layer._held.sources if isinstance(layer, Join | Node) else {}  # pyright: ignore[reportPrivateUsage]
        found.update({within(path, name): (layer, name) for name, source in sources.items() if not source.given})
        for name, child in children(layer).items():
            visit(within(path, name), child)

    visit("", model)
    return found


def kind_of(layer: Any) -> str:
    """The class of a layer: one of wye, of Keras, or of the user."""
    cls = type(layer)
    if isinstance(layer, Join | Node | Frozen):
        return f"wye.{cls.__name__}"
    return f"keras.{cls.__name__}" if cls.__module__.startswith(STOCK) else cls.__name__


def children(layer: Any) -> dict[str, Any]:
    """The layers inside by name."""
    if isinstance(layer, Frozen):
        return {"module": layer.module}
    if not isinstance(layer, Join | Node):
        return {str(place): child for place, child in enumerate(_tracked(layer))}
    held: Holder = layer._held  # pyright: ignore[reportPrivateUsage]
    found = {name: held.part(name) for name, kind in held.kinds.items() if kind == "module"}
    if isinstance(layer, Node):
        stages: Mapping[str, Any] = layer._stages.by_name  # pyright: ignore[reportPrivateUsage]
        found = {name: getattr(layer, name) for name in stages} | found
        if hasattr(layer, "dice"):
            found["dice"] = layer.dice
    return found


def _tracked(layer: Any) -> list[Any]:
    """The layers in one of Keras, without those that only stand for inputs, and without metrics."""
    return [one for one in layer._layers if not isinstance(one, keras.layers.InputLayer | keras.Metric)]


def own(layer: Any) -> Iterator[tuple[str, Any]]:
    """The variables of a layer itself that a file holds, by name; those of one name are counted."""
    if isinstance(layer, Join | Node):
        held: Holder = layer._held  # pyright: ignore[reportPrivateUsage]
        variables = held._buffers.variables  # pyright: ignore[reportPrivateUsage]
        yield from ((name, one) for name, one in variables.items() if name not in held.unsaved)
        if hasattr(layer, "_steps"):
            yield "step", layer._steps  # pyright: ignore[reportPrivateUsage]
        return
    inner = {id(one) for child in layer._layers for one in child.variables}
    inner |= {id(one) for one in getattr(layer, "metrics_variables", ())}
    taken = set[str]()
    for variable in layer.variables:
        if id(variable) in inner:
            continue
        name = variable.name
        while name in taken:
            name += "_"
        taken.add(name)
        yield name, variable


def settings(layer: Any) -> dict[str, Any]:
    """Formulas, conditions and numbers of one of wye's layers."""
    if not isinstance(layer, Join | Node):
        return {}
    found: dict[str, Any] = {}
    if isinstance(layer, Node):
        found["stages"] = list(layer._stages.by_name)  # pyright: ignore[reportPrivateUsage]
        source = layer._condition.source if "_condition" in layer.__dict__ else getattr(layer, "chances", None)  # pyright: ignore[reportPrivateUsage]
        found |= {DECIDES[kind_of(layer)]: _word(source)} if kind_of(layer) in DECIDES else {}
    else:
        found["formula"] = _word(layer.formula)
    held: Holder = layer._held  # pyright: ignore[reportPrivateUsage]
    told: dict[str, Any] = {
        **{name: {"held": kind} for name, kind in held.kinds.items()},
        **{name: {"formula": one.text} for name, one in held.formulas.items()},
        **{name: {"schedule": one.formula.text} for name, one in held.schedules.items()},
    }
    return {**found, "parts": {"dict": {name: told[name] for name in held.kinds}}}


def _word(source: Any) -> Any:
    """What decides, as files of wye have it."""
    if isinstance(source, Formula):
        return {"formula": source.text}
    if callable(source):
        return {"function": getattr(source, "__name__", type(source).__name__)}
    return list(source) if isinstance(source, tuple) else source  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
