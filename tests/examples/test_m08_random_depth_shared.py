"""M8: one layer applied 0 to 3 times, held against the layer called by hand."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import wye
from examples import m08_random_depth_shared as example
from tests.examples.training import OPTIMIZERS, assert_close, assert_same_gradients, assert_same_weights, step


def plain(net: nn.Module, x: Tensor, depth: int) -> Tensor:
    x = torch.relu(net.first(x))
    for _ in range(depth):
        x = torch.relu(net.middle.block[0](x))
    return net.last(x)


def batch(size: int = 8) -> tuple[Tensor, Tensor]:
    return torch.rand(size, 64, dtype=torch.float64), torch.randint(0, 10, (size,))


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_values_and_gradients_at_each_depth(depth: int) -> None:
    net = example.network(width=8).double()
    twin, (x, label) = copy.deepcopy(net), batch()
    net.middle.times = depth
    got, wanted = net(x), plain(twin, x, depth)
    assert_close(got, wanted)
    F.cross_entropy(got, label).backward()
    F.cross_entropy(wanted, label).backward()
    assert_same_gradients(net.parameters(), twin.parameters())
    assert (net.middle.block[0].weight.grad is None) == (depth == 0)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_weights_after_training(kind: str) -> None:
    net = example.network(width=8).double()
    twin = copy.deepcopy(net)
    ours, theirs = OPTIMIZERS[kind](net.parameters()), OPTIMIZERS[kind](twin.parameters())
    rounds, seen = list[int](), list[int]()
    net.middle.block.register_forward_hook(lambda *_: rounds.append(1))
    for _ in range(40):
        x, label = batch()
        rounds.clear()
        scores = net(x)
        seen.append(len(rounds))
        before = net.middle.block[0].weight.clone()
        step(ours, F.cross_entropy(scores, label))
        step(theirs, F.cross_entropy(plain(twin, x, seen[-1]), label))
        assert torch.equal(before, net.middle.block[0].weight) == (seen[-1] == 0)
    assert_same_weights(net.parameters(), twin.parameters())
    assert set(seen) == {0, 1, 2, 3}
    assert net.middle.paths["block"].calls == sum(seen)


def test_each_sample_may_have_a_depth_of_its_own() -> None:
    net = wye.Repeat(example.network(width=8).double().middle.block, "depth")
    x, depths = torch.rand(6, 8, dtype=torch.float64), [2, 0, 3, 1, 0, 2]
    rows = []
    for sample, depth in zip(x, depths, strict=True):
        for _ in range(depth):
            sample = torch.relu(net.block[0](sample))
        rows.append(sample)
    assert_close(net(x, depth=torch.tensor(depths)), torch.stack(rows))


def test_in_eval_the_greatest_depth_runs() -> None:
    net, (x, _) = example.network(width=8).double().eval(), batch()
    assert_close(net(x), plain(net, x, 3))


def test_the_shared_layer_is_owned_and_saved_once() -> None:
    net = example.network()
    assert sum(isinstance(module, nn.Linear) for module in net.modules()) == 3
    assert [key for key in net.state_dict() if "block" in key] == ["middle.block.0.weight", "middle.block.0.bias"]


@pytest.mark.parametrize("times", [-1, 1.5])
def test_times_that_are_none(times: float) -> None:
    net, (x, _) = example.network(width=8).double(), batch()
    net.middle.times = times
    with pytest.raises(wye.FlowError, match="whole number"):
        net(x)


def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example.main()
    told = capsys.readouterr().out
    for depth in range(4):
        assert f"times {depth}" in told
    assert "middle.block.0.weight, middle.block.0.bias: no gradient on" in told
    assert "owned and saved once: middle.block.0.weight, middle.block.0.bias" in told
