"""One check that a formula runs before it computes, on shapes alone; it keeps the sets of shapes that have passed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import FormulaError, Place, ShapeError
from .graph import Guard
from .shapes import Shape, sizes

Tensor = Any
Capturing = Callable[[], bool]


class Check:
    """One check, where it stands in the text, and the shapes that passed it."""

    def __init__(self, guard: Guard, text: str, capturing: Capturing) -> None:
        self.facts, self.span, self.text, self.capturing = guard.facts, guard.span, text, capturing
        self.spans = [arg.span for arg in guard.args]
        self.seen: set[object] = set()

    def __call__(self, *values: Tensor) -> None:
        if self.capturing():
            self.verify([sizes(value.shape) for value in values])
            return
        shapes = tuple([value.shape for value in values])
        if shapes not in self.seen:
            self.verify([sizes(shape) for shape in shapes])
            self.seen.add(shapes)

    def verify(self, shapes: Sequence[Shape]) -> None:
        """Raises where the shapes do not fit."""
        raise NotImplementedError

    def words(self, place: int) -> str:
        start, end = self.spans[place]
        return self.text[start:end]

    def error(self, what: str, got: str, fix: str, kind: type[FormulaError] = ShapeError) -> FormulaError:
        return kind(what, Place(self.text, *self.span), got, fix)

    def described(self, shapes: Sequence[Shape]) -> str:
        return ", ".join(f"{self.words(place)} {shape}" for place, shape in enumerate(shapes))
