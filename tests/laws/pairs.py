"""A net of wye and the loop that says the same, and how the two are compared."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from torch.testing import assert_close

import wye
from tests.laws.nestings import Drawn, batch
from tests.laws.plain_loop import Loop

CLOSE: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-10}


def tensors(value: Any) -> list[Tensor]:
    return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, tuple) else [value]


def bent(value: Any) -> Tensor:
    """A sum that tells entries apart."""
    total = torch.zeros((), dtype=torch.float64)
    for item in tensors(value):
        total = total + (torch.linspace(0.5, 1.5, item.numel(), dtype=item.dtype).reshape(item.shape) * item).sum()
    return total


def wanted(net: wye.Chain, sides: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in sides.items() if name in net.wants}


def falls(dice: dict[int, wye.Repeat], before: dict[int, dict[str, int]]) -> dict[int, int]:
    """What each die showed in the last forward; it showed one number."""
    shown: dict[int, int] = {}
    for place, node in dice.items():
        ran = [p for p, n in node.paths.items() if p.startswith("times") and n.calls > before[place].get(p, 0)]
        assert len(ran) <= 1
        shown[place] = int(ran[0].split()[1]) if ran else 0
    return shown


def counted(dice: dict[int, wye.Repeat]) -> dict[int, dict[str, int]]:
    return {place: {path: count.calls for path, count in node.paths.items()} for place, node in dice.items()}


class Pair:
    """A net of wye, and the loop that says the same, each with weights of its own."""

    def __init__(self, seed: int, depth: int = 3) -> None:
        self.drawn = Drawn(seed, depth)
        self.layers = copy.deepcopy(self.drawn.layers)
        self.net, self.dice = self.drawn.built()

    def run(self, seed: int, size: int) -> tuple[Any, Any, list[tuple[Tensor, Tensor]]]:
        """Both values, and the tensors that went in, in pairs."""
        x, sides = batch(seed, size, self.drawn.nest)
        before = counted(self.dice)
        value = self.net(x, **wanted(self.net, sides))
        plain_x, plain_sides = batch(seed, size, self.drawn.nest)
        plain = Loop(self.drawn, self.layers, falls(self.dice, before))(plain_x, plain_sides)
        given = list(zip(tensors(x), tensors(plain_x), strict=True))
        given += [(sides[name], plain_sides[name]) for name in ("gain", "table", "level")]
        return value, plain, given

    def weights(self) -> list[tuple[Tensor, Tensor]]:
        return list(zip(self.drawn.layers.parameters(), self.layers.parameters(), strict=True))


def assert_same_gradients(pairs: list[tuple[Tensor, Tensor]]) -> None:
    for ours, theirs in pairs:
        assert (ours.grad is None) == (theirs.grad is None)
        if theirs.grad is not None:
            assert_close(ours.grad, theirs.grad, **CLOSE)
