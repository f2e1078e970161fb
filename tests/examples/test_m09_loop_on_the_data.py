"""M9: a loop on the data, for the batch and for each sample, held against Python's own `while`."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import wye
from examples import m09_loop_on_the_data as example
from tests.examples.training import OPTIMIZERS, assert_close, assert_same_gradients, assert_same_weights, step

WIDTH = 8


def looped(mid: nn.Module, x: Tensor, max_steps: int) -> Tensor:
    """The loop of the row; the norm is that of all it is given."""
    steps = 0
    while x.norm() < 10 and steps < max_steps:
        x = torch.relu(mid(x))
        steps += 1
    return x


def plain(net: nn.Module, x: Tensor, per: str, max_steps: int = 20) -> Tensor:
    x, mid = net.first(x), net.loop.block.mid
    if per == "batch":
        return net.last(looped(mid, x, max_steps))
    return net.last(torch.stack([looped(mid, sample, max_steps) for sample in x]))


def batch(per: str, size: int = 10) -> tuple[Tensor, Tensor]:
    """Some samples enter the loop, and in a batch that is seen as a whole all do."""
    scale = torch.linspace(0.5, 12.0, size) if per == "sample" else torch.full((size,), 0.5)
    return torch.rand(size, 64, dtype=torch.float64) * scale[:, None], torch.randint(0, 10, (size,))


@pytest.mark.parametrize("max_steps", [1, 2, 20])
@pytest.mark.parametrize("per", ["sample", "batch"])
def test_values_and_gradients(per: str, max_steps: int) -> None:
    net = example.network(per, WIDTH, max_steps).double()
    twin, (x, label) = copy.deepcopy(net), batch(per)
    got, wanted = net(x), plain(twin, x, per, max_steps)
    assert_close(got, wanted)
    F.cross_entropy(got, label).backward()
    F.cross_entropy(wanted, label).backward()
    assert_same_gradients(net.parameters(), twin.parameters())
    assert net.loop.paths["block"].samples > 0


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_another_forward_from_a_file_alone(rounds: int, tmp_path: Path) -> None:
    net, (x, _) = example.network("sample", WIDTH), batch("sample")
    wye.save(net, tmp_path / "net.safetensors")
    other = example.from_file(tmp_path / "net.safetensors", rounds, WIDTH)
    value = net.first(x.float())
    for _ in range(rounds):
        value = torch.relu(net.loop.block.mid(value))
    assert torch.equal(other(x.float()), net.last(value))


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("per", ["sample", "batch"])
def test_weights_after_training(per: str, kind: str) -> None:
    net = example.network(per, WIDTH).double()
    twin = copy.deepcopy(net)
    ours, theirs = OPTIMIZERS[kind](net.parameters()), OPTIMIZERS[kind](twin.parameters())
    for _ in range(15):
        x, label = batch(per)
        step(ours, F.cross_entropy(net(x), label))
        step(theirs, F.cross_entropy(plain(twin, x, per), label))
    assert_same_weights(net.parameters(), twin.parameters())


@pytest.mark.parametrize("per", ["sample", "batch"])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_what_never_enters_passes_unchanged(kind: str, per: str) -> None:
    net = example.network(per, WIDTH).double()
    optimizer = OPTIMIZERS[kind](net.parameters())
    step(optimizer, net(batch(per)[0]).square().sum())  # momentum and moments are there
    before = net.loop.paths["passed"].samples
    large = torch.full((3, WIDTH), 30.0, dtype=torch.float64, requires_grad=True)
    out = net.loop(large)
    assert torch.equal(out, large)
    assert torch.equal(*torch.autograd.grad(out.sum(), large), torch.ones_like(large))
    assert net.loop.paths["passed"].samples == before + 3
    weights = copy.deepcopy(net.loop.state_dict())
    step(optimizer, net.last(net.loop(large)).square().sum())
    assert all(weight.grad is None for weight in net.loop.parameters())
    assert all(torch.equal(value, weights[name]) for name, value in net.loop.state_dict().items())


def test_the_loop_is_bounded_and_says_whom_it_stopped() -> None:
    net = example.network(width=WIDTH, max_steps=3).double().loop
    nn.init.zeros_(net.block.mid.bias)
    x = torch.zeros(4, WIDTH, dtype=torch.float64)
    x[0] = 30.0
    assert torch.equal(net(x), x)
    assert net.paths["stopped"].samples == 3
    assert net.paths["block"].calls == 3
    strict = wye.While("norm(x) < 10", net.block, max_steps=3, on_limit="error")
    with pytest.raises(wye.FlowError, match="did not end within 3 steps"):
        strict(x)


@pytest.mark.parametrize("bound", [0, -1, None, 2.5])
def test_a_loop_without_a_bound_is_refused(bound: object) -> None:
    with pytest.raises(wye.PartError, match="bound"):
        wye.While("norm(x) < 10", nn.Linear(2, 2), max_steps=bound)


def test_a_block_that_changes_the_width_is_an_error() -> None:
    with pytest.raises(wye.PartError, match="one width"):  # a layer tells its width when the loop is built
        wye.While("norm(x) < 10", nn.Linear(4, 3), max_steps=5)
    with pytest.raises(wye.FlowError, match="changes the shape"):  # a function tells it when it runs
        wye.While("norm(x) < 10", lambda x: x[:, :3], max_steps=5)(torch.zeros(2, 4))


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_the_same_weights_under_another_forward(rounds: int) -> None:
    net = example.network(width=WIDTH).double()
    optimizer = OPTIMIZERS["adamw"](net.parameters())
    x, label = batch("sample")
    for _ in range(5):
        step(optimizer, F.cross_entropy(net(x), label))
    other = example.fixed_rounds(net, rounds)
    assert [id(weight) for weight in other.parameters()] == [id(weight) for weight in net.parameters()]

    hidden = net.first(x)
    for _ in range(rounds):
        hidden = torch.relu(net.loop.block.mid(hidden))
    assert_close(other(x), net.last(hidden))

    fresh = example.fixed_rounds(example.network(width=WIDTH).double(), rounds)
    fresh.load_state_dict(net.state_dict())
    assert torch.equal(fresh(x), other(x))


def test_the_condition_may_change_at_test_time() -> None:
    net, (x, _) = example.network(width=WIDTH).double(), batch("sample")
    net.loop.condition = "norm(x) < 0"
    assert_close(net(x), net.last(net.first(x)))


def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example.main()
    told = capsys.readouterr().out
    assert "loop: While norm(x) < 10" in told
    assert "never enters, and is unchanged: True" in told
    assert "went 4 rounds, all together" in told
    assert "with norm(x) < 20" in told
    assert "Of 3 samples of zeros, 3 were stopped after 2 rounds." in told
    assert "FlowError: the loop did not end within 2 steps." in told
