"""Which rows belong together: by place, by an equal label, or as softly as a matrix of weights says.

Their part of a loss is linear in the logits, so it needs no tiles: the rows that belong to a row are summed up first.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from ..large import is_transformed

FEW = 2**17
"""Pairs of rows up to which comparing all of them is faster than sorting labels."""


class Positives(Protocol):
    """A matrix P of weights, rows by columns, that is never written out."""

    @property
    def rows(self) -> Tensor | None:
        """The sums of the rows of P, where they are not all 1; whole numbers and truth values too."""
        ...

    @property
    def columns(self) -> Tensor | None: ...

    def of_rows(self, y: Tensor) -> Tensor:
        """P @ y."""
        ...

    def of_columns(self, x: Tensor) -> Tensor:
        """P.T @ x."""
        ...

    def picked(self, values: Tensor, dim: int) -> Tensor:
        """The sums of P * values along rows (1) or columns (0)."""
        ...

    def total(self, values: Tensor, dim: int) -> Tensor:
        """The sum of them all, of values that lie by rows."""
        ...

    def less(self, values: Tensor, weights: Tensor | None, dim: int) -> Tensor:
        """P, each row (1) or column (0) of it weighted, is taken off the values where they are."""
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

    def picked(self, values: Tensor, dim: int) -> Tensor:
        return values.diagonal()

    def total(self, values: Tensor, dim: int) -> Tensor:
        return values.trace()

    def less(self, values: Tensor, weights: Tensor | None, dim: int) -> Tensor:
        values.diagonal().sub_(1 if weights is None else weights)
        return values


class Halves:
    """Row i and row i + N of 2N belong together."""

    rows = columns = None

    def of_rows(self, y: Tensor) -> Tensor:
        return y.roll(y.shape[0] // 2, 0)

    def of_columns(self, x: Tensor) -> Tensor:
        return self.of_rows(x)

    def picked(self, values: Tensor, dim: int) -> Tensor:
        half = values.shape[0] // 2
        return torch.cat([values.diagonal(half), values.diagonal(-half)])

    def total(self, values: Tensor, dim: int) -> Tensor:
        return self._both(values).sum()

    def _both(self, values: Tensor) -> Tensor:
        """The entries of all rows, in their order, halves apart."""
        half = values.shape[0] // 2
        return values.as_strided((2, half), (half * (2 * half - 1), 2 * half + 1), half)

    def less(self, values: Tensor, weights: Tensor | None, dim: int) -> Tensor:
        both = self._both(values)
        both.sub_(1 if weights is None else weights.view(both.shape))
        return values


class Written:
    """What a matrix that is written out makes of values of its size."""

    def matrix(self, like: Tensor) -> Tensor:
        """P, in the dtype of the values."""
        raise NotImplementedError

    def picked(self, values: Tensor, dim: int) -> Tensor:
        return (self.matrix(values) * values).sum(dim)

    def total(self, values: Tensor, dim: int) -> Tensor:
        return self.picked(values, dim).sum()

    def less(self, values: Tensor, weights: Tensor | None, dim: int) -> Tensor:
        weight = self.matrix(values)
        return values.sub_(weight if weights is None else weight * weights.unsqueeze(dim))


class ByLabel(Written):
    """Rows and columns of an equal label belong together; each row's weights are equal and sum to 1.

    Args:
        label: whole numbers, one for each row.
        other: those of the columns; None where they are the same.
        itself: whether a row belongs to the column of its own place.
        each: whether each weight is 1, whatever the sum.
    """

    def __init__(self, label: Tensor, other: Tensor | None = None, itself: bool = True, each: bool = False) -> None:
        self._label, self._other, self._itself, self._each = label, other, itself, each
        self._written: Tensor | None = None
        self._grouped: tuple[Tensor, Tensor, int] | None = None
        self._counted: Tensor | None = None

    def _places(self) -> tuple[Tensor, Tensor, int]:
        """Which group each row, and each column, is in; and how many groups there are."""
        if self._grouped is None:
            known = self._label if self._other is None else torch.cat([self._label, self._other])
            found, place = torch.unique(known, return_inverse=True)
            rows = len(self._label)
            other = place if self._other is None else place[rows:]
            self._grouped = place[:rows], other, len(found)
        return self._grouped

    def _alike(self) -> Tensor:
        """Which are of one label."""
        found = self._label.unsqueeze(1) == (self._label if self._other is None else self._other)
        if not self._itself:
            found.diagonal().fill_(False)  # fill_diagonal_ has no rule for vmap
        return found

    @property
    def count(self) -> Tensor:
        """How many columns belong to each row."""
        if self._counted is None:
            self._counted = self._count()
        return self._counted

    def _count(self) -> Tensor:
        columns = self._label if self._other is None else self._other
        if torch.compiler.is_compiling() or is_transformed() or len(self._label) * len(columns) <= FEW:
            return self._alike().sum(1)
        own, other, groups = self._places()
        return torch.bincount(other, minlength=groups)[own] - (0 if self._itself else 1)

    @property
    def rows(self) -> Tensor | None:
        if self._each:
            return self.count
        return None if self._itself and self._other is None else self.count > 0

    @property
    def columns(self) -> Tensor | None:
        return self.rows  # asked for only where both have the same labels

    def matrix(self, like: Tensor) -> Tensor:
        if self._written is None:
            self._written = self._weighted(self._alike().to(like.dtype))
        return self._written

    def _weighted(self, x: Tensor) -> Tensor:
        return x if self._each else x / self.count.clamp(min=1).unsqueeze(1).to(x.dtype)

    def _summed(self, x: Tensor, into: Tensor, back: Tensor) -> Tensor:
        sums = x.new_zeros(self._places()[2], x.shape[1]).index_add(0, into, x)[back]
        return sums if self._itself else sums - x

    def of_rows(self, y: Tensor) -> Tensor:
        own, other, _ = self._places()
        return self._weighted(self._summed(y, other, own))

    def of_columns(self, x: Tensor) -> Tensor:
        own, other, _ = self._places()
        return self._summed(self._weighted(x), own, other)


class Soft(Written):
    """Weights as they are given."""

    def __init__(self, target: Tensor) -> None:
        self.target = target

    @property
    def rows(self) -> Tensor:
        return self.target.sum(1)

    @property
    def columns(self) -> Tensor:
        return self.target.sum(0)

    def matrix(self, like: Tensor) -> Tensor:
        return self.target

    def of_rows(self, y: Tensor) -> Tensor:
        return self.target @ y

    def of_columns(self, x: Tensor) -> Tensor:
        return self.target.mT @ x
