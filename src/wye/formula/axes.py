"""Named axes: which names a value has, in which order they are seen, and when two values cross."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from .graph import REST, SAMPLE, Axes, Kind

T = TypeVar("T")


def shown(axes: Iterable[str]) -> str:
    """Names as a user writes them: without the scope of a named formula, without the axis of the samples."""
    return ", ".join(name.rpartition(":")[2] for name in axes if name != SAMPLE)


def seen_order(kind: Kind) -> tuple[Axes, bool]:
    """The order in which a value shows its axes, and whether that order is beyond doubt.

    It is that of the first written value that holds all the names, else of first appearance. It is in doubt where
    none does, or where two disagree: exchanging the operands of `+` or `*` would then show another order.
    """
    names = set(kind.names)
    orders = unique(
        tuple(name for name in written if name in names) for written in kind.written if names <= set(written)
    )
    if orders:
        return orders[0], len(orders) == 1
    appearing = unique(name for written in (*kind.written, kind.names) for name in written if name in names)
    return tuple(appearing), len(names) < 2


def unique(items: Iterable[T]) -> list[T]:
    """The items without repetition, in their order."""
    return list(dict.fromkeys(items))


def union(all_axes: Sequence[Axes]) -> Axes:
    """All names: laid out like the first value that has them all, else in order of appearance; samples first."""
    names = unique(name for axes in all_axes for name in axes)
    for axes in all_axes:
        if len(axes) == len(names):
            return axes
    return (*(n for n in names if n == SAMPLE), *(n for n in names if n != SAMPLE))


def crossing(all_axes: Sequence[Iterable[str]]) -> tuple[int, int, str, str] | None:
    """Two values that each have a name which no other value has: their places and those names; else None.

    For two values this says that each has a name the other lacks; for the factors of a product, that two names
    occur in one factor only, and not in the same one.
    """
    owners: dict[str, list[int]] = {}
    for place, axes in enumerate(all_axes):
        for name in set(axes) - {SAMPLE, REST}:
            owners.setdefault(name, []).append(place)
    alone = sorted((places[0], name) for name, places in owners.items() if len(places) == 1)
    for place, name in alone:
        if place != alone[0][0]:
            return alone[0][0], place, alone[0][1], name
    return None


def apart(all_axes: Sequence[Iterable[str]]) -> tuple[int, int, str, str] | None:
    """Two names that no value has together: the places of the values that bring them, and the names; else None.

    For two values that is `crossing`. Of three, one may hold the names of the other two: `where(m[i, j], a[i], b[j])`.
    """
    names = [frozenset(axes) - {SAMPLE, REST} for axes in all_axes]
    for first, ours in enumerate(names):
        for second in range(first + 1, len(names)):
            for one in sorted(ours - names[second]):
                for other in sorted(names[second] - ours):
                    if not any({one, other} <= held for held in names):
                        return first, second, one, other
    return None


def placed(rank: int, own: Axes, axes: Axes, others: Iterable[tuple[int, Axes]]) -> list[int | None]:
    """Where a value's dimensions go so that its axes stand as in `axes`; None: one of size 1 stands there.

    Args:
        rank: of the value.
        own: the names of its axes.
        axes: the names in the order that is wanted; `...` is as long as the longest of all.
        others: rank and names of the values that it meets.
    """
    length = max((count - len(names) + 1 for count, names in [(rank, own), *others] if REST in names), default=0)
    dims: dict[str, list[int]] = {}
    place = 0
    for name in own:
        count = rank - len(own) + 1 if name == REST else 1
        dims[name] = list(range(place, place + count))
        place += count
    wanted: list[int | None] = []
    for name in axes:
        have: list[int | None] = list(dims.get(name, []))
        wanted += have or [None] * (length if name == REST else 1)
    return wanted
