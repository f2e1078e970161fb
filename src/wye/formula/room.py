"""Checks of values that may be larger than all they are made of: at most 4,096 times the largest input."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .check import Check
from .cures import cure
from .graph import REST, Axes
from .shapes import UNKNOWN, Shape, broadcast, product, room


class Room(Check):
    """A value larger than all it is made of: at most 4,096 times the largest input."""

    @property
    def axes(self) -> tuple[Axes, ...]:
        return self.facts  # type: ignore[return-value]

    def verify(self, shapes: Sequence[Shape]) -> None:
        own, leaves = shapes[: len(self.axes)], shapes[len(self.axes) :]
        sizes: dict[str, int] = {}
        for shape, axes in zip(own, self.axes, strict=True):
            before = axes.index(REST) if REST in axes else len(axes)
            rest = len(shape) - len(axes) + 1
            for place, name in enumerate(axes):
                if name.startswith("#"):  # picked from, and gone
                    continue
                if name == REST:
                    sizes[name] = max(sizes.get(name, 1), math.prod(shape[before : before + rest]))
                elif place < before:
                    sizes[name] = shape[place] if place < len(shape) else 1
                else:
                    sizes[name] = shape[place - len(axes)]
        self.check(math.prod([*sizes.values()]), leaves or own)

    def check(self, elements: int, leaves: Sequence[Shape]) -> None:
        most = room(leaves)
        if elements is not UNKNOWN and elements > most:
            raise self.error(
                "the value would be far larger than all that comes in.",
                f"{elements:,} elements, at most {most:,}",
                "sum over an axis first, or name fewer axes",
            )


class Free(Room):
    """Two undeclared values that broadcast as the framework does."""

    def verify(self, shapes: Sequence[Shape]) -> None:
        own, leaves = shapes[:2], shapes[2:]
        both = broadcast(*own)
        if both is None:
            left, right = self.words(0), self.words(1)
            what = f"`{left}` and `{right}` do not fit together."
            raise self.error(what, self.described(own), cure(left, right, own, self.text))
        self.check(math.prod(both), leaves or own)


class Concat(Room):
    """`concat` and `stack`: equal shapes but for the axis, and room for the whole."""

    def verify(self, shapes: Sequence[Shape]) -> None:
        count = len(self.spans)
        own, leaves = shapes[:count], shapes[count:]
        axis, rank = int(self.facts[0]), len(own[0])  # type: ignore[call-overload]
        extra = 1 if isinstance(self, Stack) else 0
        if not -(rank + extra) <= axis < rank + extra:
            raise self.error(
                f"there is no axis {axis}.", self.described(own), f"axes run from {-rank - extra} to {rank + extra - 1}"
            )
        kept = [
            shape if extra else shape[: axis % rank] + shape[axis % rank + 1 :] for shape in own if len(shape) == rank
        ]
        if len(kept) != len(own) or any(shape != kept[0] for shape in kept):  # sizes in a capture have no hash
            what = "stacked values have equal shapes." if extra else "joined values have equal shapes but for the axis."
            raise self.error(what, self.described(own), "bring them to one shape, or choose another axis")
        self.check(sum(math.prod(shape) for shape in own), leaves or own)


class Stack(Concat):
    """`stack`: see `Concat`."""


class Take(Room):
    """`take` and `last`: the axis is there, the index has one axis, and there is room for all that is taken."""

    def verify(self, shapes: Sequence[Shape]) -> None:
        shapes, leaves = shapes[: len(self.spans)], shapes[len(self.spans) :]
        axis, rank = int(self.facts[0]), len(shapes[0])  # type: ignore[call-overload]
        if not -rank <= axis < rank:
            raise self.error(
                f"there is no axis {axis}.", self.described(shapes), f"axes run from {-rank} to {rank - 1}"
            )
        if len(shapes) > 1 and len(shapes[1]) != 1:
            raise self.error(
                "`take` needs an index with one axis.", self.described(shapes), "name the axes: table[id[b, t], d]"
            )
        if len(shapes) == 1 and not shapes[0][axis]:
            raise self.error("an empty axis has no last entry.", self.described(shapes), "give it one entry at least")
        if len(shapes) > 1:
            elements = math.prod([size for place, size in enumerate(shapes[0]) if place != axis % rank])
            self.check(elements * shapes[1][0], leaves or shapes)


class ExpandAs(Room):
    """`expand_as`: the first shape broadcasts to the second."""

    def verify(self, shapes: Sequence[Shape]) -> None:
        small, large = shapes[0], shapes[1]
        padded = (1,) * (len(large) - len(small)) + small
        if len(small) > len(large) or any(a not in (1, b) for a, b in zip(padded, large, strict=True)):
            raise self.error(
                "the first value does not repeat to the shape of the second.",
                self.described(shapes[:2]),
                "name the axes",
            )


class Product(Room):
    """`a @ b`."""

    def verify(self, shapes: Sequence[Shape]) -> None:
        strict, *samples = self.facts
        own = [shape[1:] if sample else shape for shape, sample in zip(shapes, samples, strict=False)]
        both = product(own[0], own[1], bool(strict))
        if both is None:
            raise self.error(
                "the matrices do not multiply.",
                self.described(own),
                "name what is summed: sum(a[i, d] * b[d, j], d)",
            )
        lead = shapes[0][:1] if samples[0] else shapes[1][:1] if samples[1] else ()
        self.check(math.prod(lead + both), shapes[2:] or shapes)
