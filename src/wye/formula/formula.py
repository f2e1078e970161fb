"""The public face of a formula: text that is checked, compared, and combined."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Union

from ..errors import FormulaError, PartError, did_you_mean
from . import algebra
from .grammar import parse
from .scope import axis_names, value_names
from .text import write
from .tree import Call, Program, walk

Operand = Union["Formula", str, int, float]


class Formula:
    """A formula: immutable, equal to any other that says the same, printed as it was typed.

    `str(formula)` is the canonical text; parsing it gives the same formula. `repr` shows the text as typed.

    Args:
        text: one or a few lines; the last is the value.

    Raises:
        FormulaError: the text is not in the language; the message points at the place.

    Example:
        >>> from wye import Formula
        >>> loss = Formula("ce+beta*kl")
        >>> str(loss)
        'ce + beta * kl'
        >>> loss.swap("+", "*")
        Formula('ce * (beta * kl)')
        >>> sum([Formula("a"), 2 * Formula("b")])
        Formula('a + 2 * b')
    """

    __slots__ = ("canonical", "program", "text")

    text: str
    canonical: str
    program: Program

    def __init__(self, text: Formula | str) -> None:
        if not isinstance(text, str | Formula):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PartError("a formula is a text.", "Formula(...)", type(text).__name__, 'write Formula("a + b")')
        source = text.text if isinstance(text, Formula) else text
        program = parse(source)
        object.__setattr__(self, "text", source)
        object.__setattr__(self, "program", program)
        object.__setattr__(self, "canonical", write(program))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Formula does not change: make another, with swap, rename or substitute")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a Formula does not change")

    def __reduce__(self) -> tuple[type[Formula], tuple[str]]:
        return Formula, (self.text,)

    def __str__(self) -> str:
        return self.canonical

    def __repr__(self) -> str:
        return f"Formula({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return self.canonical == other.canonical if isinstance(other, Formula) else NotImplemented

    def __hash__(self) -> int:
        return hash((Formula, self.canonical))

    @property
    def names(self) -> tuple[str, ...]:
        """The names it reads, in reading order: values first met in the text, without its own lines and axes."""
        axes = axis_names(self.program)
        lines = {target.name for line in self.program.lines for target in line.targets}
        return tuple(dict.fromkeys(n.id for n in value_names(self.program, axes) if n.id not in lines))

    @property
    def calls(self) -> tuple[str, ...]:
        """The names it calls: functions and parts, in reading order."""
        return tuple(dict.fromkeys(node.function for node in walk(self.program) if isinstance(node, Call)))

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of axes, in reading order."""
        return tuple(axis_names(self.program))

    # algebra

    def swap(self, operator: str, other: str) -> Formula:
        """The same formula with one operator in the place of another: `+ - * / @ % **`, comparisons, `max min mean`.

        Brackets are added where the new operator binds otherwise.

        Raises:
            FormulaError: there is no such operator, or the formula does not use it.
        """
        for name in (operator, other):
            if name not in algebra.OPERATORS:
                fix = did_you_mean(name, algebra.OPERATORS, f"choose from {' '.join(algebra.OPERATORS)}")
                raise FormulaError(f"`{name}` is not an operator.", f"swap({operator!r}, {other!r})", name, fix)
        program = algebra.swap(self.program, operator, other)
        if program == self.program and operator != other:
            raise FormulaError(
                f"the formula does not use `{operator}`.", str(self), operator, "name an operator that it uses"
            )
        return Formula(write(program))

    def rename(self, names: Mapping[str, str] | None = None, /, **more: str) -> Formula:
        """The same formula with other names for values, parts and axes: `rename(a="b")` or `rename({"a": "b"})`."""
        wanted = {**(names or {}), **more}
        known = {*self.names, *self.calls, *self.axes, *algebra.line_names(self.program)}
        for name in wanted:
            if not isinstance(wanted[name], str):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise PartError(
                    "a name is a text.", f"rename({name}=...)", repr(wanted[name]), f"write rename({name}='other')"
                )
            if name not in known:
                fix = did_you_mean(name, known, f"it reads {', '.join(sorted(known))}")
                raise FormulaError(f"the formula has no name `{name}`.", str(self), name, fix)
        taken = (known - set(wanted)) & set(wanted.values())
        if taken:
            name = sorted(taken)[0]
            raise FormulaError(f"the name `{name}` is taken.", str(self), name, "choose another name")
        return Formula(write(algebra.rename(self.program, wanted)))

    def substitute(self, values: Mapping[str, Operand] | None = None, /, **more: Operand) -> Formula:
        """The same formula with other formulas in the place of names: `substitute(kl="mean(q * log(q / p))")`."""
        wanted = {name: as_formula(value) for name, value in {**(values or {}), **more}.items()}
        for name in wanted:
            if name not in self.names:
                fix = did_you_mean(name, self.names, f"it reads {', '.join(self.names)}")
                raise FormulaError(f"the formula reads no `{name}`.", str(self), name, fix)
        return Formula(write(algebra.substitute(self.program, {n: f.program for n, f in wanted.items()})))

    def only(self, *names: str) -> Formula:
        """The summands of the value that read one of the names, and the lines that they need.

        Raises:
            FormulaError: no summand reads any of them.
        """
        if not names:
            raise FormulaError(
                "no name says what to keep.", str(self), "only()", "name what the summands read: only('ce')"
            )
        program = algebra.only(self.program, names)
        if program is None:
            known = [*algebra.line_names(self.program), *self.names]
            fix = did_you_mean(names[0], known, f"it reads {', '.join(known)}")
            raise FormulaError(f"no summand reads `{', '.join(names)}`.", str(self), ", ".join(names), fix)
        return Formula(write(program))

    def _join(self, operator: str, other: object, reverse: bool = False) -> Formula:
        if not isinstance(other, Formula | str | int | float) or isinstance(other, bool):
            return NotImplemented
        left, right = self, as_formula(other)
        if reverse:
            left, right = right, left
        return Formula(write(algebra.join(operator, left.program, right.program)))

    def __add__(self, other: Operand) -> Formula:
        return self._join("+", other)

    def __radd__(self, other: Operand) -> Formula:
        return self if other == 0 and not isinstance(other, Formula | str) else self._join("+", other, reverse=True)

    def __sub__(self, other: Operand) -> Formula:
        return self._join("-", other)

    def __rsub__(self, other: Operand) -> Formula:
        return self._join("-", other, reverse=True)

    def __mul__(self, other: Operand) -> Formula:
        return self._join("*", other)

    def __rmul__(self, other: Operand) -> Formula:
        return self._join("*", other, reverse=True)

    def __truediv__(self, other: Operand) -> Formula:
        return self._join("/", other)

    def __rtruediv__(self, other: Operand) -> Formula:
        return self._join("/", other, reverse=True)

    def __pow__(self, other: Operand) -> Formula:
        return self._join("**", other)

    def __rpow__(self, other: Operand) -> Formula:
        return self._join("**", other, reverse=True)

    def __neg__(self) -> Formula:
        return Formula(write(algebra.negative(self.program)))


def as_formula(value: Operand) -> Formula:
    """A text or a number as a formula; a formula as it is."""
    if isinstance(value, Formula):
        return value
    if isinstance(value, str):
        return Formula(value)
    if not math.isfinite(value):
        raise FormulaError("a number in a formula is finite.", "as a formula", repr(value), "write a finite one")
    return Formula(repr(int(value) if isinstance(value, int) else float(value)))  # a NumPy float has a repr of its own
