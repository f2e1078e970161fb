"""`While` per sample over the sum of its steps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import wye

from .passes import ALONE, Pass
from .table import Row, milliseconds
from .timing import interleaved

STEPS = 8
LIMITS = {(2048, 512): 1.15, (4096, 64): 2.0}


class Counted(nn.Module):
    """A ReLU and a linear layer; the first feature counts down instead, which tells when a sample is done."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(torch.relu(x))
        with torch.no_grad():
            y[:, 0] = x[:, 0] - 1
        return y


def while_rows() -> list[Row]:
    return [measured(batch, width, limit) for (batch, width), limit in LIMITS.items()]


def measured(batch: int, width: int, limit: float) -> Row:
    """Samples leave evenly over the steps, by a number that each carries along in its first feature."""
    block = Counted(width)
    loop = wye.While(lambda x: x[:, 0] > 0, block, max_steps=STEPS)
    x = torch.randn(batch, width)
    x[:, 0] = torch.randint(0, STEPS + 1, (batch,)).float()
    both = Pass(x, block.parameters())
    sizes = [int((x[:, 0] > step).sum()) for step in range(STEPS)]
    pieces = [Pass(torch.randn(size, width), block.parameters()) for size in sizes]
    steps, behind = [piece.through(block) for piece in pieces], [piece.alone() for piece in pieces]

    def masked(x: Tensor) -> Tensor:
        for _ in range(STEPS):
            x = torch.where(x[:, :1] > 0, block(x), x)
        return x

    def nonzero(x: Tensor) -> Tensor:
        for _ in range(STEPS):
            index = (x[:, 0] > 0).nonzero().squeeze(1)
            x = x.index_copy(0, index, block(x.index_select(0, index)))
        return x

    runs = {
        "wye": both.through(loop),
        "steps": lambda: [run() for run in steps],
        ALONE: both.alone(),
        "behind the steps": lambda: [run() for run in behind],
        "masked loop": both.through(masked),
        "nonzero loop": both.through(nonzero),
    }
    samples = interleaved(runs, seconds=12.0)
    ratios = {
        name: samples.ratio(name, "steps", ALONE, "behind the steps") for name in ("wye", "masked loop", "nonzero loop")
    }
    shown = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items() if name != "wye")
    note = f"the steps alone {milliseconds(samples.median('steps'))}; {shown}"
    return Row(f"While, {batch}x{width}, 0 to {STEPS} steps", ratios["wye"], limit, note)
