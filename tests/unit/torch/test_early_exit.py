"""EarlyExit: samples leave at the first exit that is sure of them, against a loop over samples written by hand."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wye

X = torch.randn(8, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def layers(count: int = 3) -> tuple[list[nn.Module], list[nn.Module]]:
    torch.manual_seed(4)
    stages = [nn.Sequential(nn.Linear(3, 3), nn.Tanh()).double() for _ in range(count)]
    return [*stages], [nn.Linear(3, 2).double() for _ in range(count)]


def by_hand(stages: Any, exits: Any, x: Tensor, sure: Callable[[Tensor, int], Any]) -> tuple[Tensor, list[int]]:
    """For each sample the first outcome that is sure, and at which exit."""
    rows: list[Tensor] = []
    left: list[int] = []
    for place, row in enumerate(x):
        hidden = row[None]
        for depth, (stage, out) in enumerate(zip(stages, exits, strict=True)):
            hidden = stage(hidden)
            outcome = out(hidden)[0]
            if depth == len(stages) - 1 or bool(sure(outcome, place)):
                rows.append(outcome)
                left.append(depth)
                break
    return torch.stack(rows), left


def test_samples_leave_at_the_first_exit_that_is_sure() -> None:
    stages, exits = layers()
    net = wye.EarlyExit(stages, exits, "max(x) > 0.3")
    value, left = by_hand(stages, exits, X, lambda y, _: y.max() > 0.3)
    assert {0, 1, 2} == set(left)
    torch.testing.assert_close(net(X), value)
    samples = {path: count.samples for path, count in net.paths.items()}
    assert samples == {
        **{f"stage{k}": sum(at >= k for at in left) for k in range(3)},
        **{f"exit{k}": left.count(k) for k in range(3)},
    }


def test_gradients_are_those_of_the_loop() -> None:
    stages, exits = layers()
    twins = copy.deepcopy((stages, exits))
    x, y = X.clone().requires_grad_(), X.clone().requires_grad_()
    net = wye.EarlyExit(stages, exits, "max(x) > 0.3")
    net(x).square().sum().backward()
    by_hand(*twins, y, lambda out, _: out.max() > 0.3)[0].square().sum().backward()
    torch.testing.assert_close(x.grad, y.grad)
    for mine, plain in zip(net.parameters(), nn.ModuleList([*twins[0], *twins[1]]).parameters(), strict=True):
        torch.testing.assert_close(mine.grad, plain.grad)


@pytest.mark.parametrize(
    "until", [lambda x: x.max(1).values > 0.3, lambda x: x.max(1, keepdim=True).values > 0.3, "far(x) > bound"]
)
def test_a_callable_or_parts_decide(until: Any) -> None:
    stages, exits = layers()
    parts = {"far": lambda x: x.max(1).values, "bound": 0.3} if isinstance(until, str) else {}
    expected, _ = by_hand(stages, exits, X, lambda y, _: y.max() > 0.3)
    torch.testing.assert_close(wye.EarlyExit(stages, exits, until, **parts)(X), expected)


def test_side_inputs_travel_with_those_who_stay() -> None:
    bound = torch.tensor([-9.0, 0.3, 9.0, 0.1, 9.0, -9.0, 0.3, 0.2], dtype=torch.float64)
    stages, exits = layers(2)

    def scaled(x: Tensor, gain: Tensor) -> Tensor:
        return x * gain[:, None]

    net = wye.EarlyExit([stages[0], scaled], exits, "max(x) > bound")
    value = net(X, bound=bound, gain=bound + 1)
    rows: list[Tensor] = []
    for row, b in zip(X, bound, strict=True):
        hidden = stages[0](row)
        outcome = exits[0](hidden)
        rows.append(outcome if outcome.max() > b else exits[1](hidden * (b + 1)))
    torch.testing.assert_close(value, torch.stack(rows))
    assert 0 < net.paths["exit0"].samples < 8


def test_per_batch_all_leave_together() -> None:
    stages, exits = layers()
    for bound in (-9.0, 0.9, 9.0):
        net = wye.EarlyExit(stages, exits, "max(x) > bound", per="batch", bound=bound)
        hidden, outcome = X, X
        for stage, out in zip(stages, exits, strict=True):
            hidden = stage(hidden)
            outcome = out(hidden)
            if outcome.max() > bound:
                break
        torch.testing.assert_close(net(X), outcome)
    number = wye.EarlyExit(stages, exits, "sure")
    torch.testing.assert_close(number(X, sure=1.0), exits[0](stages[0](X)))
    assert number.paths["stage1"].calls == 0
    torch.testing.assert_close(number(X, sure=False), exits[2](stages[2](stages[1](stages[0](X)))))


def test_all_exits_tell_what_each_says_of_all_samples() -> None:
    stages, exits = layers()
    net = wye.EarlyExit(stages, exits, "max(x) > 0.3", all_exits=True)
    outcomes = net(X)
    hidden = X
    assert isinstance(outcomes, tuple)
    for outcome, stage, out in zip(outcomes, stages, exits, strict=True):
        hidden = stage(hidden)
        torch.testing.assert_close(outcome, out(hidden))
    assert {count.samples for count in net.paths.values()} == {8}
    net.all_exits = False
    for once, outcome in zip(net(X, all_exits=True), outcomes, strict=True):
        assert torch.equal(once, outcome)
    torch.testing.assert_close(net(X), by_hand(stages, exits, X, lambda y, _: y.max() > 0.3)[0])


def test_until_is_assigned_while_it_runs() -> None:
    stages, exits = layers(2)
    net = wye.EarlyExit(stages, exits, "max(x) > bound")
    net.until = "bound > 0"
    assert str(net.until) == "bound > 0"
    torch.testing.assert_close(net(X, bound=1), exits[0](stages[0](X)))
    net.until = False
    torch.testing.assert_close(net(X), exits[1](stages[1](stages[0](X))))
    with pytest.raises(wye.InputError, match="no side input"):
        net.until = "other > 0"


def test_exits_may_return_nests_and_other_dtypes() -> None:
    net = wye.EarlyExit(
        ["x + 1", "x + 1"],
        [lambda x: {"y": x.bfloat16(), "sure": x[:, 0] > 2}, lambda x: {"y": x, "sure": x[:, 0] > 99}],
        'x["sure"]',
    )
    value = net(torch.tensor([[0.0], [5.0]]))
    assert value["y"].dtype == torch.float32
    assert value["y"][:, 0].tolist() == [2, 6]
    assert value["sure"].tolist() == [False, True]


def test_the_last_exit_is_not_asked_and_one_stage_is_enough() -> None:
    asked: list[int] = []

    def until(x: Tensor) -> Tensor:
        asked.append(len(x))
        return torch.zeros(len(x))

    wye.EarlyExit(["x", "x", "x"], ["x", "x", "x"], until)(X)
    assert asked == [8, 8]
    assert torch.equal(wye.EarlyExit(["2 * x"], ["x + 1"], "max(x) > 0")(X), 2 * X + 1)


def test_an_empty_batch_has_the_shape_of_an_exit() -> None:
    stages, exits = layers()
    assert wye.EarlyExit(stages, exits, "max(x) > 0")(X[:0]).shape == (0, 2)
    assert [y.shape for y in wye.EarlyExit(stages, exits, "max(x) > 0", all_exits=True)(X[:0])] == [(0, 2)] * 3


def test_it_is_saved_copied_and_printed_as_what_it_is() -> None:
    net = wye.EarlyExit([nn.Linear(3, 3), nn.Tanh()], [nn.Linear(3, 2), nn.Linear(3, 2)], "max(x) > 0.3")
    assert list(net.state_dict()) == [
        *("stage0.weight", "stage0.bias"),
        *("exit0.weight", "exit0.bias", "exit1.weight", "exit1.bias"),
    ]
    assert net.line == "EarlyExit(until='max(x) > 0.3')"
    net.all_exits = True
    assert net.line == "EarlyExit(until='max(x) > 0.3', all_exits=True)"
    net.all_exits = False
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(other(X.float()), net(X.float()))
    assert net.double()(X).dtype == torch.float64
