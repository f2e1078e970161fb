"""Nets with dice, and the same with the dice forced: the fall is computed by an implementation of its own.

The hash is written here once more, in NumPy's wrapping 32-bit integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

import wye

KINDS = ("repeat", "blocks", "choice", "coin", "switch")


def hashed(value: np.uint32) -> np.uint32:
    with np.errstate(over="ignore"):
        value = (value ^ (value >> np.uint32(16))) * np.uint32(0x21F0AAAD)
        value = (value ^ (value >> np.uint32(15))) * np.uint32(0x735A2D97)
        return value ^ (value >> np.uint32(15))


def shown(state: Tensor, place: int) -> int:
    """The 32 bits of a die, of its seed and step."""
    seed, step = (np.uint32(number) for number in state.tolist())
    with np.errstate(over="ignore"):
        return int(hashed(hashed(hashed(seed) ^ step) ^ np.uint32(place) * np.uint32(0x9E3779B)))


def block() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 3), nn.Tanh()).double()


def node(kind: str) -> Any:
    return {
        "repeat": lambda: wye.Repeat(block(), "die(0, 4)"),
        "blocks": lambda: wye.Repeat([block() for _ in range(3)], "die(0, 3)"),
        "choice": lambda: wye.RandomChoice(block(), block(), None, weights=(2, 1, 1)),
        "coin": lambda: wye.When("coin(0.5)", block(), eval=True),
        "switch": lambda: wye.Switch("die(0, 2)", block(), None, block(), eval=0),
    }[kind]()


def taken(kind: str, one: Any) -> list[nn.Module]:
    """The blocks that a node runs now, one after the other."""
    place = next(iter(placed(one)), 0)
    bits = shown(one.dice.state, place)
    if kind == "repeat":
        return [one.block] * (bits % 5)
    if kind == "blocks":
        return [one.get_submodule(str(i)) for i in range(bits % 4)]
    if kind == "choice":
        branch = 0 if bits < 2**31 else 1 if bits < 2**31 + 2**30 else 2
        return [] if branch == 2 else [one.get_submodule(str(branch))]
    if kind == "coin":
        return [one.then] if bits < 2**31 else []
    return [[one.get_submodule("0")], [], [one.get_submodule("2")]][bits % 3]


def placed(one: Any) -> Iterator[int]:
    """Where the die stands in its formula; the test learns it from the first fall, and holds it fixed from then on."""
    found = one.__dict__.get("_place_of_test")
    if found is None:
        found, fall = [], one.dice.bits

        def kept(place: int) -> int:
            found.append(place)
            return int(fall(place))

        one.dice.__dict__["bits"] = kept
        with torch.no_grad():
            one(torch.zeros(1, 3, dtype=torch.float64))
        del one.dice.__dict__["bits"]
        one.__dict__["_place_of_test"] = found
    yield found[0]


class Net(nn.Module):
    """A layer, a node with a die, and a layer; the node is checkpointed in one way, or in none."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.first, self.node, self.last = nn.Linear(3, 3).double(), node(kind), nn.Linear(3, 3).double()
        self.kind = kind

    def forward(self, x: Tensor, **how: Any) -> Tensor:
        h = self.first(x)
        return self.last(checkpoint(self.node, h, **how) if how else self.node(h))

    def forced(self, x: Tensor) -> Tensor:
        h = self.first(x)
        for one in taken(self.kind, self.node):
            h = one(h)
        return self.last(h)


def data(seed: int, rows: int = 4) -> Tensor:
    return torch.randn(rows, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradients(net: nn.Module) -> list[Tensor | None]:
    return [None if weight.grad is None else weight.grad.clone() for weight in net.parameters()]


def assert_equal(found: list[Tensor | None], wanted: list[Tensor | None]) -> None:
    assert [one is None for one in found] == [one is None for one in wanted]
    for one, other in zip(found, wanted, strict=True):
        if one is not None:
            assert_close(one, other, rtol=1e-12, atol=1e-12)


def wanted(net: Net, batches: list[Tensor]) -> list[Tensor | None]:
    """The gradients with the dice forced, without a checkpoint."""
    net.zero_grad()
    for x in batches:
        net.forced(x).square().sum().backward()
    found = gradients(net)
    net.zero_grad()
    return found
