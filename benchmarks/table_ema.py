"""Targets that are a moving average as large as the dataset: a step of the loss beside one of plain cross-entropy."""

from __future__ import annotations

from itertools import cycle

import torch
import torch.nn.functional as F
from torch import Tensor

import wye

from .table import Row, milliseconds
from .timing import Run, interleaved

LARGE, SMALL, CLASSES, BATCH = 1_000_000, 10_000, 100, 256
STEP, SIZES = 3.2, 1.1
BATCHES = 2000


def batches(entries: int) -> cycle[Tensor]:
    """Ids of batches, epoch by epoch."""
    epochs = [torch.randperm(entries) for _ in range(-(-BATCHES * BATCH // entries))]
    return cycle(torch.cat([ids[: len(ids) // BATCH * BATCH] for ids in epochs]).split(BATCH)[:BATCHES])


def table(entries: int, update: str) -> wye.Table:
    return wye.Table(torch.full((entries, CLASSES), 1 / CLASSES), by="id", update=update)


def averaged(logits: Tensor, entries: int) -> Run:
    """Cross-entropy with the moving average of each sample's own probabilities as its target."""
    loss = wye.Objective(
        "-mean(dot(t, logp))", logp="log_softmax(logits)", t=table(entries, "0.7 * t + 0.3 * exp(stop(logp))")
    )
    ids = batches(entries)

    def run() -> None:
        logits.grad = None
        loss(logits=logits, id=next(ids))[0].backward()

    return run


def elr(logits: Tensor, label: Tensor, entries: int) -> Run:
    """Early-learning regularisation."""
    loss = wye.Objective(
        "ce + 3 * mean(log(1 - dot(p, t)))",
        ce="cross_entropy(logits, label)",
        p="softmax(logits)",
        t=table(entries, "0.7 * t + 0.3 * stop(p)"),
    )
    ids = batches(entries)

    def run() -> None:
        logits.grad = None
        loss(logits=logits, label=label, id=next(ids))[0].backward()

    return run


def elr_by_hand(logits: Tensor, label: Tensor, entries: int) -> Run:
    held, ids = torch.full((entries, CLASSES), 1 / CLASSES), batches(entries)

    def run() -> None:
        logits.grad = None
        one = next(ids)
        p, t = logits.softmax(1), held.index_select(0, one)
        (F.cross_entropy(logits, label) + 3 * (1 - (p * t).sum(1)).log().mean()).backward()
        with torch.no_grad():
            held.index_copy_(0, one, 0.7 * t + 0.3 * p)

    return run


def rows() -> list[Row]:
    logits, label = torch.randn(BATCH, CLASSES, requires_grad=True), torch.randint(CLASSES, (BATCH,))

    def plain() -> None:
        logits.grad = None
        F.cross_entropy(logits, label).backward()

    runs: dict[str, Run] = {
        "plain": plain,
        "large": averaged(logits, LARGE),
        "small": averaged(logits, SMALL),
        "elr": elr(logits, label, LARGE),
        "by hand": elr_by_hand(logits, label, LARGE),
    }
    samples = interleaved(runs, seconds=20, rounds=100, least=2e-3)
    note = "over {}: {}".format
    told = {name: milliseconds(samples.median(name)) for name in runs}
    shape = f"1e6 x {CLASSES}, batch {BATCH}"
    return [
        Row(f"moving average, {shape}", samples.ratio("large", "plain"), STEP, note("cross-entropy", told["large"])),
        Row(
            "the same, 1e6 over 1e4 entries", samples.ratio("large", "small"), SIZES, note(told["small"], told["large"])
        ),
        Row(f"early learning, {shape}", samples.ratio("elr", "plain"), None, note("cross-entropy", told["elr"])),
        Row("the same over itself by hand", samples.ratio("elr", "by hand"), None, note(told["by hand"], told["elr"])),
    ]
