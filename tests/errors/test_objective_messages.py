"""Whole messages of Objective; they stand in `objective_messages.txt`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import wye


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


CASES = [
    case.partition("\n")[::2]
    for case in Path(__file__).with_name("objective_messages.txt").read_text().removesuffix("\n").split("\n\n")
    if case.startswith(">>> ")
]


@pytest.mark.parametrize(("call", "message"), CASES, ids=[call for call, _ in CASES])
def test_the_whole_message(call: str, message: str) -> None:
    with pytest.raises(wye.WyeError) as caught:
        eval(call.removeprefix(">>> "))
    error = caught.value
    assert f"{type(error).__name__}: {error}" == message
    assert all((error.what, error.where, error.got, error.fix))
