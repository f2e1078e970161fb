"""The last changes to a graph before it becomes code: products multiplied out, positions given a source."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .axes import shown
from .contraction import dim_of, multiply_out
from .graph import Graph, Guard, Value, in_order


def lowered(graph: Graph, roots: Sequence[Value]) -> list[Value]:
    """The roots again, over values that each are one operation."""
    sources = Sources(graph, roots)
    new: dict[int, Value] = {}

    def again(value: Value) -> Value:
        return new[id(value)]

    for value in in_order(roots, sources.needs):
        args = tuple(map(again, sources.needs(value))) or tuple(map(again, value.args))
        guards = tuple(Guard(g.check, tuple(map(again, g.args)), g.facts, g.span) for g in value.guards)
        facts = sources.facts(value)
        moved = args != value.args or any(a.args != b.args for a, b in zip(guards, value.guards, strict=True))
        current = Value(value.op, args, facts, value.kind, value.span, guards) if moved else value
        new[id(value)] = multiply_out(graph, current) if value.op == "product" else current
    return [again(root) for root in roots]


class Sources:
    """For each value that stands for an axis alone, a value in which that axis can be seen."""

    def __init__(self, graph: Graph, roots: Sequence[Value]) -> None:
        self.graph = graph
        reached = in_order(roots)
        known = {id(value) for value in reached}
        self.binders = [v for v in reached if v.op == "bind"] + [
            v for v in graph.values() if v.op == "bind" and id(v) not in known
        ]
        self.found: dict[int, Value] = {}

    def needs(self, value: Value) -> Iterable[Value]:
        if value.op not in ("positions", "size"):
            return ()
        if id(value) not in self.found:
            self.found[id(value)] = self._source(value)
        return (self.found[id(value)],)

    def facts(self, value: Value) -> tuple[object, ...]:
        if id(value) not in self.found:
            return value.facts
        return (dim_of(self.found[id(value)].kind.axes or (), str(value.facts[0])),)

    def _source(self, value: Value) -> Value:
        name = str(value.facts[0])
        for binder in self.binders:
            if name in (binder.kind.axes or ()) and not self._depends(binder, name):
                return binder
        raise self.graph.error(
            f"the size of the axis `{shown([name])}` is not known.",
            value.span,
            shown([name]),
            "name it in the brackets of an input: value[b, k]",
        )

    def _depends(self, binder: Value, name: str) -> bool:
        return any(value.op in ("positions", "size") and value.facts == (name,) for value in in_order([binder]))
