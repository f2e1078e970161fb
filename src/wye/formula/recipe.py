"""`Recipe`: all that decides what code a formula becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import InputError, listed
from .algebra import rebuilt
from .analysis import Analysis, analyse
from .formula import Formula
from .graph import Kind, Value
from .scope import Sources, Text, assemble
from .tree import Entries, Name, Node, Program


@dataclass(frozen=True)
class Recipe:
    """All that decides what code a formula becomes.

    Args:
        formula: the formula.
        formulas: named formulas.
        modules: names of parts that are called and are modules.
        callables: names of parts that are called and are not.
        kinds: what is known of parts that are values.
        strict: see `Join`.
        tables: the names of parts that are tables, and of the inputs that choose their entries.
        updates: of tables, by name: the input that holds their ids, if any, and the formula of new entries.
        terms: whether the value is returned with its terms, through the module's `_finish`.
    """

    formula: Formula
    formulas: Mapping[str, Formula] = field(default_factory=dict[str, Formula])
    modules: frozenset[str] = frozenset()
    callables: frozenset[str] = frozenset()
    kinds: Mapping[str, Kind] = field(default_factory=dict[str, Kind])
    strict: bool = True
    terms: bool = False
    tables: Mapping[str, str] = field(default_factory=dict[str, str])
    updates: Mapping[str, tuple[str | None, Formula]] = field(default_factory=dict[str, tuple[str | None, Formula]])

    def analysis(self, kinds: Mapping[str, Kind], *, dice: bool = False, closed: bool = False) -> Analysis:
        named = {name: (formula.text, self._looked_up(formula.program)) for name, formula in self.formulas.items()}
        whole, top, placed = assemble(self.formula.text, self._looked_up(self.formula.program), named)
        new = {name: (one.text, self._looked_up(one.program)) for name, (_, one) in self.updates.items()}
        whole, _, updates = assemble(whole, top.program, new)
        renewed = {name: (by, updates[name]) for name, (by, _) in self.updates.items()}
        return analyse(self.sources(whole, top, placed, kinds, renewed, dice, closed))

    def _looked_up(self, program: Program) -> Program:
        """The program with each table read as its entries: `w` is `take(w, id)`."""

        def change(node: Node) -> Node:
            if isinstance(node, Name) and node.id in self.tables:
                return Entries("take", (node, Name(self.tables[node.id], span=node.span)), (), span=node.span)
            return node

        changed = rebuilt(program, change) if self.tables else program
        assert isinstance(changed, Program)
        return changed

    def inputs(self, reads: Sequence[str], known: Sequence[str] | None) -> tuple[str, ...]:
        """The inputs in order: those that are `known`, or else those that the formula reads.

        Raises:
            InputError: it reads another one.
        """
        found = tuple(reads if known is None else known)
        unknown = [name for name in reads if name not in found]
        if unknown:
            raise InputError(
                f"the formula reads `{unknown[0]}`, which is no input.",
                str(self.formula),
                f"inputs {listed(found)}",
                "read those alone: inputs are fixed when the module is built",
            )
        return found

    def sources(
        self,
        whole: str,
        top: Text,
        placed: Mapping[str, Text],
        kinds: Mapping[str, Kind],
        updates: Mapping[str, tuple[str | None, Text]],
        dice: bool,
        closed: bool,
    ) -> Sources:
        return Sources(
            top,
            whole,
            modules=self.modules | self.callables,
            kinds=self.kinds,
            formulas=placed,
            input_kinds=kinds,
            strict=self.strict,
            dice=dice,
            closed=closed,
            updates=updates,
        )


class Prepared:
    """A recipe, checked: what is known of it before any value is seen.

    Args:
        recipe: the recipe.
        inputs: the inputs in order; None: those the formula reads.
    """

    def __init__(self, recipe: Recipe, inputs: Sequence[str] | None = None) -> None:
        self.recipe = recipe
        self.analysis = recipe.analysis({})
        self.text = self.analysis.graph.text
        self.reads = self.analysis.inputs
        self.inputs = recipe.inputs(self.reads, inputs)
        self.calls = frozenset(value.span for value in self.analysis.graph.values() if value.op == "call")


def terms_of(analysis: Analysis) -> dict[str, Value]:
    """Named values that may be without axes, and the unnamed summands of the top line."""
    reached = {**analysis.named, **analysis.summands}
    return {name: value for name, value in reached.items() if value.kind.scalar or (value.kind.axes is None)}
