"""The most that a formula can be, where its text says so."""

from __future__ import annotations

from .tree import Call, Node, Number, Program

ROUNDED = ("round", "floor", "cast", "relu")
"""Functions that leave a whole bound, 0 or more, as it is."""


def most_of(program: Program) -> int | None:
    """The bound that `clamp(x, 0, 8)`, `min(x, 8)` and `die(0, 8)` say; None where none is said."""
    return _most(program.values[0]) if len(program.values) == 1 else None


def _most(node: Node) -> int | None:
    match node:
        case Call("clamp" | "die", (*_, Number(value)), ()) if value >= 0:
            return int(value)
        case Call("clamp", _, keywords):
            found = [value.value for key, value in keywords if key == "high" and isinstance(value, Number)]
            return int(found[0]) if found else None
        case Call("min", values, ()):
            return min((int(one.value) for one in values if isinstance(one, Number)), default=None)
        case Call(name, (inner, *_), _) if name in ROUNDED:
            return _most(inner)
        case Number(value):
            return int(value)
        case _:
            return None
