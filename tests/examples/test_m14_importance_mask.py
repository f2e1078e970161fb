"""M14: an importance mask, held against a loop over the places of the grid."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

import wye
from examples import m14_importance_mask as example
from tests.examples.training import OPTIMIZERS, assert_close, assert_same_gradients, assert_same_weights, step

SPELLINGS = (example.FORMULA, "mean((pred - label) ** 2 * mask)")


def plain(pred: Tensor, label: Tensor, mask: Tensor) -> Tensor:
    if pred.dim() == 2:
        pred, label = pred[None], label[None]
    total = torch.zeros((), dtype=pred.dtype)
    for image, target in zip(pred, label, strict=True):
        for i in range(mask.shape[0]):
            for j in range(mask.shape[1]):
                total = total + (image[i, j] - target[i, j]) ** 2 * mask[i, j]
    return total / pred.numel()


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("shape", [(5, 4), (3, 5, 4), (1, 5, 4), (5, 5, 4)])
def test_value_and_gradients(shape: tuple[int, ...], spelling: str) -> None:
    mask = torch.rand(5, 4, dtype=torch.float64)
    loss = wye.Objective(spelling, mask=mask)
    pred, label = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for _ in range(2))
    got, wanted = loss(pred, label)[0], plain(pred, label, mask)
    assert_close(got, wanted)
    for mine, other in zip(
        torch.autograd.grad(got, [pred, label]), torch.autograd.grad(wanted, [pred, label]), strict=True
    ):
        assert_close(mine, other)


def test_the_mask_given_with_the_call() -> None:
    pred, label = (torch.randn(3, 5, 4, dtype=torch.float64) for _ in range(2))
    mask = torch.rand(5, 4, dtype=torch.float64)
    assert_close(wye.evaluate(example.FORMULA, pred=pred, label=label, mask=mask), plain(pred, label, mask))
    arrays = {"pred": pred.numpy(), "label": label.numpy(), "mask": mask.numpy()}
    assert_close(torch.as_tensor(wye.evaluate(example.FORMULA, **arrays)), plain(pred, label, mask))


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_weights_after_training(kind: str) -> None:
    net = example.network().double()
    twin, mask = copy.deepcopy(net), example.middle().double()
    loss = example.masked_error(mask)
    ours, theirs = OPTIMIZERS[kind](net.parameters()), OPTIMIZERS[kind](twin.parameters())
    for _ in range(10):
        image = torch.rand(4, 8, 8, dtype=torch.float64)
        step(ours, loss(net(image), image)[0])
        step(theirs, ((twin(image) - image) ** 2 * mask).mean())
    assert_same_weights(net.parameters(), twin.parameters())
    assert_same_gradients(net.parameters(), twin.parameters())


def test_a_place_without_importance_has_no_gradient() -> None:
    loss = example.masked_error(example.middle(border=0.0))
    pred = torch.rand(8, 8, requires_grad=True)
    loss(pred, torch.zeros(8, 8))[0].backward()
    assert pred.grad is not None
    assert bool((pred.grad[2:-2, 2:-2] != 0).all())
    assert int(pred.grad.count_nonzero()) == 16


def test_the_mask_is_saved_with_the_loss() -> None:
    assert torch.equal(example.masked_error(example.middle()).state_dict()["mask"], example.middle())


@pytest.mark.parametrize(
    ("pred", "label", "mask"),
    [
        ((3, 8, 8), (3, 8, 8), (8, 9)),
        ((3, 8, 8), (3, 8, 8), (1, 8)),
        ((3, 8, 8), (3, 8, 8), (8,)),
        ((3, 8, 8), (3, 8, 8), (3, 8, 8)),
        ((3, 8, 8), (2, 8, 8), (8, 8)),
        ((3, 8, 8), (3, 8, 1), (8, 8)),
        ((8,), (8,), (8, 8)),
    ],
)
def test_shapes_that_do_not_fit_are_errors(
    pred: tuple[int, ...], label: tuple[int, ...], mask: tuple[int, ...]
) -> None:
    with pytest.raises(wye.ShapeError):
        example.masked_error(torch.ones(mask))(torch.zeros(pred), torch.zeros(label))


def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example.main()
    told = capsys.readouterr().out
    errors = [[float(word.rstrip(",")) for word in line.split() if word[0] == "0"] for line in told.splitlines()[1:3]]
    assert errors[1][0] < errors[0][0]  # with the mask, the middle is drawn better
    assert "100 images as one batch: loss 0.0796." in told
    assert "the mean of all 100: 0.0796." in told
    assert "ShapeError: the axis `w` has two sizes." in told
