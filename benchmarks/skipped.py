"""What flow costs where nothing runs."""

from __future__ import annotations

import torch
from torch import nn

import wye

from .join import Same
from .table import Row, milliseconds
from .timing import interleaved

LIMIT = 3.0


def rows() -> list[Row]:
    """A `When` that a number skips, over one call of an empty module."""
    x, empty = torch.randn(32, 32), Same()
    found = []
    for words, block in (("a Linear", nn.Linear(32, 32)), ("a chain", wye.Chain(nn.Linear(32, 32), nn.ReLU()))):
        when = wye.When("control > 0.5", block)
        assert when(x, control=0.0) is x
        runs = {"wye": lambda when=when: when(x, control=0.0), "empty": lambda: empty(x)}
        samples = interleaved(runs, seconds=1.5, rounds=1000, least=5e-4)
        note = f"{milliseconds(samples.median('wye'))} against {milliseconds(samples.median('empty'))}"
        found.append(Row(f"When over {words}, skipped on a number", samples.ratio("wye", "empty"), LIMIT, note))
    return found
