"""What an objective's value must be, in the same words on every front."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..errors import NonFiniteError, PartError, Place, ShapeError
from .formula import Formula
from .tree import Chain, Name, Node

NONFINITE = ("keep", "raise", "skip")


def check_nonfinite(setting: object) -> None:
    """Refuses a setting that says nothing about totals that are not finite."""
    if setting not in NONFINITE:
        raise PartError(
            "a total that is not finite can be kept, raised or skipped.",
            f"on_nonfinite={setting!r}",
            repr(setting),
            f"choose from {', '.join(map(repr, NONFINITE))}",
        )


def shown(formula: object) -> str:
    """The formula as an error shows it."""
    return str(formula) if isinstance(formula, Formula) else getattr(formula, "__qualname__", repr(formula))


def no_scalar(formula: Any, text: str | None, total: object, shape: tuple[object, ...] | None) -> ShapeError:
    """A total that is no number.

    Args:
        formula: the objective's; it may be a callable.
        text: the whole text that was made of it; None: of a callable.
        total: what it gave.
        shape: of that, where it is a tensor.
    """
    what, got = "the value of an objective is one number.", "None" if total is None else f"a {type(total).__name__}"
    if shape is not None:
        what, got = "the value of an objective has no axes.", f"shape {shape}"
    if text is None or not isinstance(formula, Formula):
        return ShapeError(what, shown(formula), got, "return the mean, or (total, terms)")
    values = formula.program.values
    line = str(formula).rpartition("\n")[2]
    fix = f"take the mean: mean({line})" if shape is not None else "write one sum on the last line"
    return ShapeError(what, Place(text, values[0].span[0], values[-1].span[1]), got, fix)


def nonfinite(formula: str, terms: Mapping[str, float], total: float) -> NonFiniteError:
    """A total that is not finite, and the term to blame."""
    guilty = [name for name, term in terms.items() if term - term != 0]  # infinite, or no number
    values = ", ".join(f"{name} = {term:g}" for name, term in terms.items())
    what = f"the total is not finite{', though every term is' if terms else ''}."
    if guilty:
        what = f"the term `{guilty[0]}` is not finite."
    fix = f'look into {"that term" if guilty else "the sum"}, or skip such batches: on_nonfinite="skip"'
    return NonFiniteError(what, formula, values or f"total = {total:g}", fix)


def summands_of(formula: Formula, plain: Collection[str], terms: Iterable[str]) -> dict[str, int] | None:
    """How often each term stands on the top line, where that is a sum; minus counts down. None: it is no sum.

    Args:
        formula: the objective's.
        plain: names on the top line that are no named values; their term is there under its text.
        terms: the names of the terms.
    """
    top = formula.program.values[0]
    if not isinstance(top, Chain) or top.rest[0][0] not in ("+", "-"):
        return None
    counts: dict[str, int] = {}
    signed: list[tuple[str, Node]] = [("+", top.first), *top.rest]
    for sign, node in signed:
        name = node.id if isinstance(node, Name) else ""
        if name and name not in plain:
            counts[name] = counts.get(name, 0) + (1 if sign == "+" else -1)
    # What has no name of its own is a term with its sign and its number in it.
    return {name: counts.get(name, 1) for name in terms if name in counts or not name.isidentifier() or name in plain}
