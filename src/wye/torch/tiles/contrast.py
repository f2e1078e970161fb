"""A contrastive loss without the matrix of logits: one function of autograd, its gradient formed in the forward."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from ..large import PLAIN, is_transformed
from . import dense
from .dense import Dense
from .plan import Parts, Plan, Wanted, plain
from .positives import Soft
from .tiled import Tiled

NOTHING = (False, False, False, False)


def contrast(plan: Plan, x: Tensor, y: Tensor, temperature: Tensor, bias: Tensor | None = None) -> Tensor | Parts:
    """The loss that a plan says, of rows in float32 or float64.

    Tiles are for tensors that hold numbers: captured graphs, transforms (`vmap`, `jvp`) and forward mode take the plain
    form. So do weights with a gradient, which has the size of all logits anyway.
    """
    values = [value for value in (x, y, temperature, bias) if value is not None]
    weights = _given_weights(plan)
    written = weights is not None and weights.requires_grad
    if torch.compiler.is_compiling() or is_transformed() or any(type(value) not in PLAIN for value in values):
        written = True
    if forward_ad._current_level >= 0:  # pyright: ignore[reportPrivateUsage]
        written = True
    if written:
        return plain(plan, x, y, temperature, bias)
    if not torch.is_grad_enabled() or not any(value.requires_grad for value in values):
        return _run(plan, x, y, temperature, bias, NOTHING).value()
    return _Contrast.apply(plan, x, y, temperature, bias)  # pyright: ignore[reportReturnType]


def _run(plan: Plan, x: Tensor, y: Tensor, temperature: Tensor, bias: Tensor | None, wanted: Wanted) -> Dense | Tiled:
    """All at once where there are few rows, else tile by tile."""
    return (Dense if dense.fits(plan, x, y) else Tiled)(plan, x, y, temperature, bias, wanted)


class _Contrast(torch.autograd.Function):
    """The tiled form; its second derivatives go through the plain one."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, x: Tensor, y: Tensor, temperature: Tensor, bias: Tensor | None) -> Any:
        run = _run(plan, x, y, temperature, bias, ctx.needs_input_grad[1:])
        ctx.plan = plan
        ctx.save_for_backward(x, y, temperature, bias, _given_weights(plan))
        if plan.over is None:
            ctx.run, found = run, run.value()
        else:
            found, ctx.formed = run.formed()
        return found

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        with without_autocast(slopes[0]):
            if torch.is_grad_enabled():
                return None, *_plain_gradients(ctx.plan, ctx.saved_tensors[:4], slopes, ctx.needs_input_grad[1:])
            if ctx.plan.over is None:
                if not ctx.plan.normalize or _given_weights(ctx.plan) is not None:
                    len(ctx.saved_tensors)  # the run holds some of them: torch refuses what was changed since
                return None, *ctx.run.later(*slopes, *[None] * (2 - len(slopes)))
            slope = slopes[0] / ctx.plan.over
            return None, *(None if formed is None else formed * slope for formed in ctx.formed)


def _given_weights(plan: Plan) -> Tensor | None:
    return plan.positives.target if isinstance(plan.positives, Soft) else None


def _plain_gradients(
    plan: Plan, saved: tuple[Tensor, ...], slopes: tuple[Tensor, ...], wanted: tuple[bool, ...]
) -> list[Tensor | None]:
    """The gradients in operations that have gradients themselves."""
    x, y, temperature, bias = saved
    found = plain(plan, x, y, temperature, bias)
    inputs = [value for value, is_wanted in zip(saved, wanted, strict=True) if is_wanted]
    several = [part for part in (found if isinstance(found, tuple) else (found,)) if part is not None]
    of_inputs = iter(torch.autograd.grad(several, inputs, slopes, create_graph=True, allow_unused=True))
    return [next(of_inputs) if is_wanted else None for is_wanted in wanted]


def without_autocast(x: Tensor) -> torch.autocast | nullcontext[None]:
    """Products keep the floats of their factors inside."""
    kind = x.device.type
    on = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return torch.autocast(kind, enabled=False) if on else nullcontext()
