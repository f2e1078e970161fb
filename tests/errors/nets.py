"""Small nets and values of which the files of messages beside this one make their calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

import wye

X = torch.zeros(4, 2)
C = torch.tensor([1.0, 0.0, 1.0, 0.0])
FIRST = torch.tensor([0, 0, 0, 1])
TOKENS = torch.zeros(2, 3, 4)


def when(condition: Any = "c > 0.5", then: Any = "x + 1", otherwise: Any = None, **settings: Any) -> wye.When:
    return wye.When(condition, then, otherwise, **settings)


def loop(block: Any = "x + 1", **settings: Any) -> wye.While:
    return wye.While("norm(x) < 10", block, **{"max_steps": 3, **settings})


def switch(*branches: Any, index: Any = "c", **settings: Any) -> wye.Switch:
    return wye.Switch(index, *(branches or ("x + 1", "2 * x", None)), **settings)


def choice(*branches: Any, **settings: Any) -> wye.RandomChoice:
    return wye.RandomChoice(*(branches or ("x + 1", "2 * x")), **settings)


def early(
    stages: Sequence[Any] = ("x + 1", "x + 1"),
    exits: Sequence[Any] = ("x", "x"),
    until: Any = "max(x) > 1.5",
    **settings: Any,
) -> wye.EarlyExit:
    return wye.EarlyExit(stages, exits, until, **settings)


def wider(x: Tensor) -> Tensor:
    return torch.cat([x, x], -1)


def fewer(x: Tensor) -> Tensor:
    return x[:1]


def assigned(net: Any, name: str, value: Any) -> None:
    setattr(net, name, value)


class Masked(nn.Module):
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x * mask
