"""Cures of misfits, ready to paste: values with names for their axes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations

from .shapes import Shape

LETTERS = "bkdtefghijlmnopqrsuvwxyz"


def stretched(shapes: Sequence[Shape]) -> Shape | None:
    """The shape that broadcasting would make of them; None where they do not fit."""
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    sizes = [[size for size in column if size != 1] for column in zip(*padded, strict=True)]
    fit = all(size == column[0] for column in sizes for size in column)
    return tuple(column[0] if column else 1 for column in sizes) if fit else None


def with_names(text: str, shape: Shape, taken: str = "") -> str:
    """A value with names for its axes, as the cure shows it."""
    return bracketed(text, _letters(len(shape), taken or text))


def cure(left: str, right: str, shapes: Sequence[Shape], taken: str = "") -> str:
    """Both values with names for their axes, one name for one size, in one order, and free in the text `taken`."""
    named = both_named(left, right, shapes, taken)
    return f"name the axes: {' and '.join(named)}" if named else "give them one shape"


def both_named(left: str, right: str, shapes: Sequence[Shape], taken: str = "") -> tuple[str, str] | None:
    """Both values with names for their axes; None where no names make them fit."""
    letters = _letters(max(map(len, shapes)), taken or f"{left} {right}")
    names = _named_alike(shapes, letters) if len(shapes[0]) == len(shapes[1]) else _named_within(shapes, letters)
    return (bracketed(left, names[0]), bracketed(right, names[1])) if names else None


def _letters(count: int, taken: str) -> list[str]:
    """Names for axes, none of which is a name in the text `taken`."""
    names = set(re.findall(r"[A-Za-z_]\w*", taken))
    free = [letter for letter in LETTERS if letter not in names]
    return [*free, *(f"axis{place}" for place in range(count))][:count]


def _named_alike(shapes: Sequence[Shape], letters: Sequence[str]) -> tuple[list[str], list[str]] | None:
    """Names for two shapes of one rank: an axis of size 1 that would stretch is picked."""
    sides = [list(letters), list(letters)]
    for place, sizes in enumerate(zip(*shapes, strict=True)):
        if sizes[0] == sizes[1]:
            continue
        if 1 not in sizes:
            return None
        sides[sizes.index(1)][place] = "0"
    crossed = all("0" in side for side in sides)
    return None if crossed else (sides[0], sides[1])


def _named_within(shapes: Sequence[Shape], letters: Sequence[str]) -> tuple[list[str], list[str]] | None:
    """Names for two shapes of which the shorter is found in the longer, as far behind as it goes."""
    short, long = sorted(shapes, key=len)
    names = list(letters)
    for places in reversed(list(combinations(range(len(long)), len(short)))):
        if all(long[place] == size for place, size in zip(places, short, strict=True)):
            few = [names[place] for place in places]
            return (names, few) if len(shapes[0]) > len(shapes[1]) else (few, names)
    return None


def cure_count(text: str, shape: Shape, named: Sequence[str]) -> str:
    """A value with as many names as it has axes; axes of size 1 that are left over are picked."""
    wide = [place for place, size in enumerate(shape) if size != 1]
    if len(wide) == len(named) < len(shape):
        names = dict(zip(wide, named, strict=True))
        return f"pick from the axis of size 1: {bracketed(text, [names.get(p, '0') for p in range(len(shape))])}"
    return f"name each of them: {with_names(text, shape)}"


def miscounted(text: str, axes: int, named: int) -> str:
    """What is wrong where a value has more axes than names, or fewer."""
    has = "1 axis" if axes == 1 else f"{axes} axes"
    return f"`{text}` has {has}, yet {named} {'is' if named == 1 else 'are'} named."


def bracketed(text: str, names: Sequence[str]) -> str:
    if not names:
        return text
    return f"{text if text.isidentifier() else f'({text})'}[{', '.join(names)}]"


def bare(text: str) -> str:
    """A value without the brackets behind it."""
    return text.partition("[")[0] if text.endswith("]") else text
