"""Dice where a forward is run again: gradients equal those of a plain net whose dice were forced."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

import wye
from tests.unit.torch.forced import KINDS, Net, assert_equal, data, gradients, placed, shown, taken, wanted

every_kind = pytest.mark.parametrize("kind", KINDS)

HOW: dict[str, dict[str, Any]] = {
    "plain": {},
    "reentrant": {"use_reentrant": True},
    "not reentrant": {"use_reentrant": False},
    "reentrant, no generator kept": {"use_reentrant": True, "preserve_rng_state": False},
    "not reentrant, no generator kept": {"use_reentrant": False, "preserve_rng_state": False},
    "not reentrant, to the end": {"use_reentrant": False, "early_stop": False},
}
every_way = pytest.mark.parametrize("how", HOW.values(), ids=HOW)


@every_kind
@every_way
@pytest.mark.parametrize("forwards", [1, 3])
def test_checkpointed_and_accumulated(kind: str, how: dict[str, Any], forwards: int) -> None:
    net, seen = Net(kind), set()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    for step in range(12):
        batches = [data(10 * step + i) for i in range(forwards)]
        for together in (True, False):
            right = wanted(net, batches)
            if together:  # all forwards, then one backward
                sum(net(x, **how).square().sum() for x in batches).backward()  # type: ignore[union-attr]
            else:
                for x in batches:
                    net(x, **how).square().sum().backward()
            assert_equal(gradients(net), right)
        seen.add((*(one is None for one in right), len(taken(kind, net.node))))
        optimizer.step()
        torch.rand(step + 1)  # nobody else's draws matter
        assert net.node.dice.state[1] == step + 1
    assert len(seen) > 1


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad=True")  # the inner one, run without gradients
@every_kind
def test_a_checkpoint_within_a_checkpoint(kind: str) -> None:
    for outer in (True, False):
        for inner in (True, False):
            net = Net(kind)
            optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
            for step in range(4):
                right = wanted(net, [data(step)])
                x = data(step).requires_grad_()
                y = checkpoint(lambda x, net=net, i=inner: net(x, use_reentrant=i), x, use_reentrant=outer)
                y.square().sum().backward()
                assert_equal(gradients(net), right)
                optimizer.step()


@every_kind
@pytest.mark.parametrize("optimizer", ["LBFGS", "SGD", "Adam"])
def test_closures_see_one_die(kind: str, optimizer: str) -> None:
    net = Net(kind)
    settings = {"max_iter": 4, "line_search_fn": "strong_wolfe"} if optimizer == "LBFGS" else {}
    stepping = getattr(torch.optim, optimizer)(net.parameters(), lr=0.05, **settings)
    calls = 0

    def closure() -> Tensor:
        nonlocal calls
        calls += 1
        assert net.node.dice.state[1] == step
        right = wanted(net, [data(step)])
        loss = net(data(step), use_reentrant=False).square().sum()
        loss.backward()
        assert_equal(gradients(net), right)
        return loss

    for step in range(4):
        stepping.step(closure)
        assert net.node.dice.state[1] == step + 1
    assert calls > 4 if optimizer == "LBFGS" else calls == 4


# an optimizer that steps within the backward


def stepping_within(net: nn.Module, **settings: Any) -> list[torch.optim.Optimizer]:
    """One optimizer for each weight, which steps as soon as its gradient is there."""
    optimizers = []
    for weight in net.parameters():
        one = torch.optim.SGD([weight], lr=0.01, **settings)

        def step(weight: Tensor, one: torch.optim.Optimizer = one) -> None:
            one.step()
            one.zero_grad()

        weight.register_post_accumulate_grad_hook(step)
        optimizers.append(one)
    return optimizers


@every_kind
@every_way
def test_stepped_within_the_backward(kind: str, how: dict[str, Any]) -> None:
    net = Net(kind)
    twin = copy.deepcopy(net)
    kept = stepping_within(net)
    together = torch.optim.SGD(twin.parameters(), lr=0.01)
    moved = 0
    for step in range(10):
        ran = taken(kind, twin.node)
        net(data(step).requires_grad_(), **how).square().sum().backward()
        twin.zero_grad()
        twin.forced(data(step)).square().sum().backward()
        together.step()
        moved += bool(ran)
        # Without one weight of the node, none of its optimizers has stepped.
        assert net.node.dice.state[1] == moved
        twin.node.dice.state = net.node.dice.state.clone()
        for one, other in zip(net.parameters(), twin.parameters(), strict=True):
            assert_close(one, other, rtol=1e-12, atol=1e-12)
        if not ran:
            wye.tick(net)
            wye.tick(twin)
            moved += 1
    assert kept


@pytest.mark.parametrize("reentrant", [True, False])
def test_a_step_within_an_inner_backward_waits_for_the_outermost(reentrant: bool) -> None:
    """A die whose node has no weights moves with any optimizer, of which one steps while another part is recomputed."""
    first, last = nn.Linear(3, 3).double(), nn.Linear(3, 3).double()
    node = wye.Repeat("sin(2 * x) + x", "die(0, 6)")
    kept, depths = stepping_within(nn.ModuleList([first, last])), set()
    for step in range(12):
        state, before = node.dice.state.clone(), [copy.deepcopy(first), copy.deepcopy(last)]
        x = data(step).requires_grad_()
        h = checkpoint(lambda x: node(first(x)), x, use_reentrant=reentrant)
        checkpoint(last, h, use_reentrant=reentrant).square().sum().backward()
        again = data(step).requires_grad_()
        depth = shown(state, next(placed(node))) % 7
        h = before[0](again)
        for _ in range(depth):
            h = torch.sin(2 * h) + h
        before[1](h).square().sum().backward()
        assert x.grad is not None
        assert_close(x.grad, again.grad, rtol=1e-12, atol=1e-12)
        assert node.dice.state.tolist() == [state[0].item(), step + 1]
        depths.add(depth)
    assert len(depths) > 2
    assert kept


def test_a_backward_that_fails_after_a_step_leaves_the_die_movable() -> None:
    net = Net("coin")
    kept = stepping_within(net)

    def fail(grad: Tensor) -> None:
        raise RuntimeError("on purpose")

    h = data(0).requires_grad_()
    middle = h * 1
    middle.register_hook(fail)
    with pytest.raises(RuntimeError, match="on purpose"):
        net.last(net.node(middle) + net.node.then(middle)).sum().backward()
    for step in range(3):
        before = int(net.node.dice.state[1])
        (net(data(step)).sum() + net.node.then(data(step)).sum()).backward()
        assert net.node.dice.state[1] == before + 1
    assert kept


def test_several_optimizers_over_one_net() -> None:
    """Each step of an optimizer that holds weights of the node moves its die; the others do not."""
    net = Net("blocks")
    outside = torch.optim.SGD([*net.first.parameters(), *net.last.parameters()], lr=0.01)
    inside = [torch.optim.Adam(net.node.get_submodule(str(i)).parameters(), lr=0.01) for i in range(3)]
    for step in range(6):
        right = wanted(net, [data(step)])
        net(data(step), use_reentrant=False).square().sum().backward()
        assert_equal(gradients(net), right)
        before = int(net.node.dice.state[1])
        outside.step()
        assert net.node.dice.state[1] == before
        for one in inside:
            one.step()
        assert net.node.dice.state[1] == before + 3
