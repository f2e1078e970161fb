"""Every node under inductor, once: three training steps beside an eager copy, in one graph."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import wye

WIDTH, SIZE = 3, 5


def layer() -> nn.Module:
    return nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh())


NODES: dict[str, Callable[[], nn.Module]] = {
    "When": lambda: wye.When("norm(x) > bound", layer(), layer(), bound=1.5),
    "When per batch": lambda: wye.When("mean(x) > 0", layer(), per="batch"),
    "When per token": lambda: wye.When("norm(x) > 1", layer(), per="token"),
    "Switch": lambda: wye.Switch("die(0, 2)", layer(), layer(), layer()),
    "Repeat": lambda: wye.Repeat(layer(), "die(0, 3)"),
    "Repeat, unbounded": lambda: wye.Repeat(layer(), lambda x: (x[:, 0] > 0) * 2),
    "While": lambda: wye.While("norm(x) < 2", nn.Linear(WIDTH, WIDTH), max_steps=3),
    "While, long": lambda: wye.While("norm(x) < 2", nn.Linear(WIDTH, WIDTH), max_steps=40),
    "RandomChoice": lambda: wye.RandomChoice(layer(), layer(), weights=[1, 2]),
    "EarlyExit": lambda: wye.EarlyExit([layer(), layer()], [nn.Linear(WIDTH, 2), nn.Linear(WIDTH, 2)], "max(x) > 0.2"),
}


def batch(kind: str, step: int) -> Tensor:
    shape = (2, SIZE, WIDTH) if kind == "When per token" else (SIZE, WIDTH)
    return torch.randn(shape, dtype=torch.float64) * (step + 0.5)


@pytest.mark.long
@pytest.mark.parametrize("kind", NODES)
def test_a_compiled_node_trains_as_an_eager_one(kind: str) -> None:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    torch.manual_seed(3)
    eager = NODES[kind]().double()
    graph = copy.deepcopy(eager)
    compiled = torch.compile(graph, fullgraph=True, backend="inductor")
    optimizers = [torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01) for net in (eager, graph)]
    for step in range(3):
        x = batch(kind, step)
        for run, optimizer in zip((eager, compiled), optimizers, strict=True):
            optimizer.zero_grad()
            value = run(x)
            if value.requires_grad:
                value.square().sum().backward()
            optimizer.step()
        for mine, other in zip(graph.parameters(), eager.parameters(), strict=True):
            assert_close(mine, other, rtol=1e-10, atol=1e-10)
            assert (mine.grad is None) == (other.grad is None)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    known = {
        path: count.samples for path, count in eager.paths.items() if kind != "Repeat, unbounded" or path == "block"
    }
    assert {path: graph.paths[path].samples for path in known} == known
