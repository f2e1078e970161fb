"""Conditions, times and what they read, assigned while the net runs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import wye

X = torch.tensor([[3.0, 4.0], [0.1, 0.2], [-1.0, 2.0], [0.0, 0.0]])


def test_a_condition_is_assigned_and_reads_no_more_than_the_first() -> None:
    net = wye.When("control > 0.5 and norm(x) > 1", "x + 1")
    given = {"control": torch.tensor([1.0, 1, 0, 1])}
    assert (net(X, **given) != X).any(1).tolist() == [True, False, False, False]
    net.condition = "norm(x) > 1"
    assert (net(X, **given) != X).any(1).tolist() == [True, False, True, False]
    assert (net(X) != X).any(1).tolist() == [True, False, True, False]
    net.condition = lambda x, control: control < 0.5
    assert (net(X, **given) != X).any(1).tolist() == [False, False, True, False]
    net.condition = False
    assert torch.equal(net(X), X)
    for wrong in ("contrl > 0.5", "other > 1", lambda x, other: other):
        with pytest.raises(wye.InputError, match="which is no side input"):
            net.condition = wrong
    with pytest.raises(wye.FormulaError):
        net.condition = "control >"
    assert net.condition is False
    net.condition = wye.Formula("control > 0.5")
    assert str(net.condition) == "control > 0.5"


def test_times_are_assigned() -> None:
    net = wye.Repeat("x + 1", "n")
    assert torch.equal(net(X, n=2), X + 2)
    net.times = 3
    assert torch.equal(net(X), X + 3)
    net.times = "2 * n"
    assert torch.equal(net(X, n=torch.tensor([0, 1, 2, 0])), X + torch.tensor([[0], [2], [4], [0]]))
    with pytest.raises(wye.InputError, match="which is no side input"):
        net.times = "m"


def test_a_module_that_decides_is_held_and_let_go() -> None:
    net = wye.When(nn.Linear(2, 1), "x + 1")
    assert sorted(net.state_dict()) == ["condition.bias", "condition.weight"]
    net.condition = "norm(x) > 1"
    assert not net.state_dict()
    net.condition = nn.Linear(2, 1, bias=False)
    assert sorted(net.state_dict()) == ["condition.weight"]
    assert net(X).shape == X.shape


def test_a_shared_side_input_is_whole_however_deep_it_is_declared() -> None:
    table = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1.0, 1.0], [9.0, 9.0]])  # as many rows as samples
    net = wye.Chain(wye.Chain(wye.When("norm(x) >= norm(table) - 12", "x + 1")), shared=("table",))
    bound = float(table.norm()) - 12
    assert (net(X, table=table) != X).any(1).tolist() == (X.norm(dim=1) >= bound).tolist()
    rows = wye.Chain(wye.Chain(wye.When("norm(x) >= norm(table)", "x + 1")))
    assert (rows(X, table=table) != X).any(1).tolist() == (X.norm(dim=1) >= table.norm(dim=1)).tolist()
