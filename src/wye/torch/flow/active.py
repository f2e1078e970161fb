"""The samples that are still on their way through a loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..front import capturing
from .values import Value, merge, split, take


class Active:
    """The samples still on their way: they leave one after the other, and are put together in order at the end.

    Args:
        x: the value that flows.
        sides: side inputs.
        moving: names of those that travel with their samples.
        size: how many samples there are.
    """

    def __init__(self, x: Value, sides: Mapping[str, Any], moving: frozenset[str], size: int) -> None:
        self.value, self.sides, self.moving, self.size = x, dict(sides), moving, size
        self.whole = size
        self.index: Tensor | None = None
        self.places: list[Tensor] = []
        self.pieces: list[Value] = []

    def keep(self, mask: Tensor, instead: Value = None) -> None:
        """Only the samples of the mask go on; the others leave, with their rows of `instead` if that is given."""
        staying = mask.nonzero().squeeze(1)
        count, hurry = staying.shape[0], not capturing()
        if hurry and count == self.size:
            return
        leaving = (~mask).nonzero().squeeze(1)
        self.places.append(leaving if self.index is None else self.index[leaving])
        if hurry and not count:
            self.pieces.append(self.value if instead is None else instead)
        elif instead is None:
            self.value, gone = split(self.value, (staying, leaving))
            self.pieces.append(gone)
        else:
            self.value = take(self.value, staying)
            self.pieces.append(take(instead, leaving))
        self.index = staying if self.index is None else self.index[staying]
        self.sides = {n: take(v, staying) if n in self.moving else v for n, v in self.sides.items()}
        self.size = count

    def result(self) -> Value:
        """All samples, in the order of the batch."""
        if self.index is None:
            return self.value
        if not capturing() and not self.size:
            return merge(self.places, self.pieces, self.whole)
        return merge([*self.places, self.index], [*self.pieces, self.value], self.whole)
