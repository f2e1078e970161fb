"""M16: a weight for each sample, held against a loop over the samples."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import wye
from examples import m16_weight_per_sample as example
from tests.examples.training import OPTIMIZERS, assert_close, assert_same_weights, step


def plain(pred: Tensor, label: Tensor, w: Tensor) -> Tensor:
    total = torch.zeros((), dtype=pred.dtype)
    for place in range(len(pred)):
        for feature in range(pred.shape[1]):
            total = total + (pred[place, feature] - label[place, feature]) ** 2 * w[place]
    return total / pred.numel()


def batch(size: int, features: int) -> tuple[Tensor, Tensor, Tensor]:
    pred, label = (torch.randn(size, features, dtype=torch.float64, requires_grad=True) for _ in range(2))
    return pred, label, torch.rand(size, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize(("size", "features"), [(6, 3), (3, 3), (6, 1), (1, 4), (1, 1)])
def test_value_and_gradients(size: int, features: int) -> None:
    given = batch(size, features)
    got, wanted = example.weighted_error()(*given)[0], plain(*given)
    assert_close(got, wanted)
    assert_close(got, ((given[0] - given[1]) ** 2 * given[2][:, None]).mean())
    for mine, other in zip(torch.autograd.grad(got, given), torch.autograd.grad(wanted, given), strict=True):
        assert_close(mine, other)


def test_the_same_on_arrays() -> None:
    pred, label, w = (value.detach() for value in batch(6, 3))
    got = wye.evaluate(example.weighted_error().formula, pred=pred.numpy(), label=label.numpy(), w=w.numpy())
    assert_close(torch.as_tensor(got), plain(pred, label, w))


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("by_id", [False, True])
def test_weights_after_training(by_id: bool, kind: str) -> None:
    net = nn.Linear(4, 2).double()
    twin, x, label = copy.deepcopy(net), *(torch.randn(40, size, dtype=torch.float64) for size in (4, 2))
    w = torch.rand(40, dtype=torch.float64)
    loss = example.weighted_by_id(w) if by_id else example.weighted_error()
    ours, theirs = OPTIMIZERS[kind](net.parameters()), OPTIMIZERS[kind](twin.parameters())
    for _ in range(20):
        rows = torch.randint(0, 40, (8,))  # an id may come twice in a batch
        more = {"id": rows} if by_id else {"w": w[rows]}
        step(ours, loss(pred=net(x[rows]), label=label[rows], **more)[0])
        step(theirs, ((twin(x[rows]) - label[rows]) ** 2 * w[rows][:, None]).mean())
    assert_same_weights(net.parameters(), twin.parameters())


@pytest.mark.parametrize("shape", [(5,), (7,), (1,), (3,), (6, 1), (1, 6), (6, 3), ()])
def test_weights_that_do_not_fit_are_errors(shape: tuple[int, ...]) -> None:
    pred, label, _ = batch(6, 3)
    with pytest.raises(wye.ShapeError):
        example.weighted_error()(pred, label, torch.ones(shape, dtype=torch.float64))


def test_labels_without_their_second_axis_are_an_error() -> None:
    pred, label, w = batch(6, 1)
    with pytest.raises(wye.ShapeError, match="`label`"):
        example.weighted_error()(pred, label[:, 0], w)


@pytest.mark.parametrize("wrong", [10, -1])
def test_an_id_that_no_sample_has_is_an_error(wrong: int) -> None:
    pred, label, _ = batch(3, 2)
    loss = example.weighted_by_id(torch.ones(10, dtype=torch.float64))
    with pytest.raises(wye.RangeError):
        loss(pred, label, torch.tensor([0, wrong, 2]))


def test_it_runs_as_a_script() -> None:
    script = Path(example.__file__)
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    errors = [float(line.split()[-1]) for line in done.stdout.splitlines()[1:4]]
    assert errors[1] < errors[0]
    assert errors[2] == errors[1]
    assert "ShapeError: the axis `b` has two sizes." in done.stdout
    assert "RangeError: the index 442 is out of range." in done.stdout
