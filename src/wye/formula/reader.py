"""What the rules of calls and brackets need from whoever reads a formula."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from .graph import Graph, Kind, Value, with_kind
from .meeting import Meeting
from .tree import Node, Program, Span


class Reader(Protocol):
    """Reads the nodes of one formula into one graph."""

    @property
    def graph(self) -> Graph: ...
    @property
    def rules(self) -> Meeting: ...
    @property
    def dice(self) -> bool: ...
    def read(self, node: Node) -> Value: ...
    def read_meant(self, node: Node) -> Value: ...
    def at(self, node: Node) -> Span: ...
    def axis(self, name: str) -> str: ...
    def is_axis(self, node: Node) -> bool: ...
    def refuse_axis(self, node: Node) -> Exception: ...
    def expand(self, program: Program, values: Mapping[str, Value], prefix: str, span: Span) -> Value: ...


def arithmetic(graph: Graph, values: list[Value], sign: str = "") -> list[Value]:
    """The values ready to be computed with: booleans and small integers become floats.

    Beside a float they take its dtype; so do whole numbers beside a number with a fraction. Alone they take that of
    the formula's first floats, else the default float.
    """
    floats = [value for value in values if value.kind.dtype in ("float", "assumed")]
    fraction = any(value.kind.number and not is_whole(value) for value in values)
    return [_widened(graph, value, floats, sign, fraction) for value in values]


LENGTHS = frozenset({"size", "size_of"})
WHOLE = frozenset({"+", "-", "*", "negative", "abs", "max", "min"})
"""Functions of whole numbers that give whole numbers."""


TRUTHS = frozenset({"==", "!=", "<", "<=", ">", ">=", "and", "or", "not"})


def is_whole(value: Value) -> bool:
    """Whether it is made of whole numbers."""
    if value.op == "numeric":
        return value.facts[0] in WHOLE and all(map(is_whole, value.args))
    return value.kind.dtype == "int" or value.op in LENGTHS or (value.op == "constant" and type(value.facts[0]) is int)


def _widened(graph: Graph, value: Value, floats: list[Value], sign: str, fraction: bool) -> Value:
    dtype = value.kind.dtype
    if dtype == "assumed":
        return float_only(graph, value)
    if dtype == "number":
        return _counted(graph, value)
    if dtype == "float" or (dtype == "int" and (floats or not fraction)):
        return value
    kind = with_kind(value.kind, dtype="float", tensor=True)
    if dtype != "any" and floats:
        # torch multiplies and adds booleans to floats by itself; it does not subtract them.
        return graph.value("float_like", (value, floats[0]), (), kind, value.span) if sign == "-" else value
    return graph.value("to_float" if dtype != "any" else "widen", (value,), (), kind, value.span)


def _counted(graph: Graph, value: Value) -> Value:
    """A number; a truth value among numbers is 1 or 0, as torch wants it."""
    if value.op == "constant" and isinstance(value.facts[0], bool):
        return graph.number(int(value.facts[0]), value.span)
    if value.op == "numeric" and value.facts[0] in TRUTHS:
        return graph.value("numeric", (value, graph.number(0, value.span)), ("+", None), value.kind, value.span)
    return value


def as_float(graph: Graph, value: Value) -> Value:
    """The value as floats, whatever it was."""
    if value.kind.dtype in ("number", "float"):
        return value
    if value.kind.dtype == "assumed":
        return float_only(graph, value)
    op = "to_float" if value.kind.dtype in ("small", "int") else "as_float"
    return graph.value(op, (value,), (), with_kind(value.kind, dtype="float", tensor=True), value.span)


def float_only(graph: Graph, value: Value) -> Value:
    """An input that is computed with: taken for floats, which is tested before anything else."""
    return graph.value("float_only", (value,), (), with_kind(value.kind, dtype="float", tensor=True), value.span)


def tensor(graph: Graph, value: Value) -> Value:
    """The value once it is known to be a tensor; tuples and dicts are refused when they are seen."""
    if value.kind.tensor:
        return value
    return graph.value("tensor_only", (value,), (), with_kind(value.kind, tensor=True), value.span)


def numbers_only(values: list[Value]) -> bool:
    return all(value.kind.number for value in values)


def result_kind(kind: Kind, dtype: str) -> Kind:
    return with_kind(kind, dtype=dtype, tensor=True)
