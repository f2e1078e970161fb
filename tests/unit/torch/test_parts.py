"""Parts: what may be one, how large a number may be, and that schedules move wherever they are."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import wye


def test_a_class_is_no_part() -> None:
    with pytest.raises(wye.PartError) as told:
        wye.Join("a(x)", a=nn.ReLU)
    assert str(told.value) == (
        "`a` is a class, not a module.\n  in:  a=ReLU\n  got: the class ReLU\n  fix: write a=ReLU(...)"
    )


def test_a_number_beyond_floats_is_refused_and_the_old_one_stays() -> None:
    join = wye.Join("x * gain", gain=2.0)
    with pytest.raises(wye.PartError) as told:
        join.gain = 10**400
    assert str(told.value) == (
        "the number `gain` is too large.\n  in:  gain=...\n"
        "  got: 100000000000... of 401 digits\n  fix: give one below 1e308"
    )
    assert join(torch.ones(1)).item() == 2.0
    join.gain = 2**70
    assert join(torch.ones(1)).item() == float(2**70)


def test_strict_is_a_setting() -> None:
    with pytest.raises(wye.PartError, match="`strict` is a setting, not a part"):
        wye.Join("x", strict=1.0)  # type: ignore[arg-type]
    with pytest.raises(wye.InputError, match="`strict` is a setting, not a value"):
        wye.evaluate("strict + 1", strict=torch.ones(2))  # type: ignore[arg-type]


def test_schedules_move_in_modules_inside_an_objective_too() -> None:
    net = wye.Join("a(x) * t", a=nn.Linear(4, 1), t=wye.Schedule("step / 5"))
    loss = wye.Objective("mean(net(x)) + beta", net=net, beta=wye.Schedule("step"))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    loss.follow(optimizer)
    for _ in range(2):
        loss(torch.ones(2, 4))[0].backward()
        optimizer.step()
    assert (net.t, loss.beta) == (0.4, 2.0)


def test_schedules_move_in_the_nodes_of_a_chain() -> None:
    chain = wye.Chain(gated=wye.When("x[0] < t", nn.Linear(2, 2), t=wye.Schedule("step")))
    chain.advance()
    assert chain.gated.t == 1


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("index", [-1, 7])
def test_take_out_of_range(axis: int, index: int) -> None:
    with pytest.raises(wye.RangeError) as told:
        wye.evaluate(f"take(x, i, axis={axis})", x=torch.ones(3, 3), i=torch.tensor([index]))
    assert str(told.value) == (
        f"the index {index} is out of range.\n  in:  take(x, i, axis={axis})\n       {'^' * 18}\n"
        f"  got: indices from {index} to {index}, an axis of size 3\n  fix: give whole numbers from 0 to 2"
    )


@pytest.mark.parametrize(("name", "fix"), [("detach", "write stop(x)"), ("gelu", "give a part of that name: gelu=...")])
def test_names_of_other_libraries(name: str, fix: str) -> None:
    with pytest.raises(wye.FormulaError) as told:
        wye.evaluate(f"{name}(x)", x=torch.ones(2))
    assert told.value.fix == fix


def test_suggested_axes_avoid_names_in_use() -> None:
    with pytest.raises(wye.ShapeError) as told:
        wye.evaluate("mse(a, b) + k", a=torch.ones(6, 1), b=torch.ones(6), k=1.0)
    names = told.value.fix
    assert "[d" in names
    assert "b[b" not in names


def test_times_that_are_no_number_of_rounds_are_refused_when_built() -> None:
    for times in (1.5, -1):
        with pytest.raises(wye.FlowError, match="a block runs a whole number of times"):
            wye.Repeat(nn.Linear(2, 2), times)  # type: ignore[arg-type]


def test_a_coin_has_a_probability() -> None:
    when = wye.When("coin(5)", nn.Linear(2, 2))
    with pytest.raises(wye.FlowError, match="a coin has a probability"):
        when(torch.ones(1, 2))
