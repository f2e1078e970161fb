"""Whole messages of edges and of the losses over them; they stand in `edges_messages.txt`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import wye
from tests.errors.messages import cases, check
from wye import Edges, losses

GRAPH = Edges([[0, 1, 2], [1, 2, 0]], num_nodes=4)
OTHER = Edges([[0], [1]], num_nodes=2)


def join(formula: str, **parts: Any) -> wye.Join:
    return wye.Join(formula, **parts)


def ones(*shape: int) -> Tensor:
    return torch.ones(shape)


def assigned(value: object) -> None:
    join("edge_cosine_loss(x, graph)", graph=GRAPH).graph = value


CASES = cases("edges_messages.txt")


@pytest.mark.parametrize(("call", "message"), CASES, ids=[call for call, _ in CASES])
def test_the_whole_message(call: str, message: str) -> None:
    with pytest.raises(wye.WyeError) as caught:
        eval(call.removeprefix(">>> "))
    check(caught.value, message)


@pytest.mark.parametrize("call", [call.removeprefix(">>> ") for call, _ in CASES if call.startswith(">>> losses.")])
def test_arrays_are_refused_alike(call: str) -> None:
    with pytest.raises(wye.WyeError) as of_tensors:
        eval(call)
    with pytest.raises(wye.WyeError) as of_arrays:
        eval(call, {"losses": losses, "GRAPH": GRAPH, "OTHER": OTHER, "ones": lambda *shape: np.ones(shape)})
    assert type(of_arrays.value) is type(of_tensors.value)
    assert all((of_arrays.value.what, of_arrays.value.where, of_arrays.value.got, of_arrays.value.fix))
