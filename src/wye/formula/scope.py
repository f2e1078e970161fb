"""Where the names of a formula come from: parts, named formulas, and inputs for what is left over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ..errors import FormulaError, Place, did_you_mean
from .functions import FUNCTIONS
from .graph import NUMBER, Graph, Kind, Value, with_kind
from .tree import Brackets, Name, Program, Span, walk

MAX_FORMULAS = 32


@dataclass(frozen=True)
class Text:
    """A program, and where it stands in the text that shows all formulas together."""

    program: Program
    offset: int = 0


def axis_names(program: Program) -> dict[str, Span]:
    """The names of axes in a program, each with its first place: bare names within brackets, and those of lines."""
    found: dict[str, Span] = {}
    for node in walk(program):
        if isinstance(node, Brackets):
            for entry in node.entries:
                if isinstance(entry, Name):
                    found.setdefault(entry.id, entry.span)
    for line in program.lines:
        for target in line.targets:
            for name in target.axes or ():
                if name != "...":
                    found.setdefault(name, target.span)
    return found


def brought_names(program: Program, brought: Mapping[str, Iterable[str]]) -> dict[str, Span]:
    """The names of axes that come with the named formulas a program reads, unless its own lines bind them."""
    lines = {target.name for line in program.lines for target in line.targets}
    read = [node for node in walk(program) if isinstance(node, Name) and node.id in brought]
    return {name: node.span for node in read for name in brought[node.id] if name not in lines}


def value_names(program: Program, axes: Mapping[str, Span]) -> Iterator[Name]:
    """The names that stand for values, in reading order."""
    return (node for node in walk(program) if isinstance(node, Name) and node.id not in axes)


@dataclass
class Sources:
    """All a formula may read.

    Args:
        top: the formula itself.
        text: the whole text, the named formulas after the formula.
        modules: names of parts that are called.
        kinds: what is known of parts that are values.
        formulas: named formulas.
        input_kinds: what is known of the inputs; None for any other name: it is an input like the default.
        strict: whether undeclared data must fit as it is.
        dice: whether `die` and `coin` may fall.
        closed: whether only the names of `input_kinds` are inputs.
        updates: of tables, by name: the input that holds their ids, if any, and the formula of new entries.
    """

    top: Text
    text: str
    modules: frozenset[str] = frozenset()
    kinds: Mapping[str, Kind] = field(default_factory=dict[str, Kind])
    formulas: Mapping[str, Text] = field(default_factory=dict[str, Text])
    input_kinds: Mapping[str, Kind] = field(default_factory=dict[str, Kind])
    strict: bool = True
    dice: bool = False
    closed: bool = False
    updates: Mapping[str, tuple[str | None, Text]] = field(default_factory=dict[str, tuple[str | None, Text]])
    order: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        reads = self._reading({})
        self.order, self.inputs = tuple(reads.formulas), tuple(reads.inputs)

    def settle(self, brought: Mapping[str, Iterable[str]]) -> None:
        """The inputs once it is known which axes the named formulas bring out: their names are none."""
        self.inputs = tuple(self._reading(brought).inputs)

    def _reading(self, brought: Mapping[str, Iterable[str]]) -> Reading:
        reads = Reading(self, brought)
        reads.enter(self.top, ())
        for by, text in self.updates.values():
            if by is not None:
                reads.inputs.setdefault(by)
            reads.enter(text, ())
        return reads

    def read(self, graph: Graph, name: str, span: Span) -> Value:
        """A part or an input as a value."""
        if name in self.modules:
            raise graph.error(f"the part `{name}` is to be called.", span, name, f"write {name}(x)")
        if self.kinds.get(name, self.input_kinds.get(name, NUMBER)).dtype == "complex":
            fix = f"give its real and its imaginary part as two values: {name}.real, {name}.imag"
            raise graph.error(f"`{name}` holds complex numbers.", span, "a tensor of complex numbers", fix)
        if name in self.kinds:
            kind = self.kinds[name]
            return graph.value("number" if kind.number else "part", (), (name,), self._marked(graph, kind), span)
        if self.closed and name not in self.input_kinds:
            known = [*self.modules, *self.kinds, *self.formulas, *self.input_kinds]
            if name in FUNCTIONS:
                raise graph.error(
                    f"the function `{name}` is to be called.", span, name, f"write {FUNCTIONS[name].signature}"
                )
            raise graph.error(
                f"there is no value called `{name}`.", span, name, did_you_mean(name, known, f"give it: {name}=...")
            )
        kind = self.input_kinds.get(name, Kind(dtype="assumed", tensor=False))
        return graph.value("input", (), (name,), self._marked(graph, kind), span)

    def _marked(self, graph: Graph, kind: Kind) -> Kind:
        return kind if kind.axes is not None else with_kind(kind, shape=graph.new_shape())


class Reading:
    """Which named formulas are read, each after those it reads, and which inputs, by first reading."""

    def __init__(self, sources: Sources, brought: Mapping[str, Iterable[str]]) -> None:
        self.sources, self.brought = sources, brought
        self.formulas: dict[str, None] = {}
        self.inputs: dict[str, None] = {}

    def enter(self, text: Text, inside: tuple[str, ...]) -> None:
        axes = {**brought_names(text.program, self.brought), **axis_names(text.program)}
        lines = {target.name for line in text.program.lines for target in line.targets}
        known = self.sources
        for node in value_names(text.program, axes):
            name = node.id
            if name in lines or name in known.modules or name in known.kinds or name in self.formulas:
                continue
            if name in known.formulas:
                self._deeper(text, node, inside)
            elif not known.closed or name in known.input_kinds:
                self.inputs.setdefault(name)

    def _deeper(self, text: Text, node: Name, inside: tuple[str, ...]) -> None:
        place = Place(self.sources.text, node.span[0] + text.offset, node.span[1] + text.offset)
        if node.id in inside:
            raise FormulaError(
                f"`{node.id}` is read by its own formula.",
                place,
                " -> ".join((*inside, node.id)),
                "name another value there",
            )
        if len(inside) >= MAX_FORMULAS:
            raise FormulaError(
                f"named formulas nest at most {MAX_FORMULAS} deep.", place, node.id, "write some of them in place"
            )
        self.enter(self.sources.formulas[node.id], (*inside, node.id))
        self.formulas.setdefault(node.id)


def assemble(
    text: str, program: Program, formulas: Mapping[str, tuple[str, Program]]
) -> tuple[str, Text, dict[str, Text]]:
    """One text of a formula and its named formulas, so that every place in it can be shown."""
    whole, placed = text, dict[str, Text]()
    for name, (own, tree) in formulas.items():
        head = f"\n{name} = " if "\n" not in own else f"\n{name} =\n"
        placed[name] = Text(tree, len(whole) + len(head))
        whole += head + own
    return whole, Text(program), placed
