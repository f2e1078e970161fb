"""`Scope`: one text, whose names find their values and axes their names; each node becomes a value of the graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import FormulaError, did_you_mean, listed
from .axes import seen_order, shown
from .brackets import line_axes, read_brackets, renamed
from .calls import read_function, unknown_function
from .functions import FUNCTIONS
from .graph import REST, SAMPLE, Graph, Kind, Value, with_kind
from .meeting import Meeting, lay
from .operators import chain, compare, logic, negative, operator
from .reader import tensor
from .scope import Sources, Text, axis_names, brought_names, value_names
from .text import write
from .tree import (
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
    Span,
    Truth,
)


@dataclass
class Scope:
    """Reads one formula; its axes are its own, marked by `prefix`. One of the catalogue stands `within` its call."""

    sources: Sources
    source: Text
    graph: Graph
    named: Mapping[str, Value]
    prefix: str
    lines: dict[str, Value] = field(default_factory=dict[str, Value])
    summands: dict[str, Value] = field(default_factory=dict[str, Value])
    rules: Meeting = field(default_factory=Meeting)
    within: Span | None = None

    def __post_init__(self) -> None:
        program = self.source.program
        self.rules = Meeting(self.sources.strict)
        brought = {name: [axis for axis in value.kind.names if axis != REST] for name, value in self.named.items()}
        self.axes = {**brought_names(program, brought), **axis_names(program)}
        self.reads = Counter(node.id for node in value_names(program, self.axes))
        self.check_names(program)

    # names

    @property
    def dice(self) -> bool:
        return self.sources.dice

    def at(self, node: Node) -> Span:
        if self.within is not None:
            return self.within
        return (node.span[0] + self.source.offset, node.span[1] + self.source.offset)

    def span_of_all(self) -> Span:
        return self.at(self.source.program)

    def axis(self, name: str) -> str:
        return self.prefix + name

    def is_axis(self, node: Node) -> bool:
        return isinstance(node, Name) and node.id in self.axes

    def is_free(self, node: Node) -> bool:
        """Whether it is the name of an axis, or of nothing that is known."""
        sources = self.sources
        known = {*self.lines, *sources.kinds, *sources.formulas, *sources.input_kinds}
        return self.is_axis(node) or (sources.closed and isinstance(node, Name) and node.id not in known)

    def refuse_axis(self, node: Node) -> FormulaError:
        name = self.graph.written_at(self.at(node))
        fix = did_you_mean(name, self.axes, f"axes are {listed(self.axes)}; of an undeclared value say axis=1")
        return self.graph.error(f"there is no axis `{name}`.", self.at(node), name, fix)

    def check_names(self, program: Program) -> None:
        """An axis cannot bear the name of a value, nor a line that of anything known."""
        bound: set[str] = set()
        known = {*self.sources.kinds, *self.sources.formulas, *self.sources.input_kinds}
        for line in program.lines:
            for target in line.targets:
                if target.name in {*bound, *known, *self.axes, *self.sources.modules}:
                    what = "is bound already." if target.name not in self.axes else "names an axis and a value."
                    raise self.graph.error(
                        f"`{target.name}` {what}", self.at(target), target.name, "give it another name"
                    )
                bound.add(target.name)
        for name, span in self.axes.items():
            if name in known:
                place = (span[0] + self.source.offset, span[1] + self.source.offset)
                raise self.graph.error(
                    f"`{name}` names an axis and a value.",
                    place,
                    name,
                    f"give the axis another name; to pick by the value, name its axes: {name}[i]",
                )

    # the program

    def program(self) -> tuple[Value, ...]:
        for line in self.source.program.lines:
            self.line(line)
        return tuple(self.top_line(node) for node in self.source.program.values)

    def top_line(self, node: Node) -> Value:
        """The value, and its summands where it is a sum."""
        value = self.read(node)
        if isinstance(node, Chain) and node.rest[0][0] in ("+", "-"):
            for sign, one in [("+", node.first), *node.rest]:
                part = self.read(one)
                self.summand(sign, one, part if sign == "+" else negative(self, part, self.at(one)))
        else:
            self.summand("+", node, value)
        return value

    def summand(self, sign: str, node: Node, value: Value) -> None:
        """Keeps a summand under its signed text; named values are known by their names."""
        if isinstance(node, Name) and (node.id in self.lines or node.id in self.named):
            return
        product = isinstance(node, Chain) and node.rest[0][0] not in ("+", "-")
        text = write(node) if sign == "+" else f"-{write(node)}" if product else write(Negative(node))
        if text in self.summands:  # written twice, it counts twice: the terms add up to the total
            value = operator(self, "+", self.summands[text], value, self.at(node))
        self.summands[text] = value

    def line(self, line: Line) -> None:
        target, *others = line.targets
        if others:
            whole = self.read(line.value)
            for place, target in enumerate(line.targets):
                kind = with_kind(whole.kind, axes=None, dtype="any", tensor=False, shape=self.graph.new_shape())
                facts = (place, len(line.targets))
                value = self.graph.value("unpack", (whole,), facts, kind, self.at(target))
                self.bind_line(target.name, target.axes, value, self.at(target))
            return
        value = self.read_meant(line.value) if target.axes is not None else self.read(line.value)
        self.bind_line(target.name, target.axes, value, self.at(target))

    def bind_line(self, name: str, axes: tuple[str, ...] | None, value: Value, span: Span) -> None:
        if axes is not None:
            value = line_axes(
                self.graph, tensor(self.graph, value), [a if a == REST else self.axis(a) for a in axes], span
            )
        elif self.reads[name] > 1 and value.op == "product":
            value = self.graph.value("same", (value,), ("kept",), value.kind, value.span)
        self.lines[name] = value

    def shown(self, value: Value) -> Value:
        """The value with its axes in the order in which they are seen."""
        if value.kind.axes is None:
            return value
        order, _ = seen_order(value.kind)
        lead = (SAMPLE,) if SAMPLE in value.kind.axes else ()
        return lay(self.graph, value, (*lead, *order))

    def leave(self, value: Value) -> Value:
        """A named formula's value, its axes now those of the whole text."""
        value = self.shown(value)
        return renamed(self.graph, value, lambda name: name.removeprefix(self.prefix), self.span_of_all())

    # values

    def read_meant(self, node: Node) -> Value:
        """A value inside a reduction that names its axes, or on a line that names its result: crossing is meant."""
        before, self.rules = self.rules, Meeting(self.rules.strict, meant=True)
        try:
            return self.read(node)
        finally:
            self.rules = before

    def read(self, node: Node) -> Value:
        match node:
            case Number(value):
                return self.graph.number(value, self.at(node))
            case Name():
                return self.name(node)
            case Chain():
                return chain(self, node)
            case Power(base, exponent):
                return operator(self, "**", self.read(base), self.read(exponent), self.at(node))
            case Negative(operand):
                return negative(self, self.read(operand), self.at(node))
            case Not(operand):
                return logic(self, "not", [self.read(operand)], self.at(node))
            case Logic(word, operands):
                return logic(self, word, [self.read(operand) for operand in operands], self.at(node))
            case Compare():
                return compare(self, node)
            case Call():
                return self.call(node)
            case Brackets(value):
                span = self.at(node)
                return read_brackets(self.graph, node, span, self.read(value), self.read, self.axis, self.is_free)
            case Truth():
                raise self.graph.error(
                    "True and False stand as the value of a keyword only.",
                    self.at(node),
                    str(node.value),
                    "write 1 or 0",
                )
            case _:
                text = self.graph.written_at(self.at(node))
                raise self.graph.error(
                    "a quoted word stands as a key or the value of a keyword only.",
                    self.at(node),
                    text,
                    "leave the quotes out",
                )

    def name(self, node: Name) -> Value:
        name, span = node.id, self.at(node)
        if name in self.lines:
            return self.lines[name]
        if name in self.named:
            return renamed(self.graph, self.named[name], self.axis, span)
        if name in self.axes:
            kind = Kind(axes=(self.axis(name),), written=((self.axis(name),),), data=False, dtype="int", position=True)
            return self.graph.value("positions", (), (self.axis(name),), kind, span)
        if any(name == target.name for line in self.source.program.lines for target in line.targets):
            raise self.graph.error(f"`{name}` is read before its line.", span, name, "put the line first")
        return self.sources.read(self.graph, name, span)

    def call(self, node: Call) -> Value:
        span = self.at(node)
        if node.function in self.sources.modules:
            return self.part(node, span)
        if node.function in FUNCTIONS:
            return read_function(self, node)
        known = {*self.sources.kinds, *self.sources.formulas, *self.sources.input_kinds, *self.lines}
        if node.function in known:
            fix = f"leave the brackets out, or multiply: {node.function} * (...)"
            raise self.graph.error(f"`{node.function}` is a value, not a function.", span, node.function, fix)
        raise unknown_function(self, node, sorted(self.sources.modules))

    def expand(self, program: Program, values: Mapping[str, Value], prefix: str, span: Span) -> Value:
        """The value of a formula of the catalogue, whose names are these values; it stands where it is called."""
        sources = Sources(Text(program), self.graph.text, strict=self.sources.strict, closed=True)
        inner = Scope(sources, Text(program), self.graph, {}, prefix, dict(values), within=span)
        inner.rules = self.rules
        return inner.shown(*inner.program())

    def part(self, node: Call, span: Span) -> Value:
        """A part called with exactly the arguments written; `draw=` only tells calls apart."""
        args = [self.argument(arg) for arg in node.args]
        keywords = [(key, value) for key, value in node.keywords if key != "draw"]
        draw = [value for key, value in node.keywords if key == "draw"]
        if draw and not isinstance(draw[0], Number):
            raise self.graph.error(
                "`draw` takes a number.", self.at(draw[0]), self.graph.written_at(self.at(draw[0])), "write draw=1"
            )
        args += [self.argument(value) for _, value in keywords]
        facts = (node.function, tuple(key for key, _ in keywords), repr(draw))
        sample = any(arg.kind.sample or SAMPLE in (arg.kind.axes or ()) for arg in args)
        data = any(arg.kind.data for arg in args)
        kind = Kind(data=data, dtype="any", sample=sample, shape=self.graph.new_shape(), tensor=False)
        return self.graph.value("call", args, facts, kind, span)

    def argument(self, node: Node) -> Value:
        """What a part receives: a tensor in its order, which must be beyond doubt."""
        if isinstance(node, Truth):
            return self.graph.number(node.value, self.at(node))
        if not isinstance(node, Name | Number | Call | Brackets | Chain | Power | Negative | Not | Logic | Compare):
            return self.graph.value(
                "constant", (), (getattr(node, "value", None),), Kind(axes=(), dtype="number"), self.at(node)
            )
        value = self.read(node)
        if value.kind.declared:
            order, firm = seen_order(value.kind)
            if not firm:
                text = self.graph.written_at(value.span)
                raise self.graph.shape_error(
                    f"`{text}` has no order of its own for a part to see.",
                    value.span,
                    f"axes {{{shown(order)}}}",
                    f"name it on a line first: value[{shown(order)}] = {text}",
                )
            return self.shown(value)
        return value
