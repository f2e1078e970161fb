"""The passes over all tiles: what each loss sums up, and the gradients of both sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from . import grid
from .grid import Memory, Tile
from .products import Products
from .sums import Sums, Weights


@dataclass
class Sides:
    """Rows and columns, ready to be multiplied, and what gathers of their gradients.

    Args:
        x: the rows, (N, d), in the scale of the logits.
        y: the columns, (M, d).
        against_itself: whether `y` holds the rows of `x` at another scale; both gradients are gathered as one then,
            that of the logits in the rows of `y`.
        wanted: of which sides a gradient is wanted.
        products: how matrices are multiplied.
    """

    x: Tensor
    y: Tensor
    against_itself: bool
    wanted: tuple[bool, bool]
    products: Products

    def __post_init__(self) -> None:
        self._x, self._y = self.products.ready(self.x), self.products.ready(self.y)
        shape = self.x.shape[1]
        self._of_x = self.x.new_zeros(len(self.x), shape) if self.wanted[0] else None
        # Gathered transposed: a product whose left side is transposed is the slower one.
        self._of_y = self.y.new_zeros(shape, len(self.y)) if self.wanted[1] and not self.against_itself else None

    @property
    def symmetric(self) -> bool:
        """Whether logits are the same both ways; rounded ones are not."""
        return self.against_itself and not self.products.rounded

    def logits(self, tile: Tile, out: Tensor, unit: float = 1.0) -> Tensor:
        return self.products.multiply(self._x[tile.rows], self._y[tile.columns], out, unit)

    def gather(self, tile: Tile, slope: Tensor) -> None:
        """Adds what the slopes of a tile's logits make of the gradients."""
        if self._of_x is not None:
            self.products.add(self._of_x[tile.rows], slope, self._y[tile.columns])
        if self.against_itself and self._of_x is not None and not (self.symmetric and tile.diagonal):
            self.products.add(self._of_x[tile.columns], slope.mT, self._y[tile.rows])
        if self._of_y is not None:
            self.products.add(self._of_y[:, tile.columns], self._x[tile.rows].mT, slope)

    def gradients(self) -> tuple[Tensor | None, Tensor | None]:
        """Of the logits: slopes @ y, and slopes.T @ x."""
        of_y, self._of_y = self._of_y, None
        return self._of_x, None if of_y is None else of_y.mT.contiguous()


def groups(sides: Sides, both: bool, edge: int) -> list[list[Tile]]:
    """The tiles, in groups of which all are read before any has a slope."""
    if sides.against_itself:
        return (grid.triangle if sides.symmetric else grid.square)(len(sides.x), edge)
    return (grid.tiles if both else grid.stripes)(len(sides.x), len(sides.y), edge)


def run(sides: Sides, sums: Sums, weights: Weights | None, both: bool, edge: int = grid.EDGE) -> None:
    """Reads all tiles into `sums`; where weights are given, gathers the gradients of the weighted logarithms too."""
    cut = groups(sides, both, edge)
    fits = max(map(len, cut), default=0) <= grid.KEPT  # to keep a few of many would cost more than it saves
    memory = Memory(cut, grid.KEPT if fits and weights is not None else 1, sides.x)
    for group in cut:
        found = torch.empty(0)
        last = len(group) - 1
        for place, tile in enumerate(group):
            found = sides.logits(tile, memory.tile(tile, last - place), sums.unit)
            sums.read(found, tile, memory)
        if weights is not None:
            for place, tile in enumerate(reversed(group)):
                found = memory.tile(tile, 0 if place >= memory.kept else place)
                if place >= memory.kept:
                    sums.again(sides.logits(tile, found, sums.unit), tile)
                sides.gather(tile, sums.slope(tile, found, weights, memory))


def slopes(sides: Sides, sums: Sums, weights: Weights, both: bool, edge: int = grid.EDGE) -> None:
    """Gathers the gradients once all tiles have been read."""
    cut = groups(sides, both, edge)
    memory = Memory(cut, 1, sides.x)
    for tile in (tile for group in cut for tile in group):
        found = sides.logits(tile, memory.tile(tile, 0), sums.unit)
        sums.again(found, tile)
        sides.gather(tile, sums.slope(tile, found, weights, memory))


Entry = Callable[[Tensor, Memory, Tile, bool], tuple[Tensor, Tensor | None]]


def each(
    sides: Sides, bias: Tensor, entry: Entry, weights: Tensor | None, shifted: bool, edge: int = grid.EDGE
) -> tuple[Tensor, Tensor]:
    """Sums along rows of a function of each logit, and the sum of its slopes; gathers the gradients.

    Args:
        sides: rows and columns.
        bias: what each logit is shifted by.
        entry: from logits to the sums of their values along rows, and their slopes where they are asked for.
        weights: what each row counts for; None where no gradient is wanted.
        shifted: whether the sum of the slopes is wanted.
        edge: of a tile.
    """
    cut = grid.tiles(len(sides.x), len(sides.y), edge)
    memory, total, of_bias = Memory(cut, 1, sides.x), sides.x.new_zeros(len(sides.x)), sides.x.new_zeros(())
    for tile in cut[0]:
        logits = sides.logits(tile, memory.tile(tile, 0)).add_(bias)
        found, slope = entry(logits, memory, tile, weights is not None)
        total[tile.rows] += found
        if weights is not None and slope is not None:
            slope.mul_(weights[tile.rows].unsqueeze(1))
            of_bias += slope.sum() if shifted else 0
            sides.gather(tile, slope)
    return total, of_bias
