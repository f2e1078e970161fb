"""`Recipe`: all that decides what code a formula becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .analysis import Analysis, analyse
from .formula import Formula
from .graph import Kind, Value
from .scope import Sources, Text, assemble


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
        terms: whether the value is returned with its terms, through the module's `_finish`.
    """

    formula: Formula
    formulas: Mapping[str, Formula] = field(default_factory=dict[str, Formula])
    modules: frozenset[str] = frozenset()
    callables: frozenset[str] = frozenset()
    kinds: Mapping[str, Kind] = field(default_factory=dict[str, Kind])
    strict: bool = True
    terms: bool = False

    def analysis(self, kinds: Mapping[str, Kind], *, dice: bool = False, closed: bool = False) -> Analysis:
        named = {name: (formula.text, formula.program) for name, formula in self.formulas.items()}
        whole, top, placed = assemble(self.formula.text, self.formula.program, named)
        return analyse(self.sources(whole, top, placed, kinds, dice, closed))

    def sources(
        self, whole: str, top: Text, placed: Mapping[str, Text], kinds: Mapping[str, Kind], dice: bool, closed: bool
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
        )


def terms_of(analysis: Analysis) -> dict[str, Value]:
    """Named values that may be without axes, and the unnamed summands of the top line."""
    reached = {**analysis.named, **analysis.summands}
    return {name: value for name, value in reached.items() if value.kind.scalar or (value.kind.axes is None)}
