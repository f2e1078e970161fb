"""Whole messages of a flow: what is wrong, where, what was got, and the cure; they stand in `flow_messages.txt`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wye
from tests.errors.messages import cases, check

X = torch.zeros(4, 2)
C = torch.tensor([1.0, 0.0, 1.0, 0.0])


def when(condition: Any = "c > 0.5", then: Any = "x + 1", otherwise: Any = None, **settings: Any) -> wye.When:
    return wye.When(condition, then, otherwise, **settings)


def loop(**settings: Any) -> wye.While:
    return wye.While("norm(x) < 10", "x + 1", **{"max_steps": 3, **settings})


def assigned(net: Any, name: str, value: Any) -> None:
    setattr(net, name, value)


class Masked(nn.Module):
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x * mask


CASES = cases("flow_messages.txt")


@pytest.mark.parametrize(("call", "message"), CASES, ids=[call for call, _ in CASES])
def test_the_whole_message(call: str, message: str) -> None:
    with pytest.raises(wye.WyeError) as caught:
        eval(call.removeprefix(">>> "))
    check(caught.value, message)


# cures that can be followed to the letter


def test_cures_of_conditions_and_times_run() -> None:
    when("any(x > 0.5)")(X)
    when("all(x > 0.5)")(X)
    when("any(c > 0.5)", per="batch")(X, c=C)
    wye.Repeat("x + 1", "round(relu(n / 2))")(X, n=3)
    wye.Repeat("x + 1", "round(relu(c))")(X, c=torch.tensor([1.0, 0.5, 0.0, 2.0]))
    wye.Repeat(["x + 1", "x + 2"], "clamp(round(n), 0, 2)")(X, n=torch.tensor([0.0, 1, 2, 3]))
    wye.Repeat("x + 1", "depth", depth=wye.Schedule("min(3, step)"))(X)
    when("norm(x) > bound", bound=wye.Schedule("step > 5"))(X)
    when("given")(X, given=C)


def test_cures_of_branches_run() -> None:
    when(then=nn.ReLU())(X, c=C)
    when(then=nn.LayerNorm(2))(X, c=torch.tensor([1.0, 0, 0, 0]))
    when(then=Masked(), shared=("mask",))(X, c=C, mask=torch.ones(2))
    wye.Chain(wye.Takes(Masked(), mask="padding"))(X, padding=X)
