"""What names mean: shared values and named formulas, and in one text its lines and the sizes of its axes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, cast

from ...errors import FormulaError, ShapeError, did_you_mean, listed
from ..functions import FUNCTIONS, LATER
from ..shapes import Shape, room
from ..tree import Brackets, Name, Node, Program, walk
from .values import Items, Named, Part, Site, taken_in

MOST = 2**27  # elements: one gigabyte of float64, a bound on what is spread even where the language allows more

Value = Named | Items


class World:
    """What all texts of one evaluation share: the values, the named formulas, and how much room there is."""

    def __init__(
        self,
        given: Mapping[str, object],
        formulas: Mapping[str, tuple[Program, str]],
        context: frozenset[str] = frozenset(),
        strict: bool = True,
    ) -> None:
        self.given, self.formulas, self.context, self.strict = given, formulas, context, strict
        self.taken: dict[str, Named | Items | Part] = {}
        self.found: dict[str, Value] = {}
        self.largest = 1
        self.make_room(given)

    def __contains__(self, name: str) -> bool:
        return name in self.given or name in self.formulas

    @property
    def most(self) -> int:
        """The most elements that a value may have."""
        return min(room([(self.largest,)]), max(MOST, self.largest))

    def make_room(self, value: object) -> None:
        self.largest = max(self.largest, *(math.prod(shape) for shape in _shapes(value)), 0)

    def value(self, name: str, site: Site) -> Named | Items | Part:
        """A given value, taken in once."""
        if name not in self.taken:
            self.taken[name] = taken_in(self.given[name], name not in self.context, site)
        return self.taken[name]


def _shapes(value: object) -> Iterator[Shape]:
    """The shapes of all arrays within."""
    if isinstance(value, Mapping):
        for item in cast("Mapping[object, object]", value).values():
            yield from _shapes(item)
    elif isinstance(value, (tuple, list)):
        for item in cast("tuple[object, ...]", value):
            yield from _shapes(item)
    elif hasattr(value, "shape") and not callable(value):
        yield tuple(int(size) for size in cast("Any", value).shape)


class Scope:
    """The names of one text: what its lines have bound, and how long its axes are."""

    def __init__(self, world: World, program: Program, text: str) -> None:
        self.world, self.program, self.text = world, program, text
        self.bound: dict[str, Value] = {}
        self.sizes: dict[str, int] = {}
        self.lines: dict[str, int] = {}
        for place, line in enumerate(program.lines):
            for target in line.targets:
                if self.is_value(target.name):
                    raise self.site(target).error("a name is bound once.", target.name, "choose another name")
                self.lines[target.name] = place
        self._check_axes()

    def _check_axes(self) -> None:
        for node in walk(self.program):
            for entry in node.entries if isinstance(node, Brackets) else ():
                if isinstance(entry, Name) and self.is_value(entry.id):
                    raise self.site(entry).error(
                        f"`{entry.id}` names a value, so no axis can have its name.",
                        self.site(node).words,
                        f"name the axis otherwise; to pick by the value, name its axes: {entry.id}[b]",
                    )

    def site(self, node: Node) -> Site:
        return Site(self.text, node.span)

    def is_value(self, name: str) -> bool:
        return name in self.lines or name in self.world

    def is_axis(self, node: Node) -> bool:
        return isinstance(node, Name) and not self.is_value(node.id)

    def register(self, name: str, size: int, node: Node) -> None:
        """Note the size of an axis; a second size is an error."""
        known = self.sizes.setdefault(name, size)
        if known != size:
            raise self.site(node).error(
                f"the axis `{name}` has two sizes.",
                f"{size} here, {known} elsewhere",
                "give equal sizes, or another name to one of the two",
                ShapeError,
            )

    def pieces(self, axis: str) -> Iterator[tuple[int, Node]]:
        """The pieces of the text that tell the size of an axis, each with the place of its line."""
        for place, whole in enumerate((*self.program.lines, *self.program.values)):
            for node in walk(whole):
                named = isinstance(node, Brackets) and Name(axis) in node.entries
                if named or (isinstance(node, Name) and node.id in self.world.formulas):
                    yield min(place, len(self.program.lines)), node
        for line in self.program.lines:
            for target in line.targets:
                if axis in (target.axes or ()):
                    yield len(self.program.lines), Name(target.name, span=target.span)

    def no_function(self, name: str, site: Site) -> FormulaError:
        if name in LATER:
            return site.error(f"`{name}` is not yet part of the language.", name, "give its result as a value")
        if self.is_value(name):
            return site.error(f"`{name}` is a value, which cannot be called.", name, f"write {name} alone")
        parts = [key for key in self.world.given if isinstance(self.world.value(key, site), Part)]
        return site.error(
            f"`{name}` is no function and no part.",
            f"parts: {listed(parts)}",
            did_you_mean(name, [*parts, *FUNCTIONS], "give it as a part"),
        )
