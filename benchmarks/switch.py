"""`Switch` over many branches, over one branch on the full batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import wye

from .passes import ALONE, Pass
from .table import Row, milliseconds
from .timing import interleaved

LIMIT = 1.5
BATCH, WIDTH, COUNT = 1024, 512, 16


def rows() -> list[Row]:
    branches = [nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU()) for _ in range(COUNT)]
    switch, index = wye.Switch("kind", *branches), torch.randint(COUNT, (BATCH,))
    both = Pass(torch.randn(BATCH, WIDTH), switch.parameters())
    order, sizes = torch.argsort(index), torch.bincount(index, minlength=COUNT).tolist()
    rows = both.x.detach()[order].split(sizes)
    pieces = [Pass(one, branch.parameters()) for one, branch in zip(rows, branches, strict=True)]
    alone = [piece.through(branch) for piece, branch in zip(pieces, branches, strict=True)]

    def nonzero(x: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        for place, branch in enumerate(branches):
            rows = (index == place).nonzero().squeeze(1)
            out = out.index_copy(0, rows, branch(x.index_select(0, rows)))
        return out

    def everything(x: Tensor) -> Tensor:
        return torch.stack([branch(x) for branch in branches])[index, torch.arange(BATCH)]

    runs = {
        "wye": both.through(lambda x: switch(x, kind=index)),
        "one": both.through(branches[0]),
        ALONE: both.alone(),
        "the branches alone": lambda: [run() for run in alone],
        "nonzero loop": both.through(nonzero),
        "all and select": both.through(everything),
    }
    samples = interleaved(runs, seconds=15.0)
    ratios = {name: samples.ratio(name, "one", ALONE) for name in runs if name not in ("one", ALONE)}
    shown = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items() if name != "wye")
    note = f"one {milliseconds(samples.median('one'))}; {shown}"
    return [Row(f"Switch, {COUNT} branches, {BATCH}x{WIDTH}", ratios["wye"], LIMIT, note)]
