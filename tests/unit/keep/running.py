"""How a model is run before it is saved and after it was loaded: outputs and gradients, as a flat list of tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import wye


def run(model: nn.Module, given: dict[str, Any]) -> list[Tensor]:
    """The outputs of a call, and the gradients of all weights; empty ones where there is none."""
    first = {name: value for name, value in given.items() if name in ("x", "input")}
    if isinstance(model, wye.Join):
        value = model(**given)
    else:
        value = model(*first.values(), **{name: one for name, one in given.items() if name not in first})
    found = flat(value)
    total = sum((one.double().abs().sum() for one in found if one.requires_grad), torch.zeros(()))
    if total.requires_grad:
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        grads = torch.autograd.grad(total, weights, allow_unused=True)
        found += [torch.zeros(0) if grad is None else grad for grad in grads]
    return [one.detach() for one in found]


def flat(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [one for item in (value.values() if isinstance(value, dict) else value) for one in flat(item)]
