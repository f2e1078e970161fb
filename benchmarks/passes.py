"""Forward and backward of a block that stands within a network: its gradient comes from what stands behind it.

That gradient is made afresh for each backward, as a layer behind would make it, for ours and for the peer alike; what
making it takes is timed alone and taken off both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

ALONE = "what stands behind, alone"


class Behind(torch.autograd.Function):
    """A loss whose gradient is given, copied anew for each backward."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, grad: Tensor) -> Tensor:
        ctx.grad = grad
        return grad.new_zeros(())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return ctx.grad.clone(), None


class Pass:
    """Runs of one input through functions, forward and backward, gradients None before and after.

    Args:
        x: of shape (B, W), which gets a gradient as an inner layer's input does.
        weights: of all functions that are run.
    """

    def __init__(self, x: Tensor, weights: Iterable[Tensor]) -> None:
        self.x, self.weights = x.requires_grad_(), list(weights)
        self.grad = torch.randn_like(x)

    def through(self, function: Callable[[Tensor], Tensor]) -> Callable[[], None]:
        def run() -> None:
            Behind.apply(function(self.x), self.grad).backward()  # type: ignore[no-untyped-call]
            self.x.grad = None
            for weight in self.weights:
                weight.grad = None

        return run

    def alone(self) -> Callable[[], None]:
        return self.through(lambda x: x)
