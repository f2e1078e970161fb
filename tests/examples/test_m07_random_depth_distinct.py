"""M7: a die picks how many of three distinct layers run, held against the layers called by hand."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD

import wye
from examples import m07_random_depth_distinct as example
from tests.examples.training import OPTIMIZERS, assert_close, assert_same_gradients, assert_same_weights, step


def plain(net: nn.Module, x: Tensor, depth: int) -> Tensor:
    x = torch.relu(net.first[0](x))
    for place in range(depth):
        x = torch.relu(net.middle.get_submodule(str(place))[0](x))
    return F.log_softmax(net.last(x), dim=-1)


def batch(size: int = 8) -> tuple[Tensor, Tensor]:
    return torch.rand(size, 64, dtype=torch.float64), torch.randint(0, 10, (size,))


class Depths:
    """The depth of each forward, from the rounds that the layers themselves saw."""

    def __init__(self, middle: nn.Module) -> None:
        self.rounds = 0
        for place in range(3):
            middle.get_submodule(str(place)).register_forward_hook(self.count)

    def count(self, *_: object) -> None:
        self.rounds += 1

    def take(self) -> int:
        depth, self.rounds = self.rounds, 0
        return depth


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_values_and_gradients_at_each_depth(depth: int) -> None:
    net = example.network(width=8).double()
    twin, (x, label) = copy.deepcopy(net), batch()
    net.middle.times = depth
    got, wanted = net(x), plain(twin, x, depth)
    assert_close(got, wanted)
    total, _ = example.objective()(got, label)
    total.backward()
    F.nll_loss(wanted, label).backward()
    assert_close(total, F.nll_loss(wanted, label))
    assert_same_gradients(net.parameters(), twin.parameters())


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_weights_after_training(kind: str) -> None:
    net, loss = example.network(width=8).double(), example.objective()
    twin = copy.deepcopy(net)
    ours, theirs = OPTIMIZERS[kind](net.parameters()), OPTIMIZERS[kind](twin.parameters())
    depths, seen = Depths(net.middle), list[int]()
    for _ in range(40):
        x, label = batch()
        log_p = net(x)
        seen.append(depths.take())
        step(ours, loss(log_p, label)[0])
        step(theirs, F.nll_loss(plain(twin, x, seen[-1]), label))
    assert_same_weights(net.parameters(), twin.parameters())
    assert set(seen) == {0, 1, 2, 3}
    assert {f"times {depth}": seen.count(depth) for depth in range(4)} == {
        path: count.calls for path, count in net.middle.paths.items() if path.startswith("times")
    }


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_layers_beyond_the_die_stay_as_they_are(kind: str) -> None:
    net, loss = example.network(width=8).double(), example.objective()
    optimizer, depths = OPTIMIZERS[kind](net.parameters()), Depths(net.middle)
    for _ in range(30):
        before = copy.deepcopy(net.state_dict())
        x, label = batch()
        log_p = net(x)
        depth = depths.take()
        step(optimizer, loss(log_p, label)[0])
        for place in range(3):
            for name, weight in net.middle.get_submodule(str(place)).named_parameters():
                assert (weight.grad is None) == (place >= depth)
                assert torch.equal(weight, before[f"middle.{place}.{name}"]) == (place >= depth)


def test_one_die_for_each_step_whatever_the_number_of_forwards() -> None:
    net, loss = example.network(width=8).double(), example.objective()
    optimizer, depths = OPTIMIZERS["momentum"](net.parameters()), Depths(net.middle)
    seen = list[int]()
    for _ in range(20):
        x, label = batch()
        for part, wanted in zip(x.split(4), label.split(4), strict=True):
            loss(net(part), wanted)[0].backward()
            seen.append(depths.take())
        optimizer.step()
        optimizer.zero_grad()
        assert seen[-1] == seen[-2]
    assert len(set(seen)) > 1


@pytest.mark.parametrize(("times", "sides"), [("die(0, 3)", [0, 1, 2, 3]), ("3 * coin(0.5)", [0, 3])])
def test_the_dice_are_fair(times: str, sides: list[int]) -> None:
    steps = 600
    for _ in range(3):  # each node has a seed of its own
        net = wye.Repeat([nn.Linear(1, 1) for _ in range(3)], times)
        optimizer, depths, falls = SGD(net.parameters()), Depths(net), list[int]()
        for _ in range(steps):
            net(torch.zeros(1, 1))
            falls.append(depths.take())
            optimizer.step()
        share = 1 / len(sides)
        deviation = (steps * share * (1 - share)) ** 0.5
        same = sum(now == then for now, then in zip(falls[1:], falls, strict=False))
        assert set(falls) == set(sides)
        assert all(abs(falls.count(side) - steps * share) < 4 * deviation for side in sides)
        assert abs(same - steps * share) < 4 * deviation  # a fall tells nothing about the next


def test_in_eval_all_layers_run_and_nothing_is_drawn() -> None:
    net, (x, _) = example.network(width=8).double().eval(), batch()
    assert_close(net(x), plain(net, x, 3))
    assert_close(net(x).exp().sum(1), torch.ones(len(x), dtype=torch.float64))


@pytest.mark.parametrize("widths", [(8, 16, 8), (8, 8, 16), (16, 8, 8)])
def test_unequal_widths_are_refused_when_built(widths: tuple[int, ...]) -> None:
    with pytest.raises(wye.PartError, match="one width"):
        wye.Repeat([example.layer(8, width) for width in widths], "die(0, 3)")
    with pytest.raises(wye.PartError, match="one width"):
        wye.Repeat([nn.Linear(width, width) for width in widths], "die(0, 3)")


def test_more_layers_than_there_are_is_an_error() -> None:
    net, (x, _) = example.network(width=8).double(), batch()
    net.middle.times = 4
    with pytest.raises(wye.FlowError, match="from 0 to 3"):
        net(x)


def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example.main()
    told = capsys.readouterr().out
    for depth in range(4):
        assert f"times {depth}" in told
    assert "sum to 1.0000" in told
    assert "Repeat die(0, 3) ran no round of it" in told
    assert "PartError: the blocks of a Repeat must have one width, in and out." in told
    assert "got: 32 -> 32, 32 -> 16, 16 -> 32" in told
