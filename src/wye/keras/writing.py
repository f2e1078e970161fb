"""What a layer says of its parts in a file of Keras: formulas, numbers and settings as text; weights lie beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from ..errors import PartError
from ..formula.formula import Formula
from ..formula.schedule import Schedule
from .holding import Holder
from .kernels import NARROW, constant, ops
from .sources import Missing
from .table import Table


def announce(top: Any) -> None:
    """Tells Keras which layers stand in several places below `top`, so that it writes of each that it is the same one.

    Keras marks a layer as shared from the second time it writes it, and containers hand on copies of the first text.
    """
    known, shared, waiting = set[int](), dict[int, keras.Layer](), [top]
    while waiting:
        for layer in waiting.pop()._layers:
            if id(layer) in known:
                shared[id(layer)] = layer
            else:
                known.add(id(layer))
                waiting.append(layer)
    for layer in shared.values():
        keras.saving.serialize_keras_object(layer)


def written_source(source: object, what: str) -> str | float:
    """A formula, or a constant in its place; a callable is refused.

    Raises:
        PartError: it is a callable.
    """
    if isinstance(source, Formula):
        return source.text
    if isinstance(source, bool | int | float):
        return source
    raise unwritten(what, source)


def unwritten(name: str, value: object) -> PartError:
    """A callable in a file would be code."""
    got = getattr(value, "__name__", type(value).__name__)
    fix = "write it as a formula, or as a keras.Layer registered with keras.saving.register_keras_serializable"
    return PartError(f"`{name}` is a callable, which no file holds.", f"{name}=...", got, fix)


def written_parts(held: Holder) -> dict[str, Any]:
    """The parts of a layer by name.

    Raises:
        PartError: one of them is a callable.
    """
    return {name: _written(held, name, kind) for name, kind in held.kinds.items()}


def _written(held: Holder, name: str, kind: str) -> Any:
    if kind == "callable":
        raise unwritten(name, held.part(name))
    if kind in ("module", "edges"):
        return {"kind": kind, "layer": keras.saving.serialize_keras_object(held.part(name))}
    if kind == "formula":
        return {"kind": kind, "text": held.formulas[name].text}
    if kind == "schedule":
        return {"kind": kind, "text": held.schedules[name].formula.text}
    if kind == "number":
        held.synced()
        return {"kind": kind, "value": held.numbers[name]}
    entries = held.part(name)
    found = {"kind": kind, "shape": list(entries.shape), "dtype": entries.dtype}
    if kind != "table":
        return found
    update = held.updates.get(name)
    outside = name in held.sources or name in held.unsaved
    more = {**({"update": update.text} if update else {}), **({"outside": True} if outside else {})}
    return {**found, "by": held.tables[name], **more}


def read_parts(parts: Mapping[str, Any]) -> dict[str, Any]:
    """The parts again; those that are tensors are filled when the weights are loaded."""
    return {name: _read(name, part) for name, part in parts.items()}


def _read(name: str, part: Mapping[str, Any]) -> Any:
    kind = part["kind"]
    if kind in ("module", "edges"):
        return keras.saving.deserialize_keras_object(part["layer"])
    if kind == "formula":
        return Formula(part["text"])
    if kind == "schedule":
        return Schedule(part["text"])
    if kind == "number":
        return part["value"]
    dtype = str(NARROW.get(part["dtype"], part["dtype"]))
    if part.get("outside"):
        return Table(Missing(tuple(part["shape"]), dtype), part["by"], persistent=False, update=part.get("update"))
    empty = ops.zeros(tuple(part["shape"]), dtype)
    if kind == "table":
        return Table(empty, part["by"], update=part.get("update"))
    if kind == "parameter":
        made: Any = keras.Variable
        return made(empty, dtype=dtype, name=name)
    return constant(name, empty, dtype)
