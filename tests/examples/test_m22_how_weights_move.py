"""M22: gradients and movement of every weight on every step, held against momentum and decay written by hand."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import wye
from examples import m22_how_weights_move as example

RATE, MOMENTUM, DECAY = 0.01, 0.9, 0.01
STEPS = 30


@dataclass
class Told:
    """What a hand-kept log says of one weight."""

    none: int = 0
    zero: int = 0
    nonzero: int = 0
    moved_without: int = 0
    legs: list[tuple[int, tuple[float, float, float]]] = field(default_factory=list)


def by_hand(
    net: nn.Module,
    forward: Callable[[nn.Module, Tensor, int], Tensor],
    falls: list[int],
    batch: tuple[Tensor, Tensor],
    left: bool,
) -> dict[str, Told]:
    """SGD, w = w - r v with v = m v + g + c w, on the sides that fell; `left`: gradients are zeroed, not cleared."""
    told = {name: Told() for name, _ in net.named_parameters()}
    past: dict[str, Tensor] = {}
    for step, fall in enumerate(falls):
        y, wanted = forward(net, batch[0], fall), batch[1]
        loss = F.mse_loss(y, wanted) if wanted.is_floating_point() else F.nll_loss(y, wanted)
        grads = torch.autograd.grad(loss, list(net.parameters()), allow_unused=True)
        for (name, weight), grad in zip(net.named_parameters(), grads, strict=True):
            if grad is None and left and name in past:
                grad = torch.zeros_like(weight)
            if grad is None:
                told[name].none += 1
                continue
            with torch.no_grad():
                momentum, decay = MOMENTUM * past.get(name, torch.zeros_like(weight)), DECAY * weight
                past[name] = momentum + decay + grad
                weight -= RATE * past[name]
            if grad.any():
                told[name].nonzero += 1
            else:
                told[name].zero += 1
                told[name].moved_without += bool((momentum + decay).any())
            legs = tuple(RATE * float(one.abs().sum()) for one in (grad, momentum, decay))
            told[name].legs.append((step, legs))
    return told


def check(seen: wye.Watch, told: dict[str, Told], net: nn.Module, twin: nn.Module) -> None:
    assert set(seen.weights) == set(told)
    for name, one in seen.weights.items():
        log = told[name]
        assert (one.none, one.zero, one.nonzero) == (log.none, log.zero, log.nonzero), name
        assert one.moved_without == log.moved_without, name
        assert one.exact
        assert [step for step, _ in one.movement] == [step for step, _ in log.legs]
        for (_, got), (_, wanted) in zip(one.movement, log.legs, strict=True):
            assert got == pytest.approx(wanted, rel=1e-9, abs=1e-13), name
        sums = [sum(legs[place] for _, legs in log.legs) for place in range(3)]
        assert [one.by_gradient, one.by_momentum, one.by_decay] == pytest.approx(sums, rel=1e-9, abs=1e-12)
    for weight, other in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(weight, other, rtol=1e-10, atol=1e-10)


def depth_forward(net: nn.Module, x: Tensor, depth: int) -> Tensor:
    x = torch.relu(net.first(x))
    for place in range(depth):
        x = torch.relu(net.middle[place % len(net.middle)](x))
    return torch.log_softmax(net.last(x), dim=-1)


def wye_depth_forward(net: nn.Module, x: Tensor, depth: int) -> Tensor:
    layers = [one for one in net.middle.modules() if isinstance(one, nn.Linear)]
    x = torch.relu(net.first[0](x))
    for place in range(depth):
        x = torch.relu(layers[place % len(layers)](x))
    return torch.log_softmax(net.last(x), dim=-1)


def digits() -> tuple[Tensor, Tensor]:
    return torch.rand(12, 64, dtype=torch.float64), torch.randint(0, 10, (12,))


def flowers() -> tuple[Tensor, Tensor]:
    return torch.rand(12, 4, dtype=torch.float64), torch.rand(12, 1, dtype=torch.float64)


@pytest.mark.parametrize("to_none", [True, False])
@pytest.mark.parametrize("shared", [False, True])
def test_random_depth_in_plain_torch(shared: bool, to_none: bool) -> None:
    net, batch = example.Depth(shared, width=8).double(), digits()
    twin = copy.deepcopy(net)
    random.seed(5)
    seen = example.train(net, *batch, to_none, STEPS)
    dice = random.Random(5)
    told = by_hand(twin, depth_forward, [dice.randint(0, 3) for _ in range(STEPS)], batch, not to_none)
    check(seen, told, net, twin)
    assert any(one.moved_without for one in told.values()) != to_none


@pytest.mark.parametrize("to_none", [True, False])
@pytest.mark.parametrize("shared", [False, True])
def test_random_depth_as_wye(shared: bool, to_none: bool) -> None:
    net, batch = example.depth_network(shared, width=8).double(), digits()
    twin, rounds, depths = copy.deepcopy(net), list[int](), list[int]()
    for layer in (one for one in net.middle.modules() if isinstance(one, nn.Linear)):
        layer.register_forward_hook(lambda *_: rounds.append(1))
    net.last.register_forward_hook(lambda *_: depths.append(len(rounds)))
    seen = example.train(net, *batch, to_none, STEPS)
    falls = [now - before for before, now in zip([0, *depths], depths, strict=False)]
    told = by_hand(twin, wye_depth_forward, falls, batch, left=False)
    check(seen, told, net, twin)
    assert len(set(falls)) == 4
    middle = [one for name, one in seen.weights.items() if name.startswith("middle")]
    assert all(one.none and not one.moved_without for one in middle)


@pytest.mark.parametrize("to_none", [True, False])
def test_a_coin_in_plain_torch(to_none: bool) -> None:
    net, batch = example.Coin().double(), flowers()
    twin = copy.deepcopy(net)
    random.seed(5)
    seen = example.train(net, *batch, to_none, STEPS)
    coin = random.Random(5)
    falls = [int(coin.random() >= 0.5) for _ in range(STEPS)]
    told = by_hand(twin, lambda net, x, side: (net.tails if side else net.heads)(x), falls, batch, not to_none)
    check(seen, told, net, twin)
    assert any(one.moved_without for one in told.values()) != to_none
    assert ("set_to_none=True" in seen.table()) != to_none


@pytest.mark.parametrize("to_none", [True, False])
def test_a_coin_as_wye(to_none: bool) -> None:
    net, batch, falls = example.coin_network().double(), flowers(), list[int]()
    twin = copy.deepcopy(net)
    for side in (0, 1):
        net.side.get_submodule(str(side)).register_forward_hook(lambda *_, side=side: falls.append(side))
    seen = example.train(net, *batch, to_none, STEPS)
    told = by_hand(twin, lambda net, x, side: net.side.get_submodule(str(side))(x), falls, batch, left=False)
    check(seen, told, net, twin)
    assert len(falls) == STEPS
    assert set(falls) == {0, 1}
    assert all(one.none and not one.moved_without for one in seen.weights.values())


def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example.main()
    told = capsys.readouterr().out
    blocks = told.split("\n\n")
    for kind in ("three layers", "one layer", "a coin"):
        cleared, zeroed = (f"{kind}, plain, zero_grad{how}" for how in ("()", "(set_to_none=False)"))
        assert "none moved without a gradient" in next(one for one in blocks if one.startswith(cleared))
        drifted = next(one for one in blocks if one.startswith(zeroed))
        assert "while its gradient was all zeros, by momentum or decay" in drifted
        assert "call optimizer.zero_grad() with set_to_none=True" in drifted
        wye_blocks = [one.partition("\n")[2] for one in blocks if one.startswith(f"{kind}, wye")]
        assert len(wye_blocks) == 2
        assert wye_blocks[0].strip() == wye_blocks[1].strip()
        assert "none moved without a gradient" in wye_blocks[0]
    assert "heads.weight, step by step:" in told
