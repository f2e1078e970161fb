"""What dice tell: seeds, ticks, the warning of a die that never moves, and what is refused in eval."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest
import torch
from torch import nn

import wye

X = torch.zeros(2, 3)


def net() -> Any:
    return wye.Chain(
        a=wye.Repeat(nn.Linear(3, 3), "die(0, 3)"),
        b=wye.Chain(nn.Sequential(wye.RandomChoice(nn.Linear(3, 3), None))),
    )


def states(module: nn.Module) -> list[list[int]]:
    return [value.tolist() for name, value in module.state_dict().items() if name.endswith("dice.state")]


def test_seeds_are_distinct_by_path_and_reproducible() -> None:
    one, other = net(), net()
    assert wye.seed(one, 7) == wye.seed(other, 7) == 2
    assert states(one) == states(other)
    assert states(one)[0][0] != states(one)[1][0]
    assert all(0 <= seed < 2**31 for seed, _ in states(one))
    for value in (8, -7, 7 + 2**32, 0):
        assert wye.seed(other, value) == 2
        assert states(other)[0] != states(one)[0]
    assert wye.seed(nn.Linear(2, 2), 7) == 0
    twin = copy.deepcopy(one)
    assert wye.seed(twin) == 2
    assert all(a[0] != b[0] for a, b in zip(states(one), states(twin), strict=True))


@pytest.mark.parametrize(("value", "kind"), [(1.5, "float"), ("7", "str"), (True, "bool")])
def test_a_seed_of_another_type(value: Any, kind: str) -> None:
    with pytest.raises(wye.PartError) as caught:
        wye.seed(net(), value)
    assert str(caught.value) == (
        f"a seed is a whole number.\n  in:  seed(..., {value!r})\n  got: {kind}\n  fix: write seed(net, 7)"
    )


def test_ticks_move_every_die_by_one_and_keep_the_seed() -> None:
    one = net()
    before = states(one)
    assert wye.tick(one) == 2
    assert wye.tick(one.a) == 1
    assert states(one) == [[before[0][0], 2], [before[1][0], 1]]
    assert wye.tick(nn.Linear(2, 2)) == 0


def test_a_die_that_never_moves_is_told_of_once() -> None:
    one = net().a
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for call in range(1, 301):
            one(X)
            assert len(seen) == (call >= 100)
    assert seen[0].category is wye.WyeWarning
    assert str(seen[0].message) == (
        "a die has shown one face in 100 training calls, for no optimizer has stepped that holds weights of its node; "
        "give them to one, or call wye.tick(module) after each step"
    )


@pytest.mark.parametrize("why", ["stepped", "ticked", "eval", "no gradients"])
def test_nothing_is_told_of_a_die_that_moves_or_is_not_thrown(why: str) -> None:
    one = net().a
    optimizer = torch.optim.SGD(one.parameters(), lr=0.0)
    if why == "eval":
        one.eval()
    with torch.set_grad_enabled(why != "no gradients"):
        for call in range(250):
            one(X)
            if call == 50 and why == "stepped":
                optimizer.step()
            if call == 50 and why == "ticked":
                wye.tick(one)


def test_in_eval_the_likeliest_branch_runs_or_what_is_said() -> None:
    for settings, branch in (({}, 0), ({"weights": (1, 3, 2)}, 1), ({"weights": (1, 2, 2)}, 1), ({"eval": 2}, 2)):
        choice = wye.RandomChoice("x + 1", "x + 2", "x + 3", **settings).eval()
        assert choice(X)[0, 0] == branch + 1


def test_the_message_of_a_die_in_eval() -> None:
    with pytest.raises(wye.FlowError) as caught:
        wye.When("coin(0.5)", "x + 1").eval()(X)
    assert str(caught.value) == (
        "nothing is drawn in eval.\n  in:  When('coin(0.5)')\n  got: a coin\n  fix: say what holds instead: eval=..."
    )
