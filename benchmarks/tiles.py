"""Contrastive losses in tiles over the plain forms, forward and backward; time and memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

import wye

from .memory import peak_memory
from .table import Row, megabytes, milliseconds
from .timing import Run, interleaved

Loss = Callable[..., Tensor]
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Case:
    """A loss, the ways in which it is written by hand, and what each of them may cost at most.

    Args:
        name: what it is called.
        ours: the loss.
        peers: functions of the same values, with the most that ours may cost beside them.
        shapes: of the values; () for the numbers that learn.
        seconds: how long measuring may take.
    """

    name: str
    ours: Loss
    peers: Mapping[str, tuple[Loss, float | None]]
    shapes: tuple[tuple[int, ...], ...]
    seconds: float = 8.0


def two_matrices(a: Tensor, b: Tensor, temperature: Tensor) -> Tensor:
    """Two logits matrices, as in the paper's figure."""
    x, y, place = F.normalize(a) / temperature, F.normalize(b), torch.arange(len(a))
    return (F.cross_entropy(x @ y.T, place) + F.cross_entropy(y @ x.T, place)) / 2


def one_matrix(a: Tensor, b: Tensor, temperature: Tensor) -> Tensor:
    """One logits matrix for both directions."""
    logits, place = (F.normalize(a) / temperature) @ F.normalize(b).T, torch.arange(len(a))
    return (F.cross_entropy(logits, place) + F.cross_entropy(logits.T, place)) / 2


def plain_siglip(a: Tensor, b: Tensor, temperature: Tensor, bias: Tensor) -> Tensor:
    """As in the paper: labels of 1 and -1."""
    logits = (F.normalize(a) / temperature) @ F.normalize(b).T + bias
    label = 2 * torch.eye(len(a)) - 1
    return -F.logsigmoid(label * logits).sum() / len(a)


def lean_siglip(a: Tensor, b: Tensor, temperature: Tensor, bias: Tensor) -> Tensor:
    """The same without the matrix of labels."""
    logits = (F.normalize(a) / temperature) @ F.normalize(b).T + bias
    return (F.softplus(logits).sum() - logits.diagonal().sum()) / len(a)


def plain_nt_xent(a: Tensor, b: Tensor, temperature: Tensor) -> Tensor:
    views, count = F.normalize(torch.cat([a, b])), len(a)
    logits = (views / temperature) @ views.T
    logits = logits.masked_fill(torch.eye(2 * count, dtype=torch.bool), -torch.inf)
    return F.cross_entropy(logits, torch.arange(2 * count).roll(count))


def metric_learning(count: int) -> Loss | None:
    """NTXentLoss of pytorch-metric-learning, told that row i belongs to row i + N; None where it is not installed."""
    try:
        from pytorch_metric_learning.losses import NTXentLoss
    except ImportError:
        return None
    loss, label = NTXentLoss(temperature=0.07), torch.arange(count).repeat(2)
    return lambda a, b, temperature: loss(torch.cat([a, b]), label)


def cases() -> list[Case]:
    clip, siglip, nt_xent = wye.losses.clip_loss, wye.losses.siglip_loss, wye.losses.nt_xent
    sides = ((4096, 128), (4096, 128), ())
    wide = ((16384, 128), (16384, 128), ())
    views = ((2048, 128), (2048, 128), ())
    found = [
        Case("clip_loss 4096x128", clip, {"two matrices": (two_matrices, 0.40)}, sides),
        Case("clip_loss 4096x128", clip, {"torch.compile": (torch.compile(one_matrix), 0.455)}, sides),
        Case("siglip_loss 16384x128", siglip, {"as in the paper": (plain_siglip, 0.357)}, (*wide, ()), 60.0),
        Case("siglip_loss 4096x128", siglip, {"no labels": (lean_siglip, None)}, (*sides, ())),
        Case("nt_xent 4096 views x128", nt_xent, {"plain": (plain_nt_xent, 0.333)}, views),
    ]
    if (peer := metric_learning(256)) is not None:  # of twice as many views it takes a minute and more
        few = ((256, 128), (256, 128), ())
        found.append(Case("nt_xent 512 views x128", nt_xent, {"NTXentLoss": (peer, 0.01)}, few, 30.0))
    for count in (8, 32, 64, 128, 256):
        few = ((count, 128), (count, 128), ())
        found += [
            Case(f"clip_loss {count}x128", clip, {"one matrix": (one_matrix, 1.05)}, few, 2.0),
            Case(f"siglip_loss {count}x128", siglip, {"no labels": (lean_siglip, 1.05)}, (*few, ()), 2.0),
            Case(f"nt_xent {count} views x128", nt_xent, {"plain": (plain_nt_xent, 1.05)}, halved(few), 2.0),
        ]
    return found


def halved(shapes: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    return tuple((shape[0] // 2, *shape[1:]) if shape else () for shape in shapes)


def values(shapes: tuple[tuple[int, ...], ...]) -> list[Tensor]:
    """Rows, a temperature of 0.07 and a bias of -10; all of them learn."""
    numbers = iter((0.07, -10.0))
    return [(torch.randn(shape) if shape else torch.tensor(next(numbers))).requires_grad_() for shape in shapes]


def step(loss: Loss, given: list[Tensor]) -> Run:
    """Forward and backward, from no gradients."""

    def run() -> None:
        forget(given)
        loss(*given).backward()

    return run


def forget(given: list[Tensor]) -> None:
    for value in given:
        value.grad = None


def rows() -> list[Row]:
    return [row for case in cases() for row in timed(case)] + memory()


def timed(case: Case) -> list[Row]:
    given = values(case.shapes)
    runs = {"ours": step(case.ours, given)} | {name: step(peer, given) for name, (peer, _) in case.peers.items()}
    samples = interleaved(runs, seconds=case.seconds, rounds=60)
    own = milliseconds(samples.median("ours"))
    return [
        Row(
            f"{case.name}, {name}",
            samples.ratio("ours", name),
            limit,
            f"{own} for {milliseconds(samples.median(name))}",
        )
        for name, (_, limit) in case.peers.items()
    ]


def memory() -> list[Row]:
    """Peaks of live tensors, over those of two matrices; and of 16384 rows in units of 50 MB."""
    found: list[Row] = []
    for count, limit in ((4096, 0.04), (16384, 0.0111)):
        given = values(((count, 128), (count, 128), ()))
        ours, theirs = (
            peak_memory(step(loss, given), lambda given=given: forget(given))
            for loss in (wye.losses.clip_loss, two_matrices)
        )
        note = f"{megabytes(ours)} for {megabytes(theirs)}"
        found.append(Row(f"memory of clip_loss {count}x128, two matrices", ours / theirs, limit, note))
        if count == 16384:
            found.append(Row(f"memory of clip_loss {count}x128, 50 MB", ours / (50 * MEGABYTE), 1.0, megabytes(ours)))
    return found
