"""Checks that a formula runs before it computes: on shapes alone, once for each set of shapes.

Each is an object called with the values it checks. It keeps the sets of shapes that have passed; while a framework
captures a graph it keeps none, so that the shapes become conditions of that graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from ..errors import FormulaError, RangeError
from .axes import shown
from .check import Capturing, Check, Tensor
from .contrast_shapes import ExactContrast
from .cures import bare, both_named, cure, cure_count, miscounted, stretched, with_names
from .graph import REST, SAMPLE, Axes, Guard
from .room import Concat, ExpandAs, Free, Product, Room, Stack, Take
from .shapes import UNKNOWN, Operand, Shape, broadcast, met, sizes


class Meet(Check):
    """Two undeclared values: see `shapes.met`."""

    def verify(self, shapes: Sequence[Shape]) -> None:
        *sides, stretch = self.facts
        operands: list[Operand] = []
        behind = 2
        for shape, side in zip(shapes, sides, strict=False):
            data, kept, unless = cast("tuple[bool, tuple[int, ...], int]", side)
            undone = any(shapes[behind : behind + unless])
            operands.append(Operand(shape, data, () if undone else kept))
            behind += unless
        if met(operands[0], operands[1], bool(stretch)) is None:
            raise self.refusal(shapes[:2])

    def joint(self, left: Tensor, right: Tensor) -> tuple[int | None, ...] | None:
        """The shape that two values have together, once they are checked."""
        self(left, right)
        both = broadcast(sizes(left.shape), sizes(right.shape))
        return None if both is None else tuple(None if size is UNKNOWN else size for size in both)

    def refusal(self, shapes: Sequence[Shape]) -> FormulaError:
        left, right = self.words(0), self.words(1)
        both = stretched(shapes)
        if both is None:
            what = f"`{left}` and `{right}` do not fit together."
        elif both in shapes:
            what = f"`{right if both == shapes[0] else left}` would be broadcast in silence."
        else:
            what = f"`{left}` and `{right}` would broadcast to something larger than both."
        got = self.described(shapes) + (f" -> {both}" if both else "")
        return self.error(what, got, cure(left, right, shapes, self.text))


class NoAxes(Check):
    """An undeclared value beside declared ones."""

    def verify(self, shapes: Sequence[Shape]) -> None:
        names, sample = self.facts
        rank = len(shapes[0]) - bool(sample)
        if rank > 0:
            text = self.words(0)
            fix = f"name the axes: {with_names(text, shapes[0], self.text)}"
            raise self.error(
                f"`{text}` has axes without names beside the named axes [{names}].", f"{text} {shapes[0]}", fix
            )


class HasAxis(Check):
    """`axis=` of an undeclared value."""

    def verify(self, shapes: Sequence[Shape]) -> None:
        axis, sample = self.facts
        rank = max(map(len, shapes)) - bool(sample)
        if not -rank <= int(axis) < rank:  # type: ignore[call-overload]
            fix = f"axes run from {-rank} to {rank - 1}" if rank else "leave `axis` out"
            raise self.error(f"there is no axis {axis}.", self.described(shapes), fix)


class InAxis(Check):
    """A pick by a number."""

    def verify(self, shapes: Sequence[Shape]) -> None:
        dim, place = (int(fact) for fact in self.facts)  # type: ignore[call-overload]
        size = shapes[0][dim]
        if not 0 <= place < size:
            fix = f"count from the front: {size + place}" if -size <= place < 0 else ""
            what, got = f"there is no entry {place}.", f"an axis of size {size}"
            raise self.error(what, got, fix or _entries(size), RangeError)


def _entries(size: int) -> str:
    if size is UNKNOWN:
        return "count from the front"
    return f"entries run from 0 to {size - 1}" if size else "give it one entry at least"


class Sizes(Check):
    """Names given to axes: as many as there are, and one size for each name in the whole text."""

    def __init__(self, guard: Guard, text: str, capturing: Capturing, known: Sequence[tuple[str, int, int]]) -> None:
        super().__init__(guard, text, capturing)
        self.axes: Axes = guard.facts[0]  # type: ignore[assignment]
        self.known = known  # (name, which value, which of its axes)
        self.others: list[str] = []

    def verify(self, shapes: Sequence[Shape]) -> None:
        shape, axes = shapes[0], self.axes
        named = [name for name in axes if name not in (REST, SAMPLE)]
        if len(shape) < len(axes) - (REST in axes) or (REST not in axes and len(shape) != len(axes)):
            own = shape[1:] if SAMPLE in axes else shape
            known = [shown([name]) for name in named]
            raise self.error(
                miscounted(self.words(0), len(own), len(named)),
                f"{self.words(0)} {own}",
                cure_count(bare(self.words(0)), own, known) if own else "leave the brackets out",
            )
        before = axes.index(REST) if REST in axes else len(axes)
        sizes = {
            name: shape[place if place < before else place - len(axes)]
            for place, name in enumerate(axes)
            if name != REST
        }
        for name, value, dim in self.known:
            self.same(name, sizes[name], shapes[value][dim], self.others[value - 1])
        for name, size in sizes.items():
            first = name.partition("#")[0]
            if first and first != name:
                self.same(first, size, sizes[first], self.words(0))

    def same(self, name: str, size: int, other: int, where: str) -> None:
        if size != other:
            raise self.error(
                f"the axis `{shown([name])}` has two sizes.",
                f"{size} in `{self.words(0)}`, {other} in `{where}`",
                f"give values of one size along `{shown([name])}`, or name axes that differ by different names",
            )


class Rests(Check):
    """Values whose unnamed axes `...` meet: of equal shapes, or one is empty."""

    def verify(self, shapes: Sequence[Shape]) -> None:
        rests: list[Shape] = []
        for shape, axes in zip(shapes, self.facts, strict=True):
            own: Axes = axes  # type: ignore[assignment]
            before = own.index(REST)
            rests.append(shape[before : len(shape) - (len(own) - before - 1)])
        full = [rest for rest in rests if rest]
        if any(rest != full[0] for rest in full):
            shown_rests = " and ".join(str(rest) for rest in rests)
            raise self.error("the axes under `...` are of two shapes.", shown_rests, "name the axes that differ")


class Exact(Check):
    """A loss of two values of one shape."""

    def verify(self, shapes: Sequence[Shape]) -> None:
        if shapes[0] != shapes[1]:
            fix = cure(self.words(0), self.words(1), shapes, self.text)
            raise self.error("the loss takes two values of one shape.", self.described(shapes), fix)


class ExactAxes(Check):
    """Values of a loss: of one shape, but for the axes behind it that the catalogue calls `k`."""

    def verify(self, shapes: Sequence[Shape]) -> None:
        layout, samples, count = cast("tuple[tuple[str, ...], tuple[bool, ...], int]", self.facts)
        own = [shape[1:] if sample else shape for shape, sample in zip(shapes, samples, strict=True)]
        lead = len(own[0]) - (count if layout[0] == "..., k" else 0)
        if lead < 0 or ("k" in layout and not own[0]):
            axes = "a last axis" if count == 1 else f"{count} axes"
            what = f"`{self.words(0)}` is to have {axes}."
            raise self.error(what, self.described(shapes), "give rows of numbers, or name the axes")
        entries, last = own[0][:lead], own[0][-1:] if layout[0] == "..." else own[0][lead:]
        wanted = {"...": entries, "..., k": entries + last, "k": last}
        for place, (shape, axes) in enumerate(zip(own, layout, strict=True)):
            if shape != wanted[axes]:
                raise self.refusal(place, shapes, layout, wanted[axes])

    def refusal(self, place: int, shapes: Sequence[Shape], layout: Sequence[str], wanted: Shape) -> FormulaError:
        word, first, got = self.words(place), self.words(0), self.described(shapes)
        fix = f"give `{word}` the shape {wanted}"
        if layout[place] == layout[0]:
            named = cure(first, word, [shapes[0], shapes[place]], self.text)
            what = f"`{first}` and `{word}` are to have one shape."
            return self.error(what, got, named if layout[0] == "..." else fix)
        rule = "the shape of `{}` without its last axis" if layout[place] == "..." else "the last axis of `{}` alone"
        return self.error(f"`{word}` is to have {rule.format(first)}.", got, fix)


class ExactClasses(Check):
    """Class ids shaped like the logits without their last axis, or probabilities shaped like the logits."""

    def verify(self, shapes: Sequence[Shape]) -> None:
        if shapes[1] not in (shapes[0][:-1], shapes[0]) or not shapes[0]:
            raise self.error(
                "the class ids are shaped like the logits without their last axis.",
                self.described(shapes),
                "name the axes: cross_entropy(logits[b, k, t], target[b, t])"
                if len(shapes[0]) > 2
                else "give one id for each row",
            )
        if len(shapes) > 2 and shapes[2] != shapes[0][-1:]:
            fix = f"give it the shape {shapes[0][-1:]}"
            raise self.error("the weights are to be one for each class.", self.described(shapes), fix)


class ExactPair(Check):
    """Two values of one shape, and a label of that shape without the last axis."""

    def verify(self, shapes: Sequence[Shape]) -> None:
        name, sample = self.facts
        a, b, label = shapes
        words = [self.words(place) for place in range(3)]
        if min(len(a), len(b)) - bool(sample) < 1:
            raise self.error("the values of a pair have a last axis.", self.described(shapes), "give rows of numbers")
        if a != b:
            named = both_named(words[0], words[1], shapes[:2], self.text) if a[-1] == b[-1] and not sample else None
            own = with_names(words[2], max(a, b, key=len)[:-1], self.text)
            fix = f"name the axes: {name}({', '.join(named)}, {own})" if named else "give them one shape"
            raise self.error("both values of a pair have one shape.", self.described(shapes), fix)
        if label != a[:-1]:
            left, right = (with_names(word, a, self.text) for word in words[:2])
            own = with_names(words[2], a[:-1], self.text)
            spare = own if label != (*a[:-1], 1) else f"{own[:-1]}, 0]" if len(a) > 1 else f"{own}[0]"
            raise self.error(
                "the label is shaped like the values without their last axis.",
                self.described(shapes),
                f"name the axes: {name}({left}, {right}, {spare})" if spare != own else "give one label for each row",
            )


CHECKS: dict[str, type[Check]] = {
    "meet": Meet,
    "no_axes": NoAxes,
    "has_axis": HasAxis,
    "in_axis": InAxis,
    "rests": Rests,
    "room": Room,
    "free": Free,
    "concat": Concat,
    "stack": Stack,
    "take": Take,
    "last": Take,
    "expand_as": ExpandAs,
    "product": Product,
    "exact_mse": Exact,
    "exact_cross_entropy": ExactClasses,
    "exact_pair": ExactPair,
    "exact_axes": ExactAxes,
    "exact_contrast": ExactContrast,
}
WITH_LEAVES = frozenset({"room", "concat", "stack", "take", "expand_as", "free", "product"})
"""Checks that compare with the largest of all that comes in."""
