"""The contract of flow, each line once, over every node, per sample, batch and token, in eager and captured training.

Nets train for 50 steps beside a twin of plain torch. On some steps nobody takes a branch, on some everybody; some
steps gather gradients from two batches.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters
from torch.testing import assert_close

from tests.laws.contract_nodes import CASES, Case, Pair, data

Make = Callable[[list[Tensor]], torch.optim.Optimizer]

OPTIMIZERS: dict[str, tuple[Make, float]] = {
    "sgd": (lambda weights: torch.optim.SGD(weights, lr=0.01, momentum=0.9, weight_decay=0.01), 1e-12),
    "adam": (lambda weights: torch.optim.Adam(weights, lr=0.01), 1e-8),
    "adamw": (lambda weights: torch.optim.AdamW(weights, lr=0.01, weight_decay=0.1), 1e-8),
}
STEPS = 50
WHO = ("nobody", "some", "everybody", "some", "some")


def graphs() -> int:
    return int(counters["stats"]["unique_graphs"])


class Training:
    """50 steps of a net and its twin; `eager` is a copy of the net that goes along where the net is captured."""

    def __init__(self, pair: Pair, optimizer: str, to_none: bool, call: Callable[..., Tensor] | None = None) -> None:
        make, self.tolerance = OPTIMIZERS[optimizer]
        self.pair, self.to_none, self.call = pair, to_none, call or pair.net
        self.captured = call is not None
        self.weights = pair.weights()
        self.ours, self.theirs = make([mine for _, mine, _ in self.weights]), make([own for *_, own in self.weights])
        self.eager = copy.deepcopy(pair.net)
        self.beside = make(list(self.eager.parameters()))
        self.idle = 0

    def run(self) -> None:
        known = 0
        for step in range(STEPS):
            self.step(step)
            if step == 1:
                known = graphs()
        assert graphs() == known
        for name, mine, theirs in self.weights:
            assert_close(
                mine, theirs, rtol=self.tolerance, atol=self.tolerance, msg=lambda text, name=name: name + text
            )

    def step(self, step: int) -> None:
        self.ours.zero_grad(set_to_none=self.to_none)
        self.theirs.zero_grad(set_to_none=True)
        self.beside.zero_grad(set_to_none=self.to_none)
        for part in range(2 if step % 7 == 3 else 1):
            self.learn(step, *data(self.pair.case, 10 * step + part, WHO[step % len(WHO)]))
        old = [mine.detach().clone() for _, mine, _ in self.weights]
        idle = [theirs.grad is None for *_, theirs in self.weights]
        if self.to_none and not self.captured:
            assert [mine.grad is None for _, mine, _ in self.weights] == idle
        for optimizer in (self.ours, self.theirs, *([self.beside] if self.captured else [])):
            optimizer.step()
        for (name, mine, _), before, alone in zip(self.weights, old, idle, strict=True):
            assert (mine.grad is None) == alone, (step, name)
            assert not alone or torch.equal(mine, before), (step, name)
        self.idle += sum(idle)

    def learn(self, step: int, x: Tensor, sides: dict[str, Tensor]) -> None:
        """One batch: the same outputs, and the same gradients of what came in."""
        close: dict[str, Any] = {"rtol": 100 * self.tolerance, "atol": 100 * self.tolerance}
        wanted = {name: value for name, value in sides.items() if name in self.pair.net.wants}
        mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
        value, plain = self.call(mine, **wanted), self.pair.plain(theirs, sides, step)
        assert_close(value, plain, **close)
        for one in (value, plain, *([self.eager(x, **wanted)] if self.captured else [])):
            (one - x.sum(-1, keepdim=True).tanh()).square().mean().backward()
        assert_close(mine.grad, theirs.grad, **close)

    def same_counts(self) -> None:
        """What a graph counted is what eager counts; paths that only a run can name are known to eager alone."""
        eager, captured = counted(self.eager), counted(self.pair.net)
        assert all(path.startswith("node.times") for path in eager.keys() - captured.keys())
        assert {path: eager[path] for path in captured} == captured


def counted(net: nn.Module) -> dict[str, tuple[int, int]]:
    """Calls and samples of every path."""
    return {
        f"{name}.{path}": (count.calls, count.samples)
        for name, node in net.named_modules()
        for path, count in getattr(node, "paths", {}).items()
    }


def shares(always: Callable[[int, str], bool]) -> list[Any]:
    """Cases with optimizers, of which some always run and the rest with --long."""
    return [
        pytest.param(case, name, id=f"{case}-{name}", marks=() if always(place, name) else pytest.mark.long)
        for place, case in enumerate(CASES)
        for name in OPTIMIZERS
    ]


@pytest.mark.parametrize(("case", "optimizer"), shares(lambda place, name: name == list(OPTIMIZERS)[place % 3]))
@pytest.mark.parametrize("to_none", [True, False])
def test_fifty_steps_give_the_weights_of_the_twin_and_idle_ones_stay(case: Case, optimizer: str, to_none: bool) -> None:
    training = Training(Pair(case), optimizer, to_none)
    training.run()
    assert training.idle


CAPTURED = [
    pytest.param(case, id=str(case), marks=pytest.mark.long if place % 9 else ()) for place, case in enumerate(CASES)
]


@pytest.mark.parametrize("case", CAPTURED)
def test_captured_training_is_eager_training_in_few_graphs_with_the_same_counts(case: Case) -> None:
    """One capture learns from scratch with each optimizer; the first time from gradients None, then from zeros."""
    torch._dynamo.reset()
    counters.clear()
    pair = Pair(case)
    call = torch.compile(pair.net, backend="aot_eager", fullgraph=True)
    for place, name in enumerate(OPTIMIZERS):
        pair.restart()
        training = Training(pair, name, to_none=place == 0, call=call)
        training.run()
        training.same_counts()
        assert training.idle
