"""Two towers over glyphs and their names, by label against by position: `examples/m20_two_towers.py`.

A seed draws the split, the first weights and the batches, the same for both. Few rows of a shuffled batch meet another
form of their character; where batches are dealt by character, most that have one do.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean, stdev

import torch
from torch import Tensor

from examples.m20_two_towers import BATCH, EPOCHS, glyphs, ranked, recall, shuffled, split, train, two_towers

from .table import Row

SEEDS = range(2, 7)  # the example was tuned on others
Order = Callable[[Tensor], Tensor]
Data = dict[str, Tensor]


def by_character(label: Tensor) -> Order:
    """Rows in an order that keeps those of one label side by side."""

    def order(rows: Tensor) -> Tensor:
        return rows[torch.randperm(len(label))[label[rows]].argsort(stable=True)]

    return order


def meeting(label: Tensor, rows: Tensor, order: Order) -> float:
    """The share of rows that meet another one of their label in their batch."""
    labels = [label[batch] for batch in order(rows).split(BATCH)[: len(rows) // BATCH]]
    return mean(float(((one[:, None] == one).sum(1) > 1).float().mean()) for one in labels)


def found_together(nearest: Tensor, label: Tensor, k: int) -> float:
    """The share of a label's names among the first k, of as many as fit there; over labels that have several."""
    count = torch.bincount(label)[label]
    hits = (label[nearest[:, :k]] == label[:, None]).sum(1)
    return float((hits / count.clamp(max=k))[count > 1].mean())


def measured(data: Data, seed: int, by: str, order: Order, epochs: int = EPOCHS) -> dict[str, float]:
    """What towers that were trained so find of the glyphs held out."""
    rows, held = split(data, seed)
    torch._dynamo.reset()  # captures of the towers before would be asked, and count against a limit
    torch.manual_seed(seed)
    loss = two_towers(by)
    train(loss, data, rows, epochs, order)
    nearest, label = ranked(loss.eval(), data, held), data["label"][held]
    own = torch.arange(len(held))
    return {
        "its name @1": recall(nearest, own, 1),
        "its name @5": recall(nearest, own, 5),
        "a name of its character @1": recall(nearest, label, 1),
        "a name of its character @5": recall(nearest, label, 5),
        "all names of its character @5": found_together(nearest, label, 5),
    }


def rows(every: int = 1, epochs: int = EPOCHS) -> list[Row]:
    """The mean recall by label over that by position; above 1 labels win.

    Args:
        every: take only each so many-th glyph.
        epochs: how long each pair of towers is trained.
    """
    data = glyphs(every)
    shown: list[Row] = []
    for name, order in {"shuffled": shuffled, "dealt by character": by_character(data["label"])}.items():
        share = meeting(data["label"], split(data)[0], order)
        shown.append(Row(f"{name}: another form in the batch", share, None, "the share of rows that meet one"))
        found = {by: [measured(data, seed, by, order, epochs) for seed in SEEDS] for by in ("label", "position")}
        for what in found["label"][0]:
            ours, theirs = ([one[what] for one in found[by]] for by in ("label", "position"))
            shown.append(Row(f"{name}: {what}", mean(ours) / mean(theirs), None, compared(ours, theirs)))
    return shown


def compared(ours: list[float], theirs: list[float]) -> str:
    """Both means, and the mean of the differences within a seed, each with its standard deviation over the seeds."""
    apart = [100 * (a - b) for a, b in zip(ours, theirs, strict=True)]
    one, other = (f"{mean(some):.1%} ± {100 * stdev(some):.1f}" for some in (ours, theirs))
    wins = sum(value > 0 for value in apart)
    return f"{one} against {other}; {mean(apart):+.1f} ± {stdev(apart):.1f}, higher on {wins} of {len(apart)} seeds"
