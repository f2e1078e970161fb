"""What `watch` is given: what it refuses, in which words, and what it says where nothing came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import wye

ERRORS: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "no module": (
        lambda: wye.watch([nn.ReLU(), 3]),  # type: ignore[list-item]
        ["only modules are watched.", "watch(...)", "int", "give a module, or several"],
    ),
    "no optimizer": (
        lambda: wye.watch(nn.ReLU(), ["adam"]),  # type: ignore[list-item]
        [
            "only optimizers of torch tell their steps.",
            "watch(...)",
            "str",
            "give one of torch.optim; where another makes the steps, leave it out and call seen.step()",
        ],
    ),
    "one that is no module": (
        lambda: wye.watch(3),  # type: ignore[arg-type]
        ["only modules are watched.", "watch(...)", "int", "give a module, or several"],
    ),
    "nothing": (
        lambda: wye.watch([]),
        ["there is nothing to watch.", "watch(...)", "no module", "give a module, or several"],
    ),
    "a number for an optimizer": (
        lambda: wye.watch(nn.ReLU(), 3),  # type: ignore[arg-type]
        [
            "only optimizers of torch tell their steps.",
            "watch(...)",
            "int",
            "give one of torch.optim; where another makes the steps, leave it out and call seen.step()",
        ],
    ),
    "a loss that is a function": (
        lambda: wye.watch(nn.ReLU(), None, nn.functional.mse_loss),  # type: ignore[arg-type]
        [
            "only modules are watched.",
            "watch(...)",
            "function",
            "leave out a loss that is a function; give a wye.Objective to be told of its terms",
        ],
    ),
    "every": (
        lambda: wye.watch(nn.ReLU(), every=0),
        ["`every` is not a number of steps.", "watch(...)", "every=0", "give a whole number, 1 or more"],
    ),
    "elements": (
        lambda: wye.watch(nn.ReLU(), elements=0.5),  # type: ignore[arg-type]
        ["`elements` is not a number of elements.", "watch(...)", "elements=0.5", "give a whole number, 1 or more"],
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_cannot_be_watched_is_refused(name: str) -> None:
    call, (what, where, got, fix) = ERRORS[name]
    with pytest.raises(wye.WyeError) as caught:
        call()
    assert str(caught.value) == f"{what}\n  in:  {where}\n  got: {got}\n  fix: {fix}"


def test_an_optimizer_of_another_model_is_told_as_such() -> None:
    net, other = nn.Linear(2, 1), nn.Linear(2, 1)
    optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
    with wye.watch(net, optimizer) as seen:
        other(torch.ones(3, 2)).sum().backward()
        optimizer.step()
    assert seen.table().startswith("no step was seen of an optimizer that holds a weight of the model; ")
