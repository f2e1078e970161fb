"""Sums of exponentials of logits, along rows and along columns, and their slopes: read tile by tile.

Where no logit can be large, exponentials are summed up as they are, and rows and columns share them. Else each row,
and each column, subtracts the largest logit it has met so far (Milakov and Gimelshein 2018, algorithm 3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .grid import Memory, Tile

SPAN = {torch.float32: 85.0, torch.float64: 700.0}
"""Between which powers of e, up and down, sums and their reciprocals are still exact."""


@dataclass(frozen=True)
class Weights:
    """What the logarithm of each sum counts for; no columns where only rows are summed up."""

    rows: Tensor
    columns: Tensor | None = None


class Sums(Protocol):
    """The sums so far; logits are read times the unit."""

    unit: float

    def read(self, logits: Tensor, tile: Tile, memory: Memory) -> None:
        """Adds a tile; the logits are overwritten by what `slope` starts from."""
        ...

    def again(self, logits: Tensor, tile: Tile) -> None:
        """The same of logits that were read before, without adding them."""
        ...

    def logs(self) -> tuple[Tensor, Tensor | None]:
        """The logarithms of the sums, of rows and of columns; 0 where nothing was summed up."""
        ...

    def slope(self, tile: Tile, found: Tensor, weights: Weights, memory: Memory) -> Tensor:
        """The slope of the weighted logarithms in each logit of a tile, from what `read` or `again` left."""
        ...


def sums_of(x: Tensor, columns: int | None, symmetric: bool, bound: float) -> Sums:
    """Nothing summed up yet.

    Args:
        x: the rows.
        columns: how many columns there are; None where they are not summed up.
        symmetric: whether columns are the rows: what is read of one side counts for the other as well.
        bound: what no logit exceeds, up or down.
    """
    count = len(x) * (columns or len(x))
    small = bound + math.log(max(count, 1)) <= SPAN.get(x.dtype, 0.0)
    return (Plain if small else Online)(x, columns, symmetric)


class Plain:
    """Sums of exponentials as they are, as powers of 2: half the work of powers of e."""

    unit = 1 / math.log(2)

    def __init__(self, x: Tensor, columns: int | None, symmetric: bool) -> None:
        self.rows = x.new_zeros(len(x))
        self.columns = self.rows if symmetric else None if columns is None else x.new_zeros(columns)

    def again(self, logits: Tensor, tile: Tile) -> None:
        logits.exp2_()
        if tile.diagonal:
            logits.fill_diagonal_(0)

    def read(self, logits: Tensor, tile: Tile, memory: Memory) -> None:
        self.again(logits, tile)
        self.rows[tile.rows] += logits.sum(1)
        if self.columns is not None and not tile.diagonal:
            self.columns[tile.columns] += logits.sum(0)

    def logs(self) -> tuple[Tensor, Tensor | None]:
        return _log(self.rows), None if self.columns is None else _log(self.columns)

    def slope(self, tile: Tile, found: Tensor, weights: Weights, memory: Memory) -> Tensor:
        tiny = torch.finfo(found.dtype).tiny
        each = weights.rows[tile.rows] / self.rows[tile.rows].clamp(min=tiny)
        if self.columns is None or weights.columns is None:
            return found.mul_(each.unsqueeze(1))
        if tile.diagonal:
            return _both_ways(found.mul_(each.unsqueeze(1)), tile, memory)
        other = weights.columns[tile.columns] / self.columns[tile.columns].clamp(min=tiny)
        return found.mul_(torch.add(each.unsqueeze(1), other, out=memory.beside(tile)))


class Online:
    """Sums of exponentials less the largest logit of the row, or column, so far."""

    unit = 1.0

    def __init__(self, x: Tensor, columns: int | None, symmetric: bool) -> None:
        lowest = torch.finfo(x.dtype).min
        self.rows = x.new_zeros(len(x)), x.new_full((len(x),), lowest)
        self.columns = self.rows
        if not symmetric:
            self.columns = None if columns is None else (x.new_zeros(columns), x.new_full((columns,), lowest))

    def again(self, logits: Tensor, tile: Tile) -> None:
        if tile.diagonal:
            logits.fill_diagonal_(-math.inf)

    def read(self, logits: Tensor, tile: Tile, memory: Memory) -> None:
        self.again(logits, tile)
        self._add(self.rows, tile.rows, logits, memory.beside(tile), 1)
        if self.columns is not None and not tile.diagonal:
            self._add(self.columns, tile.columns, logits, memory.beside(tile), 0)

    def _add(self, known: tuple[Tensor, Tensor], place: slice, logits: Tensor, beside: Tensor, dim: int) -> None:
        total, peak = known[0][place], known[1][place]
        higher = torch.maximum(peak, logits.amax(dim))
        total *= torch.exp(peak - higher)
        total += torch.sub(logits, higher.unsqueeze(dim), out=beside).exp_().sum(dim)
        peak.copy_(higher)

    def logs(self) -> tuple[Tensor, Tensor | None]:
        rows = _log(*self.rows)
        return rows, rows if self.columns is self.rows else None if self.columns is None else _log(*self.columns)

    def slope(self, tile: Tile, found: Tensor, weights: Weights, memory: Memory) -> Tensor:
        """From the peaks and not from the logarithms: these are rounded as large logits are."""
        peak, each = _shares(self.rows, tile.rows, weights.rows, 1)
        if self.columns is None or weights.columns is None:
            return found.sub_(peak).exp_().mul_(each)
        if tile.diagonal:
            return _both_ways(found.sub_(peak).exp_().mul_(each), tile, memory)
        beside = torch.sub(found, peak, out=memory.beside(tile)).exp_().mul_(each)
        peak, each = _shares(self.columns, tile.columns, weights.columns, 0)
        return found.sub_(peak).exp_().mul_(each).add_(beside)


def _both_ways(slope: Tensor, tile: Tile, memory: Memory) -> Tensor:
    """That of rows which are their own columns, read as rows: a logit is rounded otherwise from its other end."""
    return torch.add(slope, slope.mT, out=memory.beside(tile))


def _shares(known: tuple[Tensor, Tensor], place: slice, weights: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """The peaks, and what each exponential less its peak counts for; a sum has its peak in it, which is 1."""
    total, peak = known[0][place].clamp(min=1), known[1][place]
    return peak.unsqueeze(dim), (weights[place] / total).unsqueeze(dim)


def _log(total: Tensor, peak: Tensor | None = None) -> Tensor:
    found = torch.log(total) if peak is None else torch.log(total) + peak
    return found.masked_fill_(total == 0, 0)
