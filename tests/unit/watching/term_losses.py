"""Losses of several terms, and the gradients of each by autograd."""

from __future__ import annotations

import math

import torch
from torch import Tensor

import wye
from wye.watching.terms import Terms

B, K = 6, 3


def data(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, labels and a picture."""
    return torch.randn(B, 4, dtype=dtype), torch.randint(0, K, (B,)), torch.randn(B, K, dtype=dtype)


def norms(values: dict[str, Tensor], places: list[Tensor]) -> dict[str, float]:
    """The norm of each value's gradient at the places together, by autograd."""
    found = {}
    for name, value in values.items():
        grads = torch.autograd.grad(value, places, retain_graph=True, allow_unused=True)
        found[name] = math.sqrt(sum(float((grad**2).sum()) for grad in grads if grad is not None))
    return found


def last(terms: Terms, what: str) -> dict[str, float | None]:
    return {name: getattr(term, what).last for name, term in terms.terms.items()}


def objective() -> wye.Objective:
    return wye.Objective(
        "ce + beta * fit - 0.5 * mean(abs(logits))",
        ce="cross_entropy(logits, label)",
        fit="mse(logits, picture)",
        beta=0.3,
        mask=torch.ones(1000, K),
    )
