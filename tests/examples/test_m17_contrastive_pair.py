"""M17: a contrastive loss of pairs, held against a loop over the pairs."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import wye
from examples import m17_contrastive_pair as example
from tests.examples.training import OPTIMIZERS, assert_close, assert_same_weights, step

FORMULA = "pair(image, text, label)"


def plain(image: Tensor, text: Tensor, label: Tensor) -> Tensor:
    """The mean over pairs, with the sum along the features written out."""
    total = torch.zeros((), dtype=image.dtype)
    for a, b, one in zip(image, text, label, strict=True):
        s = torch.zeros((), dtype=image.dtype)
        for x, y in zip(a, b, strict=True):
            s = s + x * y
        total = total + (1 - s if one == 1 else torch.clamp(s + 0.1, min=0))
    return total / len(label)


def batch(size: int, features: int) -> tuple[Tensor, Tensor, Tensor]:
    image, text = (torch.randn(size, features, dtype=torch.float64, requires_grad=True) for _ in range(2))
    return image, text, torch.randint(0, 2, (size,))


@pytest.mark.parametrize(("size", "features"), [(12, 3), (3, 3), (6, 1), (1, 4), (1, 1)])
def test_value_and_gradients(size: int, features: int) -> None:
    image, text, label = batch(size, features)
    wanted = plain(image, text, label)
    slopes = torch.autograd.grad(wanted, (image, text), allow_unused=True)
    for found in (
        wye.evaluate(FORMULA, image=image, text=text, label=label),
        wye.Objective(FORMULA)(image=image, text=text, label=label)[0],
        wye.evaluate(FORMULA, image=image, text=text, label=label == 1),
        wye.losses.pair(image, text, label),
    ):
        assert_close(found, wanted)
        for mine, other in zip(torch.autograd.grad(found, (image, text)), slopes, strict=True):
            assert_close(mine, torch.zeros_like(mine) if other is None else other)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_weights_after_training(kind: str) -> None:
    data = {name: value[::9] for name, value in example.pairs().items()}
    data = {name: value.double() if value.is_floating_point() else value for name, value in data.items()}
    loss = example.two_networks().double()
    twin = copy.deepcopy(loss)
    ours, theirs = OPTIMIZERS[kind](loss.parameters()), OPTIMIZERS[kind](twin.parameters())
    first, second, _ = data
    for _ in range(6):
        rows = torch.randint(0, len(data["label"]), (16,))
        given: dict[str, Any] = {name: value[rows] for name, value in data.items()}
        step(ours, loss(**given)[0])
        a, b = twin.see(given[first]), twin.read(given[second])
        step(theirs, plain(a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True), given["label"]))
    assert_same_weights(loss.parameters(), twin.parameters())


@pytest.mark.parametrize(
    "label", [torch.tensor([1.0, 0]), torch.tensor([[1], [0]]), torch.tensor([1, 0, 1]), torch.tensor([1, 2])]
)
def test_labels_that_do_not_fit_are_errors(label: Tensor) -> None:
    image, text, _ = batch(2, 3)
    with pytest.raises(wye.FormulaError):
        wye.evaluate(FORMULA, image=image, text=text, label=label)


def test_it_runs_as_a_script() -> None:
    done = subprocess.run(
        [sys.executable, str(Path(example.__file__))],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    before, after = (float(word) for word in done.stdout.split("loss ")[-1].split("\n")[0].split(" -> "))
    assert after < 0.2 * before
    own, other = (float(done.stdout.split("The mean cosine is ")[1].split()[place]) for place in (0, 7))
    assert own > 0.9
    assert other < 0
    assert "ShapeError: labels are whole numbers or truth values: 0 and 1." in done.stdout
