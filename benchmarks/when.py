"""`When` per sample at several fractions of samples taken, over its block on the full batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import wye

from .passes import ALONE, Pass
from .table import Row, milliseconds
from .timing import interleaved

BATCH = 4096
LIMITS = {0.0: 0.02, 0.1: 0.18, 0.25: 0.33, 0.5: 0.60, 1.0: 1.05}
NARROW = 1.10
SHOWN = (0.75, 0.9)
"""Fractions for information."""


def rows() -> list[Row]:
    wide = [measured(512, fraction, LIMITS.get(fraction)) for fraction in sorted((*LIMITS, *SHOWN))]
    narrow = [measured(64, fraction, NARROW if fraction in LIMITS else None) for fraction in sorted((*LIMITS, *SHOWN))]
    return wide + narrow


def measured(width: int, fraction: float, limit: float | None) -> Row:
    block = nn.Sequential(nn.Linear(width, width), nn.ReLU())
    when = wye.When("control > 0.5", block)
    control = torch.zeros(BATCH)
    control[torch.randperm(BATCH)[: round(BATCH * fraction)]] = 1.0
    count = int(control.sum())
    both = Pass(torch.randn(BATCH, width), block.parameters())
    runs = {
        "wye": both.through(lambda x: when(x, control=control)),
        "full": both.through(block),
        ALONE: both.alone(),
        "where": both.through(lambda x: torch.where(control[:, None] > 0.5, block(x), x)),
        "index_copy": both.through(lambda x: copied(x, control, block)),
    }
    if count:
        part = Pass(torch.randn(count, width), block.parameters())
        runs |= {"the rows alone": part.through(block), "behind the rows": part.alone()}
    samples = interleaved(runs, seconds=8.0, least=2e-2)
    ratios = {
        name: samples.ratio(name, "full", ALONE) for name in runs if name not in ("full", ALONE, "behind the rows")
    }
    if count:
        ratios["the rows alone"] = samples.ratio("the rows alone", "full", ALONE, "behind the rows")
    shown = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items() if name != "wye")
    note = f"full {milliseconds(samples.median('full'))}; {shown}"
    return Row(f"When, {BATCH}x{width}, {fraction:g} taken", ratios["wye"], limit, note)


def copied(x: Tensor, control: Tensor, block: nn.Module) -> Tensor:
    """The plain way to part a batch."""
    index = (control > 0.5).nonzero().squeeze(1)
    return x.index_copy(0, index, block(x.index_select(0, index)))


def by_sample() -> list[Row]:
    """A loop over samples, which nobody would time often."""
    block = nn.Sequential(nn.Linear(512, 512), nn.ReLU())
    when, control = wye.When("control > 0.5", block), (torch.rand(BATCH) > 0.5).float()
    both = Pass(torch.randn(BATCH, 512), block.parameters())

    def loop(x: Tensor) -> Tensor:
        taken = control.tolist()
        return torch.stack([block(row) if on > 0.5 else row for row, on in zip(x, taken, strict=True)])

    runs = {"wye": both.through(lambda x: when(x, control=control)), "loop": both.through(loop)}
    samples = interleaved(runs, seconds=1.0)
    note = f"{milliseconds(samples.median('wye'))} against {milliseconds(samples.median('loop'))}"
    return [Row(f"When, {BATCH}x512, half taken, over a loop over samples", samples.ratio("wye", "loop"), None, note)]
