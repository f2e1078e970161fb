"""New entries for a table: those of the batch are written, no other is touched."""

from __future__ import annotations

import numpy
import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from ..formula.tables import fractions, wrong_entries
from .kernels import out_of_range, within
from .large import PLAIN, is_transformed

LONG = 64
"""Numbers in a row from which NumPy writes it faster."""


def renew(held: Tensor, ids: Tensor, new: object) -> None:
    """Puts new entries at the ids; one id that comes several times gets the mean of its new entries."""
    wanted = (*ids.shape[:1], *held.shape[1:])
    if not isinstance(new, Tensor) or new.shape != wanted or ids.dim() != 1:
        got = tuple(new.shape) if isinstance(new, Tensor) else None
        raise wrong_entries(got, wanted, "does not give one new entry for each id.")
    rows, places = _fitting(held, new), ids.long()
    if torch.compiler.is_compiling() or not places.is_cpu:  # nobody waits for the device to say how often ids come
        places, order = within(places, held.shape[0]).sort()
        rows = _means(places, rows[order]).to(held.dtype)
    elif len(places):
        known = numpy.sort(places.numpy())  # in less time than `unique` takes
        if known[0] < 0 or known[-1] >= held.shape[0]:  # `index_copy_` would write the others first
            raise out_of_range(places, held.shape[0])
        if (known[1:] == known[:-1]).any():
            places, order = places.sort()
            rows = _means(places, rows[order]).to(held.dtype)
    _write(held, places, rows)


def _write(held: Tensor, places: Tensor, rows: Tensor) -> None:
    """Puts rows at places; long ones by NumPy, which copies them in two thirds of the time."""
    by_numpy = rows.numel() >= LONG * len(rows) and rows.is_cpu and rows.dtype is not torch.bfloat16
    if torch.compiler.is_compiling() or not by_numpy or is_transformed() or type(held) not in PLAIN:
        held.index_copy_(0, places, rows)
        return
    held.numpy()[places.numpy()] = rows.numpy()
    increment_version(held)  # so that a backward which still needs the old entries says so


def _means(ordered: Tensor, rows: Tensor) -> Tensor:
    """The rows, each as the mean of those that have its id; the ids are in order."""
    whole = not rows.is_floating_point()
    if rows.dtype in (torch.float16, torch.bfloat16, torch.bool):
        rows = rows.to(torch.int64 if whole else torch.float32)
    first = torch.ones_like(ordered)
    first[1:] = ordered[1:] != ordered[:-1]
    group = first.cumsum(0) - 1
    sums = torch.zeros_like(rows).index_add_(0, group, rows)
    counts = torch.zeros_like(ordered).index_add_(0, group, torch.ones_like(ordered)).clamp(min=1)
    counts = counts.reshape(-1, *[1] * (rows.dim() - 1))
    return torch.div(sums, counts, rounding_mode="floor" if whole else None)[group]


def pushed(held: Tensor, oldest: Tensor, new: object) -> tuple[Tensor, Tensor]:
    """A bank in which the rows stand in the place of the oldest ones, and the place of the oldest from then on."""
    if not isinstance(new, Tensor) or not new.dim() or new.shape[1:] != held.shape[1:]:
        got, batch = (tuple(new.shape), new.shape[0] if new.dim() else 1) if isinstance(new, Tensor) else (None, 1)
        raise wrong_entries(got, (batch, *held.shape[1:]), "gives no rows of the bank.")
    size, count = held.shape[0], new.shape[0]
    rows = _fitting(held, new)[max(0, count - size) :]
    after = (oldest + count) % size
    places = (after - len(rows) + torch.arange(len(rows), device=held.device)) % size
    # Another tensor: what the loss read may wait for its backward.
    return torch.index_copy(held, 0, places, rows), after


def _fitting(held: Tensor, new: Tensor) -> Tensor:
    if new.is_floating_point() and not held.is_floating_point():
        raise fractions(str(held.dtype)[6:], str(new.dtype)[6:])
    return new.detach().to(held.dtype)
