"""M24: who enters, who passes and who is stopped, held against Python's own `while`, sample by sample."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW

from examples import m24_never_meets_the_condition as example
from tests.examples.training import OPTIMIZERS, assert_close, assert_same_weights, step

WIDTH, STEPS = 8, 15


@dataclass
class Log:
    """What the hand-written loops saw.

    Attributes:
        rounds: of each batch, the rounds of each loop.
        stopped: how many loops ended by the bound.
    """

    rounds: list[list[int]] = field(default_factory=list)
    stopped: int = 0

    def looped(self, mid: nn.Module, x: Tensor) -> Tensor:
        rounds = 0
        while x.norm() < 10 and rounds < example.MOST:
            x = torch.relu(mid(x))
            rounds += 1
        self.rounds[-1].append(rounds)
        self.stopped += bool(x.norm() < 10)
        return x

    def plain(self, net: nn.Module, x: Tensor) -> Tensor:
        self.rounds.append([])
        return net.last(self.looped(net.mid, net.first(x)))

    def each(self, net: nn.Module, x: Tensor) -> Tensor:
        self.rounds.append([])
        return net.last(torch.stack([self.looped(net.loop.block.mid, one) for one in net.first(x)]))

    def idle(self) -> int:
        """On how many batches nobody entered."""
        return sum(not any(rounds) for rounds in self.rounds)


def batches() -> list[tuple[Tensor, Tensor]]:
    """The dimmer part of each batch."""
    return [(x[:24].double(), label[:24]) for x, label in example.batches(STEPS)]


def mixed() -> list[tuple[Tensor, Tensor]]:
    """Every fourth sample of each batch, over the whole range."""
    return [(x[::4].double(), label[::4]) for x, label in example.batches(STEPS)]


def trained_by_hand(
    net: nn.Module, forward: Callable[[nn.Module, Tensor], Tensor], given: list[tuple[Tensor, Tensor]]
) -> None:
    optimizer = AdamW(net.parameters(), lr=0.003, weight_decay=0.1)
    for x, label in given:
        step(optimizer, F.cross_entropy(forward(net, x), label))


def test_the_loop_of_a_batch_in_plain_torch() -> None:
    net, log, given = example.Plain(WIDTH).double(), Log(), batches()
    twin = copy.deepcopy(net)
    seen = example.train(net, "mid", given)
    trained_by_hand(twin, log.plain, given)
    assert_same_weights(net.parameters(), twin.parameters())
    counts: dict[tuple[str, ...], int] = {}
    for (rounds,) in log.rounds:
        way = ("first", *["mid"] * rounds, "last")
        counts[way] = counts.get(way, 0) + 1
    assert len(counts) > 1
    assert {way: (path.calls, path.samples) for way, path in seen.ways.items()} == {
        way: (calls, 24 * calls) for way, calls in counts.items()
    }
    assert seen.modules["mid"].calls == sum(sum(rounds) for rounds in log.rounds)
    for name in ("mid.weight", "mid.bias"):
        assert (seen.weights[name].none, seen.weights[name].nonzero) == (log.idle(), STEPS - log.idle())
        assert seen.weights[name].moved_without == 0
        assert dict(seen.weights[name].reasons) == {"`mid` did not run": log.idle()}


def test_the_loop_of_each_sample_as_wye() -> None:
    net, log, given = example.network(WIDTH).double(), Log(), mixed()
    twin = copy.deepcopy(net)
    seen = example.train(net, "loop.block", given)
    trained_by_hand(twin, log.each, given)
    assert_same_weights(net.parameters(), twin.parameters())
    every = [rounds for batch in log.rounds for rounds in batch]
    assert seen.paths["loop.block"].samples == sum(every)
    assert seen.paths["loop.block"].calls == sum(max(batch) for batch in log.rounds)
    assert seen.paths["loop.passed"].samples == every.count(0)
    assert seen.paths["loop.stopped"].samples == log.stopped
    assert 0 < log.stopped < len(every) - every.count(0)
    assert 0 < log.idle() < STEPS
    for name in ("loop.block.mid.weight", "loop.block.mid.bias"):
        assert (seen.weights[name].none, seen.weights[name].moved_without) == (log.idle(), 0)
        assert dict(seen.weights[name].reasons) == {"While norm(x) < 10 let no sample in": log.idle()}


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("to_none", [True, False])
def test_what_nobody_used_stays_as_it_is_to_the_bit(kind: str, to_none: bool) -> None:
    net = example.network(WIDTH).double()
    optimizer, log, still = OPTIMIZERS[kind](net.parameters()), Log(), 0
    for x, label in mixed():
        before = copy.deepcopy(net.loop.state_dict())
        with torch.no_grad():
            log.each(net, x)
        optimizer.zero_grad(set_to_none=to_none)
        F.cross_entropy(net(x), label).backward()
        optimizer.step()
        entered = any(log.rounds[-1])
        still += not entered
        for name, value in net.loop.state_dict().items():
            assert torch.equal(value, before[name]) != entered, name
    assert 0 < still < STEPS


def test_who_never_enters_passes_unchanged_with_a_gradient_of_one() -> None:
    net = example.network(WIDTH).double()
    large = torch.full((3, WIDTH), 30.0, dtype=torch.float64, requires_grad=True)
    out = net.loop(large)
    assert torch.equal(out, large)
    assert torch.equal(*torch.autograd.grad(out.sum(), large), torch.ones_like(large))
    both = torch.cat([large.detach(), torch.full((2, WIDTH), 0.1, dtype=torch.float64)])
    log = Log([[]])
    assert torch.equal(net.loop(both)[:3], large)
    assert_close(net.loop(both), torch.stack([log.looped(net.loop.block.mid, one) for one in both]))


def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example.main()
    told = capsys.readouterr().out
    assert told.count("steps nobody entered; on 0 of these its weights moved by a bit") == 2
    assert "On 20 of 60 steps nobody entered" in told
    assert "`mid` did not run" in told
    assert "While norm(x) < 10 let no sample in" in told
    for path in ("loop.block", "loop.passed", "loop.stopped"):
        assert path in told
    assert "never enter: unchanged True, gradient one True." in told
