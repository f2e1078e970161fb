"""Numbers that move with the optimizer's steps."""

from __future__ import annotations

from ..errors import FormulaError, Place
from .formula import Formula
from .numeric import Number


class Schedule:
    """A number written as a formula of `step`, the count of optimizer steps so far.

    Args:
        formula: a formula that reads `step` alone.

    Raises:
        FormulaError: the text is not in the language, or reads anything but `step`.

    Example:
        >>> from wye import Schedule
        >>> warm_up = Schedule("min(1, step / 500)")
        >>> warm_up(0), warm_up(250), warm_up(1000)
        (0.0, 0.5, 1.0)
    """

    __slots__ = ("formula",)

    def __init__(self, formula: str | Formula) -> None:
        self.formula = Formula(formula)
        for name in self.formula.names:
            if name != "step":
                start = self.formula.text.find(name)
                raise FormulaError(
                    f"a schedule reads `step` alone, not `{name}`.",
                    Place(self.formula.text, start, start + len(name)),
                    name,
                    "write the number itself, or count in `step`",
                )
        self(0)

    def __call__(self, step: int) -> Number:
        """The number at a step."""
        from .reference import evaluate

        value = evaluate(self.formula.program, {"step": step}, self.formula.text)
        if not isinstance(value, bool | int | float):
            text = self.formula.text
            raise FormulaError(
                "a schedule is a number.", Place(text, 0, len(text)), type(value).__name__, "write a number"
            )
        return value

    def __repr__(self) -> str:
        return f"Schedule({self.formula.text!r})"

    def __eq__(self, other: object) -> bool:
        return self.formula == other.formula if isinstance(other, Schedule) else NotImplemented

    def __hash__(self) -> int:
        return hash((Schedule, self.formula))
