"""The most that a formula can be, where its text says so."""

from __future__ import annotations

from collections.abc import Collection

from .tree import Call, Node, Number, Program, walk

ROUNDED = ("floor", "cast", "relu")
"""Functions that leave a whole bound, 0 or more, as it is."""


def most_of(program: Program, parts: Collection[str] = ()) -> int | None:
    """The bound that `clamp(x, 0, 8)`, `min(x, 8)` and `die(0, 8)` say, rounded down; None where none is said.

    Args:
        program: the formula.
        parts: the names of parts that are called, which come before functions of the same name.
    """
    calls = {node.function for node in walk(program) if isinstance(node, Call)}
    found = _most(program.values[0]) if len(program.values) == 1 and calls.isdisjoint(parts) else None
    return None if found is None else int(found)


def _most(node: Node) -> float | None:
    match node:
        case Call("clamp", (_, _, Number(value)), ()) | Call("die", (_, Number(value)), ()):
            return value
        case Call("clamp", _, keywords):
            return next((value.value for key, value in keywords if key == "high" and isinstance(value, Number)), None)
        case Call("min", values, ()):
            return min((one.value for one in values if isinstance(one, Number)), default=None)
        case Call("round", (inner,), ()):
            bound = _most(inner)
            return None if bound is None else round(bound)
        case Call(name, (inner, *_), _) if name in ROUNDED:
            return _most(inner)
        case Number(value):
            return value
        case _:
            return None
