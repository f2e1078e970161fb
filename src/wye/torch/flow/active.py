"""The samples that are still on their way through a loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .values import Value, merge, take


class Active:
    """The samples still on their way: they leave one after the other, and are put together in order at the end."""

    def __init__(self, x: Value, sides: Mapping[str, Any], moving: frozenset[str], size: int) -> None:
        self.value, self.sides, self.moving, self.size = x, dict(sides), moving, size
        self.index: Tensor | None = None
        self.left: list[tuple[Tensor, Value]] = []

    def keep(self, mask: Tensor) -> None:
        """Only the samples of the mask go on."""
        staying = mask.nonzero().squeeze(1)
        if staying.numel() == self.size:
            return
        places = torch.arange(self.size, device=mask.device) if self.index is None else self.index
        leaving = (~mask).nonzero().squeeze(1)
        self.left.append((places[leaving], take(self.value, leaving)))
        self.index = places[staying]
        self.value = take(self.value, staying)
        self.sides = {n: take(v, staying) if n in self.moving else v for n, v in self.sides.items()}
        self.size = staying.numel()

    @property
    def left_out(self) -> int:
        """How many have left."""
        return sum(index.numel() for index, _ in self.left)

    def result(self) -> Value:
        if self.index is None:
            return self.value
        pieces = [*self.left, (self.index, self.value)] if self.size else self.left
        return merge(pieces)
