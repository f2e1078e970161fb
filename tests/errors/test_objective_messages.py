"""Whole messages of Objective; they stand in `objective_messages.txt`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import wye
from tests.errors.messages import cases, check


def objective(formula: Any, **parts: Any) -> wye.Objective:
    return wye.Objective(formula, **parts)


def ones(*shape: int) -> Tensor:
    return torch.ones(shape)


def number(value: float) -> Tensor:
    return torch.tensor(value)


def itself(x: Tensor) -> Tensor:
    return x


def total_alone(x: Tensor) -> Tensor:
    return x.sum()


class Export(torch.nn.Module):
    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *args: Tensor) -> Any:
        return self.inner(*args)


def exported(inner: torch.nn.Module, *args: Tensor) -> object:
    return torch.export.export(Export(inner), args, strict=False)


CASES = cases("objective_messages.txt")


@pytest.mark.parametrize(("call", "message"), CASES, ids=[call for call, _ in CASES])
def test_the_whole_message(call: str, message: str) -> None:
    with pytest.raises(wye.WyeError) as caught:
        eval(call.removeprefix(">>> "))
    check(caught.value, message)
