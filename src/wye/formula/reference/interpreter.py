"""A tree evaluated piece by piece, each as it is written: nothing is planned, everything is spread out."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress

import numpy as np

from ...errors import FormulaError, did_you_mean, listed
from ..functions import FUNCTIONS
from ..text import write
from ..tree import (
    PRODUCT,
    Brackets,
    Call,
    Chain,
    Compare,
    Line,
    Logic,
    Name,
    Negative,
    Node,
    Not,
    Number,
    Power,
    Program,
    Rest,
    Text,
    Truth,
)
from .arguments import sorted_arguments
from .brackets import Entry, bracketed, item, ordered
from .calls import called
from .chains import compared, multiplied, summed
from .edges import over_edges
from .given import Given
from .losses import loss
from .meeting import Rules
from .operators import inverted, logic, negated, operated
from .scope import Scope, Value, World
from .values import REST, Items, Named, Part, Term, describe, handed, number, seen, taken_in

MAX_LOOKS = 2_000  # pieces evaluated in search of the sizes of axes


class UnsizedError(FormulaError):
    """An axis whose size this piece of the text cannot tell; another may."""


class Interpreter:
    """One text under evaluation."""

    def __init__(self, world: World, program: Program, text: str, meant: bool = False) -> None:
        self.world, self.program, self.text = world, program, text
        self.meant = self.always = meant
        self.scope = Scope(world, program, text)
        self.site = self.scope.site
        self.calls: dict[str, Value] = {}
        self.place = 0  # of the line under evaluation
        self.open_lines: set[int] = set()
        self.searched: set[str] = set()
        self.looks = 0

    @property
    def rules(self) -> Rules:
        return Rules(self.text, self.world.strict, self.meant, self.world.most)

    @contextmanager
    def inside(self, place: int | None = None, meant: bool | None = None) -> Generator[None]:
        """Evaluate as if at another line, or where crossing is or is not meant."""
        before = self.place, self.meant
        self.place = self.place if place is None else place
        self.meant = self.meant if meant is None else meant
        try:
            yield
        finally:
            self.place, self.meant = before

    def result(self) -> Value:
        """The value of the text; several are a tuple."""
        for place in range(len(self.program.lines)):
            self.line(place)
        with self.inside(len(self.program.lines)):
            values = tuple(self.value(node) for node in self.program.values)
        return values[0] if len(values) == 1 else Items(values, False)

    # lines and names

    def line(self, place: int) -> None:
        line = self.program.lines[place]
        if line.targets[0].name in self.scope.bound:
            return
        if place in self.open_lines:
            raise UnsizedError("the line is under evaluation.")
        self.open_lines.add(place)
        try:
            with self.inside(place, self.always or any(target.axes is not None for target in line.targets)):
                value = self.value(line.value)
                for target, one in zip(line.targets, self.unpacked(value, line), strict=True):
                    if target.axes is not None:
                        base = Term(self.array(one, line.value), line.value)
                        one = ordered(base, target.axes, target.span, self.rules, self.scope.register)
                    self.scope.bound[target.name] = one
        finally:
            self.open_lines.remove(place)

    def unpacked(self, value: Value, line: Line) -> list[Value]:
        if len(line.targets) == 1:
            return [value]
        if isinstance(value, Items) and not isinstance(value.items, Mapping) and len(value.items) == len(line.targets):
            return [self.taken(one, value.data, line.value) for one in value.items]
        got = f"{len(value.items)} items" if isinstance(value, Items) else f"an array of shape {value.shape}"
        raise self.site(line.value).error(
            f"the line binds {len(line.targets)} names, so its value is a tuple of as many.",
            got,
            "bind one name for each item",
        )

    def taken(self, value: object, data: bool, node: Node) -> Value:
        found = taken_in(value, data, self.site(node))
        if isinstance(found, Part):
            words = self.site(node).words
            raise self.site(node).error(f"`{words}` is a part.", words, f"call it: {words}(...)")
        return found

    def name(self, node: Name) -> Value:
        scope = self.scope
        if node.id in scope.lines:
            if scope.lines[node.id] >= self.place:
                raise self.site(node).error(f"`{node.id}` is used before its line.", node.id, "write its line first")
            self.line(scope.lines[node.id])
            return scope.bound[node.id]
        if node.id in self.world.formulas:
            value = self.world.found[node.id]
            for axis, shape in value.sizes().items() if isinstance(value, Named) else ():
                if axis != REST:
                    scope.register(axis, shape[0], node)
            return value
        if node.id in self.world.given:
            return self.taken(self.world.value(node.id, self.site(node)), True, node)
        return Named(np.arange(self.size(node)), (node.id,), ((node.id,),), position=True)

    def size(self, node: Name) -> int:
        """The length of an axis; pieces of the text that name it are evaluated until one tells."""
        axis, sizes = node.id, self.scope.sizes
        if axis in self.searched:
            raise UnsizedError("the axis is being looked for.")
        self.searched.add(axis)
        try:
            for place, piece in self.scope.pieces(axis) if axis not in sizes else ():
                self.look(place, piece)
                if axis in sizes:
                    break
        finally:
            self.searched.remove(axis)
        if axis not in sizes:
            known = dict.fromkeys((*self.world.given, *self.world.formulas, *self.scope.lines, *sizes))
            raise (UnsizedError if self.searched else FormulaError)(
                f"`{axis}` is not known here.",
                self.site(node).place,
                f"known names: {listed(known)}",
                did_you_mean(axis, known, "give it as a value, or name an axis by it in brackets"),
            )
        return sizes[axis]

    def look(self, place: int, piece: Node) -> None:
        self.looks += 1
        if self.looks > MAX_LOOKS:
            raise self.site(piece).error(
                "the sizes of the axes hang on each other.", self.site(piece).words, "name the axes of a given value"
            )
        with self.inside(place, meant=True), suppress(UnsizedError):
            self.value(piece)

    # values

    def value(self, node: Node) -> Value:
        match node:
            case Number(value):
                return number(value)
            case Name():
                return self.name(node)
            case Call():
                return self.call(node)
            case Brackets():
                return self.brackets(node)
            case Chain() if node.rest[0][0] in PRODUCT:
                return multiplied(node, self.term, self.rules)
            case Chain():
                return summed(node, self.term, self.rules)
            case Power(base, exponent):
                return operated("**", self.term(base), self.term(exponent), self.rules, node.span)
            case Negative(operand):
                return negated(self.term(operand).value)
            case Compare():
                return compared(node, self.term, self.rules)
            case Logic(operator, operands):
                return logic(operator, [self.term(operand) for operand in operands], self.rules, node.span)
            case Not(operand):
                return inverted(self.term(operand).value)
            case _:
                words = self.site(node).words
                raise self.site(node).error(f"`{words}` is no value here.", words, "write a number, a name or a call")

    def term(self, node: Node) -> Term:
        return Term(self.array(self.value(node), node), node)

    def array(self, value: Value, node: Node) -> Named:
        if isinstance(value, Named):
            return value
        keys = list(value.items) if isinstance(value.items, Mapping) else range(len(value.items))
        words = self.site(node).words
        raise self.site(node).error(
            f"`{words}` has several items.",
            f"items {listed(repr(key) for key in keys)}",
            f"pick one: {words}[{next(iter(map(repr, keys)), 0)}]",
        )

    # brackets

    def brackets(self, node: Brackets) -> Value:
        value = self.value(node.value)
        only = node.entries[0] if len(node.entries) == 1 else None
        if isinstance(value, Items):
            return self.taken(item(value, only, self.site(node)), value.data, node)
        if isinstance(only, (Number, Text)) and not value.axes:
            words = self.site(node.value).words
            raise self.site(node).error(
                f"`{words}` is an array, which has axes and no items.",
                f"{words} {describe(value)}",
                f"name the axes, as in {words}[0, k]",
            )
        if value.number:
            words = self.site(node.value).words
            raise self.site(node).error(f"`{words}` is a number and has no axes.", words, "leave out the brackets")
        entries = [self.entry(entry, node) for entry in node.entries]
        base = Term(value, node.value)
        return bracketed(base, entries, node.span, self.rules, self.scope.register, lambda pick: self.term(pick).value)

    def entry(self, node: Node, whole: Brackets) -> Entry:
        if isinstance(node, Rest):
            return Entry(REST, node)
        if isinstance(node, Name):
            return Entry(node.id, node)
        if isinstance(node, Text):
            words = self.site(whole.value).words
            raise self.site(node).error(f"`{words}` has no items.", self.site(node).words, "name its axes instead")
        if isinstance(node, Chain) and self.scope.is_axis(node.first) and _shifts(node):
            raise self.site(node).error(
                "shifts of an axis are not yet part of the language.",
                self.site(node).words,
                "pick by values that you give, as in x[b, next[i]]",
            )
        return Entry(None, node)

    # calls

    def call(self, node: Call) -> Value:
        name, site = node.function, self.site(node)
        given = self.world.value(name, site) if name in self.world.given else None
        if isinstance(given, Part):
            return self.part(given, node)
        function = FUNCTIONS.get(name)
        if function is None:
            raise self.scope.no_function(name, site)
        if function.kind == "random":
            raise site.error(
                f"`{name}` stands in conditions, times and indices only.", name, "give a random number as a value"
            )
        arguments = sorted_arguments(node, function, self.text, self.scope.is_axis)
        first = arguments.values[0]
        if name == "size" and isinstance(first, Name) and self.scope.is_axis(first) and not arguments.options:
            return number(self.size(first))
        if "edges" in function.values:
            return over_edges(function, arguments, site, self.term(first), self.world.given)
        meant = self.meant or (bool(arguments.axes) and function.kind in ("reduction", "pair"))
        with self.inside(meant=meant):
            terms = tuple(self.term(value) for value in arguments.values)
            extra = {key: self.term(value) for key, value in arguments.extra.items()}
            rules = self.rules
        bound = Given(function, terms, arguments.axes, extra, arguments.options, site, rules)
        return loss(bound, self.formula) if function.kind == "loss" else called(bound)

    def part(self, part: Part, node: Call) -> Value:
        """What a part returns; the same call written twice is made once."""
        data = False
        args: list[object] = []
        keywords: dict[str, object] = {}
        for key, arg in (*((None, arg) for arg in node.args), *node.keywords):
            value = arg.value if isinstance(arg, (Text, Truth)) else self.value(arg)
            if isinstance(value, (Named, Items)):
                data = data or value.data
                value = handed(seen(value, self.site(arg)) if isinstance(value, Named) else value)
            if key is None:
                args.append(value)
            else:
                keywords[key] = value
        keywords.pop("draw", None)
        words = write(node)
        if words not in self.calls:
            returned = part.call(*args, **keywords)
            self.world.make_room(returned)
            self.calls[words] = self.taken(returned, data, node)
        return self.calls[words]

    def formula(self, program: Program, text: str, values: Mapping[str, Named | Items], rules: Rules) -> Named:
        """The value of a loss by its formula; `text` is that of its call."""
        world = World(values, {}, strict=rules.strict)
        world.largest = self.world.largest
        value = Interpreter(world, program, text, rules.meant).result()
        return self.array(value, program)


def _shifts(node: Chain) -> bool:
    return all(operator in ("+", "-") and isinstance(other, Number) for operator, other in node.rest)
