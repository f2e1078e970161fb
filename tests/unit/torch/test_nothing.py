"""Empty batches, rows of zeros, and weights that sum to 0: every value is defined, and so is every gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import wye

NONE, ROWS = torch.zeros(0, 4), torch.zeros(0)
IDS = torch.zeros(0, dtype=torch.int64)


def valued(text: str, *inputs: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The value of a formula, and the gradients of its sum for the inputs of floats."""
    held = [value.clone().requires_grad_(value.is_floating_point()) for value in inputs]
    value = wye.Join(text)(*held)
    gradients = torch.autograd.grad(value.sum(), [one for one in held if one.requires_grad], allow_unused=True)
    return value.detach(), [gradient for gradient in gradients if gradient is not None]


@pytest.mark.parametrize(
    ("text", "inputs"),
    [
        ("mean(x)", (NONE,)), ("sum(x)", (NONE,)), ("mean(x[b, k])", (NONE,)), ("mean(x[b, k] * w[b])", (NONE, ROWS)),
        ("var(x)", (NONE,)), ("norm(x)", (NONE,)), ("mse(x, y)", (NONE, NONE)), ("mse(x[b, k], y[b, k])", (NONE, NONE)),
        ("cross_entropy(x, y)", (NONE, IDS)), ("cross_entropy(x[b, k], y[b])", (NONE, IDS)),
        ("weighted_mean(x, w)", (ROWS, ROWS)), ("weighted_mean(x[b], w[b])", (ROWS, ROWS)),
        ("mean(cosine(x, y))", (NONE, NONE)), ("mean(x, where=x > 0)", (NONE,)), ("sum(softmax(x))", (NONE,)),
        ("mean(-cosine(x[b, d], y[b, d], d))", (NONE, NONE)), ("mean(p[b, y[b]])", (NONE, IDS)),
    ],
)  # fmt: skip
def test_of_nothing(text: str, inputs: tuple[Tensor, ...]) -> None:
    value, gradients = valued(text, *inputs)
    assert value.item() == 0
    assert all(gradient.numel() == 0 for gradient in gradients)


def test_a_mean_over_no_columns_is_zero_for_each_row() -> None:
    assert_close(valued("mean(x[b, k], k)", torch.ones(3, 0))[0], torch.zeros(3))
    assert_close(valued("mean(x, axis=1)", torch.ones(3, 0))[0], torch.zeros(3))
    assert_close(valued("mean(x[b, k] * w[k], k)", torch.ones(3, 0), torch.ones(0))[0], torch.zeros(3))


@pytest.mark.parametrize("text", ["cosine(x, y)", "cosine(x[b, d], y[b, d], d)"])
def test_the_cosine_of_a_zero_row_is_zero(text: str) -> None:
    x, y = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]]), torch.tensor([[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]])
    value, gradients = valued(text, x, y)
    assert_close(value, torch.tensor([0.0, 1.0, 0.0]))
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert_close(gradients[0][1], torch.zeros(2), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "text", ["unit(x)", "norm(x, axis=1)", "distance(x, 0 * x)", "unit(x[b, d], d)", "norm(x[b, d], d)"]
)
def test_zero_rows_have_finite_gradients(text: str) -> None:
    value, (gradient,) = valued(text, torch.tensor([[0.0, 0.0], [3.0, 4.0]]))
    assert not value[0].any()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("values", ["x, y", "x[b, k], y[b]"])
@pytest.mark.parametrize(("option", "ids"), [("", -100), (", ignore_index=7", 7)])
def test_cross_entropy_with_every_target_ignored_is_zero(values: str, option: str, ids: int) -> None:
    value, (gradient,) = valued(f"cross_entropy({values}{option})", torch.randn(5, 3), torch.full((5,), ids))
    assert value.item() == 0
    assert not gradient.any()


@pytest.mark.parametrize("text", ["weighted_mean(x, w)", "weighted_mean(x[b, k], w[b, k])"])
@pytest.mark.parametrize("weight", [torch.zeros(5, 3), torch.tensor([[1.0, -1.0, 0.0]]).repeat(5, 1)])
def test_weights_that_sum_to_zero(text: str, weight: Tensor) -> None:
    value, gradients = valued(text, torch.randn(5, 3), weight)
    assert value.item() == 0
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_a_row_whose_weights_sum_to_zero() -> None:
    x, w = torch.tensor([[1.0, 2.0], [3.0, 5.0]]), torch.tensor([[0.0, 0.0], [1.0, 3.0]])
    for text in ("weighted_mean(x, w, axis=1)", "weighted_mean(x[b, k], w[b, k], k)"):
        value, gradients = valued(text, x, w)
        assert_close(value, torch.tensor([0.0, 4.5]))
        assert_close(gradients[0], torch.tensor([[0.0, 0.0], [0.25, 0.75]]))
        assert_close(gradients[1][1], torch.tensor([(3 - 4.5) / 4, (5 - 4.5) / 4]))


def test_means_of_masks_that_leave_nothing() -> None:
    x, mask = torch.tensor([[float("nan"), 1.0], [2.0, 4.0]]), torch.tensor([[False, False], [True, True]])
    for text in ("mean(x, axis=1, where=m)", "mean(x[b, k], k, where=m[b, k])"):
        value, (gradient,) = valued(text, x, mask)
        assert_close(value, torch.tensor([0.0, 3.0]))
        assert_close(gradient, torch.tensor([[0.0, 0.0], [0.5, 0.5]]))
