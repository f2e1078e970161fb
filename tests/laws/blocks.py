"""Blocks that treat samples alone and count the rows that they see, for random nestings of flow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

WIDTH = 4


def first(value: Any) -> Tensor:
    """The item of a nested value that conditions read."""
    return value["a"] if isinstance(value, dict) else value[0] if isinstance(value, tuple) else value


def each(function: Callable[..., Tensor], *values: Any) -> Any:
    """A function of the tensors of values, in their nest."""
    if isinstance(values[0], dict):
        return {key: function(*(value[key] for value in values)) for key in values[0]}
    if isinstance(values[0], tuple):
        return tuple(function(*items) for items in zip(*values, strict=True))
    return function(*values)


class Spy(nn.Module):
    """A block that treats samples alone, and counts the rows that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(WIDTH, WIDTH, dtype=torch.float64)
        self.rows = 0

    def forward(self, x: Any) -> Any:
        self.rows += len(first(x))
        return each(lambda item: torch.tanh(self.inner(item)), x)


class Gained(Spy):
    """One that takes a row for each sample, a value that all samples share, and one without axes."""

    def forward(self, x: Any, gain: Tensor, table: Tensor, scale: Any = 1.0) -> Any:
        return each(lambda y: y * rowwise(gain, y) + table.mean(0) * scale, super().forward(x))


class Pitched(Spy):
    """One that takes a row for each token, and a row of features for each."""

    def forward(self, x: Any, pitch: Tensor, offset: Tensor) -> Any:
        return each(lambda y: y * pitch[..., None] + offset, super().forward(x))


def rowwise(row: Tensor, like: Tensor) -> Tensor:
    """One number for each sample, shaped to meet values of more axes."""
    return row.reshape(-1, *(1 for _ in like.shape[1:]))
