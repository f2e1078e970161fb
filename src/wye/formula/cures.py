"""Cures of misfits, ready to paste: values with names for their axes."""

from __future__ import annotations

from collections.abc import Sequence

from .shapes import Shape

LETTERS = "bkdtefgh"


def stretched(shapes: Sequence[Shape]) -> Shape | None:
    """The shape that broadcasting would make of them; None where they do not fit."""
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    sizes = [[size for size in column if size != 1] for column in zip(*padded, strict=True)]
    fit = all(size == column[0] for column in sizes for size in column)
    return tuple(column[0] if column else 1 for column in sizes) if fit else None


def with_names(text: str, shape: Shape) -> str:
    """A value with names for its axes, as the cure shows it."""
    return bracketed(text, [LETTERS[place] if place < len(LETTERS) else f"a{place}" for place in range(len(shape))])


def cure(left: str, right: str, shapes: Sequence[Shape]) -> str:
    """Both values with names for their axes, one name for one size; an axis of size 1 that would stretch is picked."""
    first = [LETTERS[place % len(LETTERS)] for place in range(len(shapes[0]))]
    second: list[str] = []
    alike = len(shapes[0]) == len(shapes[1])
    for place, size in enumerate(shapes[1]):
        same = [name for name, other in zip(first, shapes[0], strict=True) if other == size and name not in second]
        if place < len(first) and first[place] in same:
            second.append(first[place])
        elif alike and 1 in (size, shapes[0][place]):
            second.append("0" if size == 1 else first[place])
            first[place] = first[place] if size == 1 else "0"
        elif same and not alike:
            second.append(same[-1])
        elif len(shapes[0]) < len(shapes[1]):
            second.append(next(letter for letter in LETTERS if letter not in (*first, *second)))
        else:
            return "give them one shape"
    if not (set(first) <= {*second, "0"} or set(second) <= {*first, "0"}):
        return "give them one shape"
    return f"name the axes: {bracketed(left, first)} and {bracketed(right, second)}"


def bracketed(text: str, names: Sequence[str]) -> str:
    if not names:
        return text
    return f"{text if text.isidentifier() else f'({text})'}[{', '.join(names)}]"


def bare(text: str) -> str:
    """A value without the brackets behind it."""
    return text.partition("[")[0] if text.endswith("]") else text
