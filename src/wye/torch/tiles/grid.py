"""How the pairs of rows are cut into tiles, and the memory that tiles are computed in."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

EDGE = 512
"""Rows and columns of a tile: 1 MB in float32, which stays in the cache while it is used."""
KEPT = 4
"""Tiles that are kept between the two times that each is needed; all others are computed twice."""


@dataclass(frozen=True)
class Tile:
    """Some rows against some columns; `diagonal` where they are the same rows, each against itself too."""

    rows: slice
    columns: slice
    diagonal: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


def slices(count: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def tiles(rows: int, columns: int, edge: int = EDGE) -> list[list[Tile]]:
    """Tiles that must all be read before the first of them has a slope: here all of them."""
    high = max(1, min(rows, edge))
    wide = max(1, edge * edge // high)
    return [[Tile(own, other) for own in slices(rows, high) for other in slices(columns, wide)]]


def stripes(rows: int, columns: int, edge: int = EDGE) -> list[list[Tile]]:
    """The same where only rows are summed up: each stripe of whole rows stands for itself.

    A stripe is as high as the tiles that are kept can hold; where that would be too low to be worth it, tiles are
    computed twice.
    """
    high = min(edge, KEPT * edge * edge // max(columns, 1))
    if high < max(1, edge // 8):
        high = edge
    wide = edge * edge // max(high, 1)
    return [[Tile(own, other) for other in slices(columns, wide)] for own in slices(rows, high)]


def triangle(rows: int, edge: int = EDGE) -> list[list[Tile]]:
    """Tiles of rows against themselves, those below the diagonal left out: they are the transposed ones above it."""
    own = slices(rows, edge)
    return [[Tile(first, second, first is second) for place, first in enumerate(own) for second in own[place:]]]


def square(rows: int, edge: int = EDGE) -> list[list[Tile]]:
    """The same with those below the diagonal, each row of tiles for itself."""
    own = slices(rows, edge)
    return [[Tile(first, second, first is second) for second in own] for first in own]


class Memory:
    """Buffers for the tiles that are kept, and one beside them."""

    def __init__(self, groups: list[list[Tile]], kept: int, like: Tensor) -> None:
        largest = max(
            (rows * columns for group in groups for rows, columns in (tile.shape for tile in group)), default=0
        )
        self.kept = min(kept, max(map(len, groups), default=0))
        self._flat = [like.new_empty(largest) for _ in range(self.kept)]
        self._beside = like.new_empty(0)

    def tile(self, tile: Tile, place: int) -> Tensor:
        """Room for a tile; `place` counts the tiles of its group that are still to come."""
        return _shaped(self._flat[min(place, self.kept - 1)], tile)

    def beside(self, tile: Tile) -> Tensor:
        """Room for what is made of a tile."""
        if not len(self._beside):
            self._beside = torch.empty_like(self._flat[0])
        return _shaped(self._beside, tile)


def _shaped(flat: Tensor, tile: Tile) -> Tensor:
    rows, columns = tile.shape
    return flat[: rows * columns].view(rows, columns)
