"""RandomChoice: one branch for the batch and the step, as often as its weight says."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

import wye

X = torch.zeros(3, 2)


def drawn(net: wye.RandomChoice, steps: int) -> list[int]:
    """What was added at each step."""
    seen: list[int] = []
    for _ in range(steps):
        added = net(X)
        assert bool((added == added[0, 0]).all())
        seen.append(int(added[0, 0]))
        assert torch.equal(net(X), added)
        wye.tick(net)
    return seen


@pytest.mark.parametrize("weights", [None, [1, 2, 1], (0.5, 0, 0.5), torch.tensor([3.0, 1.0, 0.0])])
def test_each_branch_is_drawn_as_often_as_its_weight_says(weights: Any) -> None:
    torch.manual_seed(2)
    net = wye.RandomChoice("x", "x + 1", "x + 2", weights=weights)
    seen = drawn(net, 2000)
    shares = torch.ones(3) if weights is None else torch.as_tensor(weights, dtype=torch.float32)
    for place, share in enumerate(shares / shares.sum()):
        spread = 4 * float((2000 * share * (1 - share)) ** 0.5)
        assert abs(seen.count(place) - 2000 * float(share)) <= spread
        assert net.paths[str(place)].samples == 2 * 3 * seen.count(place)


def test_in_eval_the_likeliest_runs_the_first_of_equals_or_what_eval_says() -> None:
    branches = ("x", "x + 1", "x + 2")
    for settings, expected in (
        ({}, 0),
        ({"weights": [1, 3, 2]}, 1),
        ({"weights": [1, 2, 2]}, 1),
        ({"weights": [1, 3, 2], "eval": 2}, 2),
        ({"eval": 0, "weights": [0, 0, 1]}, 0),
    ):
        net = wye.RandomChoice(*branches, **settings).eval()
        for _ in range(5):
            assert int(net(X)[0, 0]) == expected
            wye.tick(net)


def test_weights_are_assigned_while_it_runs() -> None:
    net = wye.RandomChoice("x", "x + 1")
    net.weights = [0, 1]
    assert net.weights == (0.0, 1.0)
    assert set(drawn(net, 20)) == {1}
    net.weights = (1, 0)
    assert set(drawn(net, 20)) == {0}
    net.weights = None
    assert net.weights is None
    assert set(drawn(net, 40)) == {0, 1}
    with pytest.raises(wye.PartError, match="one weight for each branch"):
        net.weights = [1]
    assert net.weights is None


def test_only_the_branch_drawn_has_gradients_and_the_step_moves_the_die() -> None:
    torch.manual_seed(1)
    net = wye.RandomChoice(nn.Linear(2, 2), nn.Linear(2, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    seen: set[int] = set()
    for _ in range(20):
        optimizer.zero_grad()
        net(X).sum().backward()
        had = [place for place in (0, 1) if net.get_submodule(str(place)).weight.grad is not None]
        assert len(had) == 1
        seen |= set(had)
        optimizer.step()
    assert seen == {0, 1}


def test_side_inputs_pass_and_none_lets_samples_pass() -> None:
    net = wye.RandomChoice("x + gain", None, weights=[1, 0], shared=("table",))
    assert torch.equal(net(X, gain=2.0), X + 2)
    net.weights = [0, 1]
    assert torch.equal(net(X, gain=2.0), X)
    value = {"a": X, "b": (X, X > 0)}
    out = wye.RandomChoice(None, None)(value)
    assert torch.equal(out["b"][1], X > 0)


def test_it_is_saved_with_its_die_copied_and_printed() -> None:
    net = wye.RandomChoice(nn.Linear(2, 2), None, weights=[1, 2], eval=0)
    assert list(net.state_dict()) == ["0.weight", "0.bias", "dice.state"]
    assert net.line == "RandomChoice(weights=[1.0, 2.0], eval=0)"
    assert wye.RandomChoice("x", "x").line == "RandomChoice()"
    fresh = wye.RandomChoice(nn.Linear(2, 2), None, weights=[1, 2])
    fresh.load_state_dict(net.state_dict())
    x = torch.ones(3, 2)
    for other in (fresh, copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        own = copy.deepcopy(net)
        for _ in range(20):
            assert torch.equal(other(x), own(x))
            wye.tick(other)
            wye.tick(own)


def test_an_empty_batch_throws_nothing() -> None:
    assert wye.RandomChoice(nn.Linear(2, 3), nn.Linear(2, 3))(X[:0]).shape == (0, 3)
    assert wye.RandomChoice("x", None)(X[:0]).shape == (0, 2)
