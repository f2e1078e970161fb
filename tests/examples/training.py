"""What the comparisons share: a twin of a system, its optimizer, and the distance between them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

Make = Callable[[Iterable[nn.Parameter]], Optimizer]

OPTIMIZERS: dict[str, Make] = {
    "momentum": lambda weights: SGD(weights, lr=0.05, momentum=0.9, weight_decay=0.01),
    "adamw": lambda weights: AdamW(weights, lr=0.01, weight_decay=0.05),
}
"""Both move a weight whose gradient is zero, and neither one whose gradient is None."""


def assert_close(got: Tensor, wanted: Tensor) -> None:
    """Equal up to rounding, in float64."""
    assert got.dtype == wanted.dtype == torch.float64
    torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-10)


def assert_same_gradients(ours: Iterable[nn.Parameter], theirs: Iterable[nn.Parameter]) -> None:
    """None where the other is None, else equal up to rounding."""
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.grad is None) == (other.grad is None)
        if mine.grad is not None and other.grad is not None:
            assert_close(mine.grad, other.grad)


def assert_same_weights(ours: Iterable[nn.Parameter], theirs: Iterable[nn.Parameter]) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        assert_close(mine.detach(), other.detach())


def step(optimizer: Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
