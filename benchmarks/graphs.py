"""How many graphs a random depth is captured in, whatever the most rounds and whichever depth comes first."""

from __future__ import annotations

import torch
from torch import nn

import wye

from .table import Row

MOST = 2
STEPS = 20


def rows() -> list[Row]:
    return [captured(most, first) for most in (3, 8, 40) for first in ("at depth 0", "at another depth")]


def captured(most: int, first: str) -> Row:
    """Trains a net whose die starts as named; the figure is a count of graphs."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    net = wye.Chain(nn.Linear(8, 8), wye.Repeat(nn.Sequential(nn.Linear(8, 8), nn.Tanh()), f"die(0, {most})"))
    zero = net[1].paths["times 0"]
    for value in range(10_000):
        wye.seed(net, value)
        before = zero.calls
        net(torch.zeros(2, 8))
        if (zero.calls > before) == (first == "at depth 0"):
            break
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    depths: set[int] = set()
    before = net[1].paths["block"].calls
    for _ in range(STEPS):
        optimizer.zero_grad()
        compiled(torch.randn(16, 8)).square().sum().backward()
        optimizer.step()
        depths.add(net[1].paths["block"].calls - before)
        before = net[1].paths["block"].calls
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    return Row(f"Repeat 0..{most}, first call {first}", graphs, MOST, f"{len(depths)} depths in {STEPS} steps")
