"""A call of a function whose arguments are values."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import ShapeError
from ..functions import Function, Option
from ..shapes import Shape
from ..tree import Name
from .meeting import Rules
from .values import Named, Site, Term


@dataclass(frozen=True, slots=True)
class Given:
    """A call whose arguments are values."""

    function: Function
    terms: tuple[Term, ...]
    axes: tuple[Name, ...]
    extra: dict[str, Term]
    options: dict[str, Option]
    site: Site
    rules: Rules

    @property
    def first(self) -> Named:
        return self.terms[0].value

    def words(self, place: int) -> str:
        return self.site.at(self.terms[place].node).words


def numbered_axis(given: Given, shape: Shape, new: int = 0) -> int:
    """The dimension that `axis=` means, of `shape` or of one with `new` more dimensions."""
    axis = given.options.get("axis", given.function.options["axis"])
    rank = len(shape) + new
    if not isinstance(axis, int) or not -rank <= axis < rank:
        raise given.site.error(
            f"the value has no axis {axis}.",
            f"{given.words(0)} {shape}",
            f"use an axis from {-rank} to {rank - 1}" if rank else "give a value with an axis",
            ShapeError,
        )
    return axis % rank
