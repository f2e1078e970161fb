"""A net of wye and the loop that says the same, and how the two are compared."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.testing import assert_close

import wye
from tests.laws.nestings import Drawn, Spec, batch
from tests.laws.plain_dice import bits_now
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


def thrown(spec: Spec | None, dice: dict[int, nn.Module]) -> dict[int, int]:
    """The bits of each die, from the seeds and steps that the nodes save."""
    if spec is None:
        return {}
    found = {at: shown for inner in spec.inner for at, shown in thrown(inner, dice).items()}
    place = 0 if spec.rule is None else spec.rule.place
    if spec.kind == "choice" or (spec.rule is not None and place is not None):
        found[spec.place] = bits_now(dice[spec.place].state_dict(), place or 0)
    return found


class Pair:
    """A net of wye, and the loop that says the same, each with weights of its own."""

    def __init__(self, seed: int, depth: int = 3) -> None:
        self.drawn = Drawn(seed, depth)
        self.layers = copy.deepcopy(self.drawn.layers)
        self.net, self.dice = self.drawn.built()

    def run(self, seed: int, size: int) -> tuple[Any, Any, list[tuple[Tensor, Tensor]]]:
        """Both values, and the tensors that went in, in pairs."""
        x, sides = batch(seed, size, self.drawn.nest, self.drawn.texts)
        value = self.net(x, **wanted(self.net, sides))
        plain_x, plain_sides = batch(seed, size, self.drawn.nest, self.drawn.texts)
        plain = Loop(self.drawn, self.layers, thrown(self.drawn.spec, self.dice))(plain_x, plain_sides)
        given = list(zip(tensors(x), tensors(plain_x), strict=True))
        given += [(sides[name], plain_sides[name]) for name in ("gain", "table", "level", "pitch", "offset")]
        return value, plain, given

    def weights(self) -> list[tuple[Tensor, Tensor]]:
        return list(zip(self.drawn.layers.parameters(), self.layers.parameters(), strict=True))


def assert_same_gradients(pairs: list[tuple[Tensor, Tensor]]) -> None:
    for ours, theirs in pairs:
        assert (ours.grad is None) == (theirs.grad is None)
        if theirs.grad is not None:
            assert_close(ours.grad, theirs.grad, **CLOSE)
