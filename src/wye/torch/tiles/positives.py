"""Which rows belong together: by place, by an equal label, or as softly as a matrix of weights says.

Their part of a loss is linear in the logits, so it needs no tiles: the rows that belong to a row are summed up first.
"""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor


class Positives(Protocol):
    """A matrix P of weights, rows by columns, that is never written out."""

    @property
    def rows(self) -> Tensor | None:
        """The sums of the rows of P, where they are not all 1."""
        ...

    @property
    def columns(self) -> Tensor | None: ...

    def of_rows(self, y: Tensor) -> Tensor:
        """P @ y."""
        ...

    def of_columns(self, x: Tensor) -> Tensor:
        """P.T @ x."""
        ...


class ByPlace:
    """Row i belongs to column i; columns behind the last row belong to nobody."""

    rows = None

    def __init__(self, rows: int, columns: int) -> None:
        self._rows, self._spare = rows, columns - rows

    @property
    def columns(self) -> Tensor | None:
        return None  # asked for only where there are as many columns as rows

    def of_rows(self, y: Tensor) -> Tensor:
        return y[: self._rows] if self._spare else y

    def of_columns(self, x: Tensor) -> Tensor:
        return torch.cat([x, x.new_zeros(self._spare, x.shape[1])]) if self._spare else x


class Halves:
    """Row i and row i + N of 2N belong together."""

    rows = columns = None

    def of_rows(self, y: Tensor) -> Tensor:
        return y.roll(len(y) // 2, 0)

    of_columns = of_rows


class ByLabel:
    """Rows and columns of an equal label belong together; each row's weights are equal and sum to 1.

    Args:
        label: whole numbers, one for each row.
        other: those of the columns; None where they are the same.
        itself: whether a row belongs to the column of its own place.
        each: whether each weight is 1, whatever the sum.
    """

    def __init__(self, label: Tensor, other: Tensor | None = None, itself: bool = True, each: bool = False) -> None:
        known = label if other is None else torch.cat([label, other])
        found, place = torch.unique(known, return_inverse=True)
        self._own, self._other = (place, place) if other is None else (place[: len(label)], place[len(label) :])
        self._itself, self._each, self._groups = itself, each, len(found)

    @cached_property
    def count(self) -> Tensor:
        """How many columns belong to each row."""
        return torch.bincount(self._other, minlength=self._groups)[self._own] - (0 if self._itself else 1)

    @property
    def rows(self) -> Tensor:
        return self.count if self._each else (self.count > 0).to(torch.get_default_dtype())

    @property
    def columns(self) -> Tensor:
        return self.rows  # asked for only where both have the same labels

    def _weighted(self, x: Tensor) -> Tensor:
        return x if self._each else x / self.count.clamp(min=1).unsqueeze(1).to(x.dtype)

    def _summed(self, x: Tensor, into: Tensor, back: Tensor) -> Tensor:
        sums = x.new_zeros(self._groups, x.shape[1]).index_add(0, into, x)[back]
        return sums if self._itself else sums - x

    def of_rows(self, y: Tensor) -> Tensor:
        return self._weighted(self._summed(y, self._other, self._own))

    def of_columns(self, x: Tensor) -> Tensor:
        return self._summed(self._weighted(x), self._own, self._other)


class Soft:
    """Weights as they are given."""

    def __init__(self, target: Tensor) -> None:
        self.target = target

    @property
    def rows(self) -> Tensor:
        return self.target.sum(1)

    @property
    def columns(self) -> Tensor:
        return self.target.sum(0)

    def of_rows(self, y: Tensor) -> Tensor:
        return self.target @ y

    def of_columns(self, x: Tensor) -> Tensor:
        return self.target.mT @ x
