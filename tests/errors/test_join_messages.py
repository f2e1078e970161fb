"""Whole messages of Join: what is wrong, where, what was got, and the cure; they stand in `join_messages.txt`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wye
from tests.errors.messages import cases, check


class Labelled(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": x, "hidden": x}


class Three(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return x, x + 1, x + 2


class Empty(nn.Module):
    def forward(self, x: Tensor) -> None:
        return None


def join(formula: Any, **parts: Any) -> wye.Join:
    return wye.Join(formula, **parts)


def ones(*shape: int) -> Tensor:
    return torch.ones(shape)


def line() -> nn.Module:
    return nn.Linear(4, 3)


def ids(*values: int) -> Tensor:
    return torch.tensor(values)


def switched(text: str) -> None:
    join("a(x) + y", a=line()).formula = text


def assigned(name: str, value: object) -> None:
    setattr(join("a(x) * gain", a=line(), gain=1.0), name, value)


def weighed(**inputs: Tensor) -> Tensor:
    return join("w[b] * x[b]", w=wye.Table(ones(4)))(**inputs)


def filled(value: object) -> None:
    join("w[b] * x[b]", w=wye.Table(ones(4))).w = value


CASES = cases("join_messages.txt")


@pytest.mark.parametrize(("call", "message"), CASES, ids=[call for call, _ in CASES])
def test_the_whole_message(call: str, message: str) -> None:
    with pytest.raises(wye.WyeError) as caught:
        eval(call.removeprefix(">>> "))
    check(caught.value, message)


SHAPES = [
    ((5, 1), (5,)), ((5, 4), (1, 4)), ((5, 1), (5, 4)), ((4,), (5, 4)), ((5,), (5, 4)), ((5, 4), (4,)), ((5, 4), (5,)),
    ((5, 5), (5,)), ((2, 3, 4), (3, 4)), ((6, 7, 8), (6, 1, 8)), ((1, 4), (5, 1, 4)), ((2, 1, 3), (2, 4, 3)),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_the_cure_of_a_shape_error_runs(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    with pytest.raises(wye.ShapeError) as caught:
        join("x - y")(ones(*left), ones(*right))
    first, second = caught.value.fix.removeprefix("name the axes: ").split(" and ")
    value = join(f"{first} - {second}")(ones(*left), ones(*right))
    assert value.numel() == max(ones(*left).numel(), ones(*right).numel())
    assert not value.any()


def test_no_cure_is_offered_where_none_would_run() -> None:
    for left, right in (((5, 4), (5, 3)), ((1, 5), (5, 1)), ((3,), (5, 4))):
        with pytest.raises(wye.ShapeError, match="fix: give them one shape"):
            join("x - y")(ones(*left), ones(*right))
