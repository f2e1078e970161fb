"""What it costs that idle weights have no gradient: a training step with the hooks over one without."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.optim import optimizer as registry

import wye
from wye.torch.flow import idle

from .table import Row, milliseconds
from .timing import interleaved


def rows() -> list[Row]:
    return [measured(4, 512, 512, 1.01), measured(32, 32, 256, 1.02)]


def measured(count: int, width: int, batch: int, limit: float) -> Row:
    """A chain of so many nodes, each with a layer that half of the samples take."""
    net = wye.Chain(*(wye.When("control > 0.5", wye.Chain(nn.Linear(width, width), nn.ReLU())) for _ in range(count)))
    optimizer = torch.optim.AdamW(net.parameters())
    x, control = torch.randn(batch, width), (torch.arange(batch) % 2).float()

    def step() -> None:
        optimizer.zero_grad()
        net(x, control=control).square().mean().backward()
        optimizer.step()

    samples = interleaved({"with": step, "without": without(step)}, seconds=20.0, rounds=400)
    note = f"{milliseconds(samples.median('with'))} against {milliseconds(samples.median('without'))}"
    return Row(f"a step of {count} nodes {width} wide", samples.ratio("with", "without"), limit, note)


def without(step: Callable[[], None]) -> Callable[[], None]:
    """The same step while the hooks are put aside."""
    hooks = (
        (registry._global_optimizer_pre_hooks, idle.before),
        (registry._global_optimizer_post_hooks, idle.after),
    )
    kept = [(held, key) for held, hook in hooks for key, one in held.items() if one is hook]
    assert len(kept) == len(hooks)

    def run() -> None:
        aside = [(held, key, held.pop(key)) for held, key in kept]
        step()
        for held, key, hook in aside:
            held[key] = hook

    return run
