"""When, Repeat and While: what they count, and which blocks they run."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import wye
from wye.torch.flow.node import Node

X = torch.tensor([[3.0, 4.0], [0.1, 0.2], [-1.0, 2.0], [0.0, 0.0]])
C = torch.tensor([1.0, 0.0, 1.0, 0.0])


def counts(net: Node) -> dict[str, tuple[int, int]]:
    """For each path how often it ran, and on how many samples."""
    return {path: (count.calls, count.samples) for path, count in net.paths.items()}


# counts


def test_a_when_counts_both_ways() -> None:
    net = wye.When("c > 0.5", "x + 1")
    assert counts(net) == {"then": (0, 0), "passed": (0, 0)}
    net(X, c=C)
    assert counts(net) == {"then": (1, 2), "passed": (1, 2)}
    net(X, c=torch.ones(4))
    net(X, c=0.0)
    net(X, c=1)
    assert counts(net) == {"then": (3, 10), "passed": (2, 6)}
    other = wye.When("c > 0.5", "x + 1", "x - 1")
    other(X, c=C)
    other(X[:1], c=C[:1])
    assert counts(other) == {"then": (2, 3), "otherwise": (1, 2)}


def test_a_repeat_counts_rounds_and_times() -> None:
    net = wye.Repeat("x + 1", "n")
    assert counts(net) == {"block": (0, 0)}
    net(X, n=torch.tensor([0, 2, 1, 2]))
    assert counts(net) == {"block": (2, 5), "times 0": (1, 1), "times 1": (1, 1), "times 2": (1, 2)}
    net(X, n=1)
    assert counts(net) == {"block": (3, 9), "times 0": (1, 1), "times 1": (2, 5), "times 2": (1, 2)}
    net(X, n=0)
    assert counts(net)["times 0"] == (2, 5)
    assert net.ways_apart() == ["times 0", "times 1", "times 2"]
    many = wye.Repeat(["x + 1", "x + 2", "x + 3"], "n")
    value = many(X, n=torch.tensor([0, 3, 1, 2]))
    assert torch.equal(value, X + torch.tensor([[0], [6], [1], [3]]))
    assert counts(many) == {
        **{"0": (1, 3), "1": (1, 2), "2": (1, 1)},
        **{"times 0": (1, 1), "times 1": (1, 1), "times 2": (1, 1), "times 3": (1, 1)},
    }


def test_a_while_counts_rounds_those_that_pass_and_those_that_are_stopped() -> None:
    net = wye.While("max(x) < 8", "2 * x", max_steps=3)
    value = net(torch.tensor([[1.0], [2.0], [9.0], [0.0]]))
    assert value[:, 0].tolist() == [8, 8, 9, 0]
    assert counts(net) == {"block": (3, 3 + 2 + 3), "passed": (1, 1), "stopped": (1, 1)}
    whole = wye.While("max(x) < 8", "2 * x", max_steps=9, per="batch")
    assert whole(torch.tensor([[1.0], [3.0]]))[:, 0].tolist() == [4, 12]
    assert counts(whole) == {"block": (2, 4), "passed": (0, 0), "stopped": (0, 0)}
    assert torch.equal(whole(X + 100), X + 100)
    assert counts(whole) == {"block": (2, 4), "passed": (1, 4), "stopped": (0, 0)}
    number = wye.While("go", "x + 1", max_steps=3)
    assert torch.equal(number(X, go=True), X + 3)
    assert torch.equal(number(X, go=False), X)
    assert counts(number) == {"block": (3, 12), "passed": (1, 4), "stopped": (1, 4)}


def test_a_loop_whose_side_decides_takes_it_along() -> None:
    net = wye.While("max(x) < bound", "x + 1", max_steps=9)
    value = net(torch.zeros(3, 1), bound=torch.tensor([2.0, 0.0, 5.0]))
    assert value[:, 0].tolist() == [2, 0, 5]


def test_an_error_at_the_bound_is_told_of_all_samples() -> None:
    net = wye.While("max(x) < 8", "2 * x", max_steps=2, on_limit="error")
    assert net(torch.tensor([[4.0], [9.0]]))[:, 0].tolist() == [8, 9]
    with pytest.raises(wye.FlowError, match="1 of 4 samples still going"):
        net(torch.tensor([[1.0], [2.0], [9.0], [4.0]]))
    assert net.paths["stopped"].samples == 1


# blocks


def test_a_batch_norm_in_a_branch_is_the_block_on_the_samples_taken() -> None:
    norm = nn.BatchNorm1d(2)
    plain = copy.deepcopy(norm)
    net = wye.When("c > 0.5", norm)
    value = net(X, c=C)
    expected = X.clone()
    expected[C > 0.5] = plain(X[C > 0.5])
    assert torch.equal(value, expected)
    assert torch.equal(norm.running_mean, plain.running_mean)


@pytest.mark.parametrize(("control", "two"), [([1.0, 0, 0, 0], False), ([1.0, 0, 0, 0], True), ([1.0, 1, 1, 0], True)])
def test_a_batch_norm_that_is_sent_one_sample_says_so(control: list[float], two: bool) -> None:
    net = wye.When("c > 0.5", nn.BatchNorm1d(2), nn.BatchNorm1d(2) if two else None)
    c = torch.tensor(control)
    with pytest.raises(wye.FlowError, match="was sent one sample, and its batch norm needs two"):
        net(X, c=c)
    net.eval()(X, c=c)


def test_other_errors_of_a_block_stay_as_they_are() -> None:
    def block(x: Tensor) -> Tensor:
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        wye.When(True, block)(X)


def test_blocks_of_a_list_have_one_width() -> None:
    for blocks in (
        [nn.Linear(4, 4), nn.Linear(4, 5)],
        [nn.Linear(4, 5)],
        [nn.Linear(4, 4), wye.Chain(nn.Linear(4, 9), nn.ReLU(), nn.Linear(9, 5))],
        [nn.Conv2d(3, 3, 1), nn.Conv2d(3, 6, 1)],
        [nn.Sequential(nn.LayerNorm(5), nn.Linear(5, 5)), nn.Linear(4, 4)],
    ):
        with pytest.raises(wye.PartError, match="one width"):
            wye.Repeat(blocks, "die(0, 1)")
    for blocks in (
        [nn.Linear(4, 4), wye.Chain(nn.Linear(4, 9), nn.ReLU(), nn.Linear(9, 4), nn.ReLU())],
        [nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 8), nn.GLU())],
        [nn.Linear(4, 4), nn.TransformerEncoderLayer(4, 1, 16)],
        [nn.Linear(4, 4), Conditioned()],
        nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)]),
        (nn.Linear(4, 4), nn.Identity()),
    ):
        wye.Repeat(blocks, "die(0, 1)")


class Conditioned(nn.Module):
    """Four features in and out, though its first and last layers have others."""

    def __init__(self) -> None:
        super().__init__()
        self.out, self.film, self.inner = nn.Linear(8, 4), nn.Linear(16, 8), nn.Linear(4, 8)


def test_a_stage_may_be_put_in_the_place_of_another() -> None:
    net = wye.When("c > 0.5", nn.Linear(2, 2))
    net.then = wye.Join("x * gain")
    with pytest.raises(wye.InputError, match="nobody takes"):
        net(X, c=C, gain=2.0)
    net.then = wye.Join("x * 3")
    assert torch.equal(net(X, c=C), torch.where(C[:, None] > 0.5, X * 3, X))


def test_settings_are_checked() -> None:
    for make in (
        lambda: wye.When("c > 0", "x", per="tokens"),
        lambda: wye.When("c > 0", nn.Linear(2, 3)),
        lambda: wye.When("c > 0", nn.Linear(2, 3), nn.Linear(2, 4)),
        lambda: wye.While("c > 0", nn.Linear(2, 3), max_steps=2),
        lambda: wye.Repeat(nn.Linear(2, 3), "n"),
        lambda: wye.Repeat(["x", "x"], "die(0, 3)"),
        lambda: wye.Repeat("x", "die(0, 3)", eval=-1),
        lambda: wye.While("c > 0", "x", max_steps=0),
        lambda: wye.While("c > 0", "x", max_steps=True),
        lambda: wye.While("c > 0", "x", max_steps=2.0),  # type: ignore[arg-type]
        lambda: wye.While("c > 0", "x", max_steps=2, on_limit="warn"),
        lambda: wye.Repeat([], "n"),
        lambda: wye.When(None, "x"),  # type: ignore[arg-type]
        lambda: wye.When(torch.ones(4), "x"),  # type: ignore[arg-type]
        lambda: wye.When(nn.ReLU, "x"),
        lambda: wye.Repeat("x", wye.Schedule("step")),  # type: ignore[arg-type]
    ):
        with pytest.raises(wye.PartError):
            make()
    with pytest.raises(TypeError):
        wye.While("c > 0", "x")  # type: ignore[call-arg]
    with pytest.raises(wye.FormulaError):
        wye.When("a, b", "x")
