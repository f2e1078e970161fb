"""A long run leaves no more behind than a short one."""

from __future__ import annotations

import gc
from collections import Counter

import pytest
import torch
from torch import Tensor, nn

import wye


class Forked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.deep, self.last = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.first(x))
        return self.last(self.deep(h) if x[0, 0] > 0 else h)


@pytest.mark.parametrize(("steps", "every"), [(300, 1), pytest.param(20_000, 25, marks=pytest.mark.long)])
def test_there_are_as_many_objects_after_many_steps(steps: int, every: int) -> None:
    net = nn.Sequential(Forked(), wye.When("sum(x) > 0", nn.Linear(1, 1)))
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    batches = [torch.randn(3, 2) * sign for sign in (1, -1, 0)]
    with wye.watch(net, optimizer, every=every, elements=4) as seen:

        def go(count: int) -> Counter[type]:
            for turn in range(count):
                optimizer.zero_grad()
                net(batches[turn % 3]).sum().backward()
                optimizer.step()
            gc.collect()
            return Counter(type(one) for one in gc.get_objects())

        before = go(90)  # every way, reason and piece of code was there once
        after = go(steps)
    assert seen.steps == 90 + steps
    entries = [len(weight.movement) for weight in seen.weights.values()]
    assert 0 < max(entries) <= 256
    after[tuple] -= 2 * sum(entries)  # which are bounded themselves
    assert (after - before).total() <= 60, (after - before).most_common(5)
