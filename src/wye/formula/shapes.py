"""The rule for values whose axes are not declared: data meets strictly, context bends to it.

Data is what comes in and all computed from it; context is what the parts hold. Nothing here needs a framework: a
shape is a tuple of whole numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Shape = tuple[int, ...]

GROWTH = 4_096


class Unknown:
    """A size that nobody knows before the run: equal to any other, larger than any, as in every size made of it."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __gt__(self, other: object) -> bool:
        return True

    __ge__ = __gt__

    def __lt__(self, other: object) -> bool:
        return False

    __le__ = __lt__

    def __mul__(self, other: object) -> Unknown:
        return self

    __rmul__ = __add__ = __radd__ = __mul__

    def __neg__(self) -> Unknown:
        return self

    def __repr__(self) -> str:
        return "None"


UNKNOWN = Unknown()


def sizes(shape: Iterable[int | None]) -> Shape:
    """A shape as frameworks write it, for calculation: where a size is None, it is not known yet."""
    return tuple([UNKNOWN if size is None else size for size in shape])  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class Operand:
    """A shape, whether it is data, and which of its axes were kept by a reduction."""

    shape: Shape
    data: bool = True
    kept: tuple[int, ...] = ()


def met(left: Operand, right: Operand, stretch: bool = False) -> Shape | None:
    """The shape of two values together; None where they may not meet.

    Args:
        left: the first value.
        right: the second.
        stretch: whether one side's axes of size 1 may grow (under `*`, `/` and as a condition).
    """
    alike = len(left.shape) == len(right.shape)  # asked first: sizes of unlike axes are never compared
    if not left.shape or (alike and left.shape == right.shape):
        return right.shape
    if not right.shape:
        return left.shape
    if left.data != right.data:
        data, context = (left, right) if left.data else (right, left)
        fits = math.prod(context.shape) == 1 or broadcast(data.shape, context.shape) == data.shape
        return data.shape if fits else None
    if not left.data:
        return broadcast(left.shape, right.shape)
    return _stretched(left, right, stretch) if alike else None


def _stretched(left: Operand, right: Operand, stretch: bool) -> Shape | None:
    rank = len(left.shape)
    loose = [axis for axis in range(rank) if left.shape[axis] != right.shape[axis]]
    keeps = [{axis % rank for axis in side.kept} for side in (left, right)]
    free = [
        axis
        for axis in loose
        if not any(axis in kept and s.shape[axis] == 1 for kept, s in zip(keeps, (left, right), strict=True))
    ]
    grows_left = all(left.shape[axis] == 1 for axis in free)
    grows_right = all(right.shape[axis] == 1 for axis in free)
    if free and not (stretch and (grows_left or grows_right)):
        return None
    return tuple(b if a == 1 else a for a, b in zip(left.shape, right.shape, strict=True))


def broadcast(left: Shape, right: Shape) -> Shape | None:
    """NumPy's rule: aligned on the right, sizes of 1 stretch; None where they do not fit."""
    short, long = sorted((left, right), key=len)
    padded = (1,) * (len(long) - len(short)) + short
    if any(a != b and 1 not in (a, b) for a, b in zip(padded, long, strict=True)):
        return None
    return tuple(b if a == 1 else a for a, b in zip(padded, long, strict=True))


def product(left: Shape, right: Shape, strict: bool = True) -> Shape | None:
    """The shape of `left @ right`: matrices and vectors, with equal leading axes; None where they do not fit.

    If not strict, the leading axes broadcast.
    """
    if not left or not right or left[-1] != right[-2 if len(right) > 1 else -1]:
        return None
    lead = broadcast(left[:-2], right[:-2])
    if lead is None or (strict and left[:-2] and right[:-2] and left[:-2] != right[:-2]):
        return None
    return lead + left[-2:-1] + (right[-1:] if len(right) > 1 else ())


def room(shapes: Sequence[Shape]) -> int:
    """The most elements a value may have: 4,096 times the largest of these."""
    return GROWTH * max([math.prod(shape) for shape in shapes] or [1])
