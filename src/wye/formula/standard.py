"""A value less its mean over its deviation, seen as one operation: fronts have a fast way to it."""

from __future__ import annotations

from collections.abc import Sequence

from .contraction import Factor
from .graph import Graph, Value
from .tree import Span

Reduced = tuple[Value, object]
"""What is reduced, and along which axes."""


def standardised(graph: Graph, factors: Sequence[Factor], span: Span) -> list[Factor]:
    """The factors of a product, with `(x - mean(x)) / sqrt(var(x) + eps)` as one of them; eps may be missing."""
    found = list(factors)
    for factor in factors:
        centred = None if factor.inverse else _centred(factor.value)
        if centred is None:
            continue
        for other in found:
            deviation = _deviation(other.value) if other.inverse else None
            if deviation is not None and deviation[0] == centred:
                (x, dims), eps = deviation
                value = graph.value("standard", (x, *eps), (dims,), factor.value.kind, span)
                found[found.index(factor)] = Factor(value)
                found.remove(other)
                break
    return found


def _centred(value: Value) -> Reduced | None:
    """For `x - mean(x)`: x, and along which axes."""
    value = _bare(value)
    if value.op != "operator" or value.facts != ("-",) or value.guards:
        return None
    mean = _bare(value.args[1])
    if not _reduces(mean, "mean") or mean.args[0] is not value.args[0]:
        return None
    return mean.args[0], mean.facts[1]


def _deviation(value: Value) -> tuple[Reduced, tuple[Value, ...]] | None:
    """For `sqrt(var(x) + eps)`: x, along which axes, and eps if there is one."""
    value = _bare(value)
    if value.op != "apply" or value.facts[0] != "sqrt" or value.guards:
        return None
    inside, eps = _bare(value.args[0]), tuple[Value, ...]()
    if inside.op == "operator" and inside.facts == ("+",) and inside.args[1].op == "constant":
        inside, eps = _bare(inside.args[0]), (inside.args[1],)
    return ((inside.args[0], inside.facts[1]), eps) if _reduces(inside, "var") else None


def _bare(value: Value) -> Value:
    while value.op == "same" or (value.op == "view" and value.facts[0] == "insert"):
        value = value.args[0]
    return value


def _reduces(value: Value, name: str) -> bool:
    return value.op == "reduce" and value.facts[0] == name and value.facts[2] is False and len(value.args) == 1
