"""Dice in resumed runs, copies, threads and compiled graphs fall as in a plain net whose dice were forced."""

from __future__ import annotations

import copy
import io
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import wye
from tests.unit.torch.forced import KINDS, Net, block, data, placed, shown, taken

every_kind = pytest.mark.parametrize("kind", KINDS)


def trained(net: Net, optimizer: torch.optim.Optimizer, steps: range) -> list[float]:
    losses = []
    for step in steps:
        optimizer.zero_grad()
        loss = net(data(step), use_reentrant=False).square().sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@every_kind
def test_resumed_bit_for_bit(kind: str) -> None:
    net = Net(kind)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    trained(net, optimizer, range(5))
    stream = io.BytesIO()
    torch.save([net.state_dict(), optimizer.state_dict()], stream)
    ahead = trained(net, optimizer, range(5, 15))
    stream.seek(0)
    torch.manual_seed(999)
    again = Net(kind)
    other = torch.optim.Adam(again.parameters(), lr=0.01)
    for one, state in zip((again, other), torch.load(stream), strict=True):
        one.load_state_dict(state)
    assert trained(again, other, range(5, 15)) == ahead
    for name, value in net.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


def test_deep_copies_share_a_die_until_they_are_seeded() -> None:
    nets = [Net("repeat")]
    nets += [copy.deepcopy(nets[0]) for _ in range(3)]
    optimizers = [torch.optim.SGD(net.parameters(), lr=0.01) for net in nets]
    assert wye.seed(nets[2], 1) == wye.seed(nets[3], 2) == 1
    seen = [[] for _ in nets]
    for _ in range(30):
        for net, optimizer, depths in zip(nets, optimizers, seen, strict=True):
            depths.append(len(taken("repeat", net.node)))
            optimizer.step()
    assert seen[0] == seen[1]
    assert seen[0] != seen[2] != seen[3] != seen[0]


def test_threads_see_one_die() -> None:
    net, wrong, gate = Net("repeat"), list[Any](), threading.Barrier(4)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)

    def work(step: int, depth: int) -> None:
        gate.wait()
        before = [count.calls for count in (net.node.paths["block"],)]
        y = net(data(step), use_reentrant=False)
        if not torch.equal(y, right):
            wrong.append((step, depth, before))

    for step in range(10):
        right = net.forced(data(step)).detach()
        threads = [threading.Thread(target=work, args=(step, i)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        optimizer.step()
    assert not wrong


# one compiled graph


class Counted:
    """A backend that counts the graphs, and runs them with their gradients."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: torch.fx.GraphModule, inputs: list[Any]) -> Callable[..., Any]:
        from torch._dynamo.backends.debugging import aot_eager

        self.graphs += 1
        return aot_eager(graph, inputs)  # type: ignore[no-any-return]


def again_and_again(block: nn.Module, h: Tensor, depth: int) -> Tensor:
    for _ in range(depth):
        h = block(h)
    return h


@pytest.mark.parametrize(("most", "steps"), [(3, 24), (8, 24), pytest.param(40, 60, marks=pytest.mark.long)])
def test_one_compiled_graph_for_all_depths(most: int, steps: int) -> None:
    torch._dynamo.reset()
    node = wye.Repeat(block(), f"die(0, {most})")
    place = next(placed(node))
    while shown(node.dice.state, place) % (most + 1):  # the first call is at depth 0
        wye.tick(node)
    optimizer = torch.optim.SGD(node.parameters(), lr=0.001)
    backend, depths = Counted(), []
    compiled = torch.compile(node, backend=backend, fullgraph=True)
    for step in range(steps):
        depth = shown(node.dice.state, place) % (most + 1)
        depths.append(depth)
        found = []
        for run in (compiled, lambda h, depth=depth: again_and_again(node.block, h, depth)):
            x = data(step).requires_grad_()
            node.zero_grad()
            y = run(x)
            y.square().sum().backward()
            slopes = [torch.zeros_like(w) if w.grad is None else w.grad for w in node.parameters()]
            found.append([y.detach(), x.grad, *slopes])
        assert_close(found[0], found[1], rtol=1e-12, atol=1e-12)
        optimizer.step()
    assert depths[0] == 0
    assert len(set(depths)) > min(most, 10)
    assert backend.graphs == 1
