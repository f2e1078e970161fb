"""How far a weight moved in all, from the steps that were looked at, against sums in closed form."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import wye
from wye.watching.account import Weight

RATE, MEMORY = 0.1, 0.9


def pulled(steps: int, every: int = 50) -> Weight:
    """One number with a gradient of one on each step, under momentum."""
    net = nn.Linear(1, 1, bias=False)
    optimizer = torch.optim.SGD(net.parameters(), lr=RATE, momentum=MEMORY)
    with wye.watch(net, optimizer, every=every) as seen:
        for _ in range(steps):
            optimizer.zero_grad()
            net(torch.ones(1, 1)).sum().backward()
            optimizer.step()
    return seen.weights["weight"]


def test_looks_are_close_together_first_and_then_one_in_so_many() -> None:
    assert [step for step, _ in pulled(120).movement] == [0, 1, 2, 4, 8, 16, 32, 50, 100]
    assert [step for step, _ in pulled(9, every=3).movement] == [0, 1, 2, 3, 6]


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 49, 120])
def test_short_runs_and_long_ones_are_estimated_with_their_momentum(steps: int) -> None:
    weight = pulled(steps)
    speeds = [RATE * (1 - MEMORY ** (step + 1)) / (1 - MEMORY) for step in range(steps)]
    assert weight.moved == pytest.approx(sum(speeds), rel=0.03)
    assert weight.by_gradient == pytest.approx(RATE * steps, rel=1e-4)
    assert weight.by_momentum == pytest.approx(sum(speeds) - RATE * steps, rel=0.03, abs=1e-4)
    assert weight.exact == (steps <= 3)


def test_steps_between_two_looks_lie_halfway() -> None:
    looks = dict(pulled(9, every=4).movement)
    assert list(looks) == [0, 1, 2, 4, 8]
    momentum = {step: parts[1] for step, parts in looks.items()}
    between = (momentum[2] + momentum[4]) / 2 + 3 * (momentum[4] + momentum[8]) / 2
    assert pulled(9, every=4).by_momentum == pytest.approx(sum(momentum.values()) + between, rel=1e-5)
    assert pulled(11, every=4).by_momentum == pytest.approx(
        sum(momentum.values()) + between + 2 * momentum[8], rel=1e-5
    )
