"""The contract of flow: what a plain loop over samples computes, flow computes; and it computes nothing else.

Lines 1 to 3 of the contract, on random nestings of all nodes, per sample, batch and token, with side inputs of every
kind.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import wye
from tests.laws.pairs import CLOSE, Pair, assert_same_gradients, bent, tensors


@pytest.mark.parametrize("seed", range(320))
def test_outputs_and_gradients_are_those_of_a_loop_over_samples(seed: int) -> None:
    pair = Pair(seed)
    for size in (1 + seed % 7, 5):
        value, plain, given = pair.run(100 * seed + size, size)
        for ours, theirs in zip(tensors(value), tensors(plain), strict=True):
            assert_close(ours, theirs, **CLOSE)
        for total in (bent(value), bent(plain)):
            if total.requires_grad:
                total.backward()
        assert_same_gradients(given)
        assert_same_gradients(pair.weights())
        rows = [(a.rows, b.rows) for a, b in zip(pair.drawn.layers, pair.layers, strict=True)]
        assert all(ours == theirs for ours, theirs in rows), "exactly the samples taken are computed"


def sgd(weights: list[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.SGD(weights, lr=0.05, momentum=0.9, weight_decay=0.01)


def adam(weights: list[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.Adam(weights, lr=0.01)


def adamw(weights: list[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(weights, lr=0.01, weight_decay=0.1)


def rmsprop(weights: list[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(weights, lr=0.01, momentum=0.5)


def adagrad(weights: list[Tensor]) -> torch.optim.Optimizer:
    return torch.optim.Adagrad(weights, lr=0.05)


Make = Callable[[list[Tensor]], torch.optim.Optimizer]
NETS = 24  # that each optimizer trains; the seeds of one net and its redraws are this far apart
REDRAWS = 20


def trained(pair: Pair, make: Make, seed: int) -> int:
    """50 steps of both; how often a weight that had moved before was idle, which left it bit-identical."""
    weights, plain_weights = list(pair.drawn.layers.parameters()), list(pair.layers.parameters())
    ours, theirs = make(weights), make(plain_weights)
    used, idle = [False] * len(weights), 0
    for step in range(50):
        value, plain, _ = pair.run(7 * step + seed, 4)
        for optimizer, total in ((ours, bent(value)), (theirs, bent(plain))):
            optimizer.zero_grad(set_to_none=True)
            (total / sum(item.numel() for item in tensors(value))).square().backward()
        before = [weight.detach().clone() for weight in weights]
        unused = [weight.grad is None for weight in plain_weights]
        ours.step()
        theirs.step()
        for old, new, alone in zip(before, weights, unused, strict=True):
            assert not alone or torch.equal(old, new)
        idle += sum(alone and was for alone, was in zip(unused, used, strict=True))
        used = [was or not alone for alone, was in zip(unused, used, strict=True)]
    return idle


@pytest.mark.parametrize(
    ("make", "tolerance"), [(sgd, 1e-12), (adam, 1e-8), (adamw, 1e-8), (rmsprop, 1e-8), (adagrad, 1e-8)]
)
@pytest.mark.parametrize(
    "first", [*range(1000, 1006), *(pytest.param(net, marks=pytest.mark.long) for net in range(1006, 1000 + NETS))]
)
def test_fifty_steps_give_the_weights_of_the_loop_and_leave_idle_ones_alone(
    make: Make, tolerance: float, first: int
) -> None:
    """Nets are drawn until one has a weight that moves and later is idle; those before it are compared as well."""
    idle = 0
    for seed in range(first, first + REDRAWS * NETS, NETS):
        pair = Pair(seed, depth=2)
        if not len(pair.drawn.layers):
            continue
        idle = trained(pair, make, seed)
        for mine, plain_weight in pair.weights():
            assert_close(mine, plain_weight, rtol=tolerance, atol=tolerance)
        if idle:
            break
    assert idle


class Rows(nn.Module):
    """Counts the rows it sees, and changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = 0

    def forward(self, x: Tensor) -> Tensor:
        self.rows += len(x)
        return x * 1


# line 2: idle weights


def test_a_weight_whose_branch_took_no_sample_has_no_gradient_and_stays_bit_identical() -> None:
    net = wye.Chain(nn.Linear(3, 3), deep=wye.When("control > 0.5", nn.Linear(3, 3)), last=nn.Linear(3, 1))
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.1, weight_decay=0.5)
    branch = net.get_submodule("deep.then")
    moved = []
    for step in range(12):
        control = torch.ones(4) if step % 3 == 0 else torch.zeros(4)
        optimizer.zero_grad(set_to_none=True)
        net(torch.randn(4, 3), control=control).square().mean().backward()
        before = [weight.detach().clone() for weight in branch.parameters()]
        assert all((weight.grad is None) == (step % 3 != 0) for weight in branch.parameters())
        optimizer.step()
        moved.append([not torch.equal(a, b) for a, b in zip(before, branch.parameters(), strict=True)])
    assert moved == [[step % 3 == 0] * 2 for step in range(12)]


# line 3: nothing else is computed


@pytest.mark.parametrize("otherwise", [None, "x * 3"])
def test_an_untaken_side_that_is_not_finite_poisons_no_gradient(otherwise: str | None) -> None:
    x = torch.tensor([[4.0], [0.0], [-1.0], [9.0]], requires_grad=True)
    net = wye.When("all(x > 0)", "sqrt(x)", otherwise)
    value = net(x)
    value.sum().backward()
    slope = 1.0 if otherwise is None else 3.0
    assert_close(value, torch.tensor([[2.0], [0.0], [-1.0 * slope], [3.0]]))
    assert_close(x.grad, torch.tensor([[0.25], [slope], [slope], [1 / 6]]))


def test_a_loop_lets_no_gradient_that_is_not_finite_out_of_samples_that_left() -> None:
    x = torch.tensor([[0.0], [16.0], [81.0]], requires_grad=True)
    net = wye.While("all(x > 3)", "sqrt(x)", max_steps=5)
    net(x).sum().backward()
    # 16 -> 4 -> 2, 81 -> 9 -> 3; at 0 the slope of the root is not finite
    assert_close(net(x), torch.tensor([[0.0], [2.0], [3.0]]))
    assert_close(x.grad, torch.tensor([[1.0], [16 ** (-0.75) / 4], [81 ** (-0.75) / 4]]))


@pytest.mark.parametrize(("control", "taken"), [([0, 0, 0], 0), ([1, 0, 1], 2), ([1, 1, 1], 3)])
def test_none_some_and_all_taken(control: list[int], taken: int) -> None:
    for otherwise in (None, Rows()):
        then = Rows()
        net = wye.When("control", then, otherwise)
        x = torch.randn(3, 2)
        assert torch.equal(net(x, control=torch.tensor(control)), x)
        assert then.rows == taken == net.paths["then"].samples
        if otherwise is not None:
            assert otherwise.rows == 3 - taken == net.paths["otherwise"].samples
        else:
            assert net.paths["passed"].samples == 3 - taken


def test_the_gather_is_skipped_only_when_all_are_taken() -> None:
    seen: list[Tensor] = []

    def keep(x: Tensor) -> Tensor:
        seen.append(x)
        return x + 1

    net = wye.When("control", keep)
    x = torch.randn(3, 2)
    net(x, control=torch.ones(3))
    net(x, control=torch.tensor([1.0, 1.0, 0.0]))
    assert seen[0] is x
    assert seen[1] is not x
    assert torch.equal(seen[1], x[:2])
