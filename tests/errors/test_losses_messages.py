"""Whole messages of the losses of the catalogue; they stand in `losses_messages.txt`."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import wye
from tests.errors.messages import cases, check
from wye import losses

CASES = cases("losses_messages.txt")
NAMES: dict[str, Any] = {"losses": losses, "evaluate": wye.evaluate}


def ones(*shape: int) -> Tensor:
    return torch.ones(shape)


def ids(*values: int) -> Tensor:
    return torch.tensor(values)


@pytest.mark.parametrize(("call", "message"), CASES, ids=[call for call, _ in CASES])
def test_the_whole_message(call: str, message: str) -> None:
    with pytest.raises(wye.WyeError) as caught:
        eval(call.removeprefix(">>> "), {**NAMES, "ones": ones, "ids": ids})
    check(caught.value, message)
