"""Counts of captured graphs: of copies that share a graph, and of paths that begin within a capture."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

import wye


@pytest.fixture(autouse=True)
def no_graphs_yet() -> None:
    torch._dynamo.reset()


def compiled(net: nn.Module) -> Any:
    return torch.compile(net, fullgraph=True, backend="aot_eager")


def counted(node: Any) -> dict[str, tuple[int, int]]:
    return {path: (count.calls, count.samples) for path, count in node.paths.items()}


def test_a_copy_that_is_sent_through_the_same_graph_counts_for_itself() -> None:
    net = wye.Chain(deep=wye.When("c > 0.5", nn.Linear(3, 3)))
    other = copy.deepcopy(net)
    x, c = torch.randn(4, 3), torch.tensor([1.0, 0.0, 1.0, 1.0])
    compiled(net)(x, c=c)
    for _ in range(2):
        compiled(other)(x, c=c)
    assert counted(net.deep) == {"then": (1, 3), "passed": (1, 1)}
    assert counted(other.deep) == {"then": (2, 6), "passed": (2, 2)}


def test_an_idle_branch_of_such_a_copy_stays_as_it_is() -> None:
    net = wye.Chain(nn.Linear(3, 3), deep=wye.When("c > 0.5", nn.Linear(3, 3)))
    other = copy.deepcopy(net)
    x, on, off = torch.randn(4, 3), torch.ones(4), torch.zeros(4)
    compiled(net)(x, c=on).sum().backward()
    run, optimizer = compiled(other), torch.optim.SGD(other.parameters(), lr=0.1, momentum=0.9)
    moved = []
    for c in (on, off, on):
        optimizer.zero_grad()
        before = other.deep.then.weight.detach().clone()
        run(x, c=c).sum().backward()
        optimizer.step()
        moved.append(not torch.equal(before, other.deep.then.weight))
    assert moved == [True, False, True]


def test_a_depth_first_seen_within_a_capture_is_counted_and_steps_go_on() -> None:
    net = wye.Chain(wye.Repeat(nn.Linear(3, 3), times=2))
    run, x = compiled(net), torch.randn(4, 3)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for times in (2, 5, 5, 7):
        net[0].times = times
        run(x).sum().backward()
        optimizer.step()
    assert counted(net[0]) == {"block": (19, 76), "times 2": (1, 4), "times 5": (2, 8), "times 7": (1, 4)}


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["copy", "pickle"])
def test_a_copy_brings_along_what_graphs_have_counted(copied: Any) -> None:
    net = wye.Chain(deep=wye.When("c > 0.5", nn.Linear(3, 3)))
    compiled(net)(torch.randn(4, 3), c=torch.ones(4))
    net(torch.randn(2, 3), c=torch.ones(2))
    other = copied(net)
    assert counted(other.deep) == counted(net.deep) == {"then": (2, 6), "passed": (0, 0)}


def test_a_net_built_in_inference_mode_counts_outside_of_it() -> None:
    with torch.inference_mode():
        net = wye.Chain(deep=wye.When("c > 0.5", nn.ReLU()))
        other = copy.deepcopy(net)
    for one in (net, other):
        compiled(one)(torch.randn(4, 3), c=torch.ones(4))
        assert counted(one.deep) == {"then": (1, 4), "passed": (0, 0)}
