"""From tree to graph: all texts of a formula are read, and all that can be known before a run is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .graph import Graph, Value
from .reader import tensor
from .resolution import Scope
from .scope import Sources
from .tree import Span


@dataclass(frozen=True)
class Analysis:
    """What a formula computes: its values, its names on the way, the terms of its top line; and the updates of
    tables: where each stands, and its new entries behind the ids that choose them, if any do."""

    graph: Graph
    outputs: tuple[Value, ...]
    named: dict[str, Value]
    summands: dict[str, Value]
    inputs: tuple[str, ...]
    updates: dict[str, tuple[Span, tuple[Value, ...]]]


def analyse(sources: Sources) -> Analysis:
    """The graph of a formula and of the named formulas it reads."""
    graph = Graph(sources.text)
    named: dict[str, Value] = {}
    for name in sources.order:
        scope = Scope(sources, sources.formulas[name], graph, named, f"{name}:")
        value, *others = scope.program()
        if others:
            raise graph.error("a named formula has one value.", scope.span_of_all(), name, "leave the others out")
        named[name] = scope.leave(value)
    sources.settle({name: value.kind.names for name, value in named.items()})
    top = Scope(sources, sources.top, graph, named, "")
    outputs = tuple(top.shown(value) for value in top.program())
    lines = {name: value for name, value in top.lines.items() if "," not in name}
    updates = {name: _update(sources, name, graph, named) for name in sources.updates}
    return Analysis(graph, outputs, {**named, **lines}, top.summands, sources.inputs, updates)


def _update(sources: Sources, name: str, graph: Graph, named: Mapping[str, Value]) -> tuple[Span, tuple[Value, ...]]:
    """Where the update of a table stands, and its values."""
    by, text = sources.updates[name]
    scope = Scope(sources, text, graph, named, f"{name}:")
    value, *others = scope.program()
    span = scope.span_of_all()
    if others or value.kind.number:
        got = f"{1 + len(others)} values" if others else "a number"
        raise graph.error(f"the update of `{name}` is one tensor.", span, got, "write one new entry for each sample")
    new = tensor(graph, scope.leave(value))
    return span, (new,) if by is None else (tensor(graph, sources.read(graph, by, span)), new)
