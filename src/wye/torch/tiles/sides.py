"""Rows divided by their norms and by the temperature, and back from there to the rows that were given."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LARGE = 2**18
"""Numbers from which one more copy of the rows counts."""


def inverse_norm(x: Tensor) -> Tensor:
    """1 / norm of each row, (N, 1); 0 for rows of zeros, whose gradient is 0 then as well."""
    norm = torch.linalg.vector_norm(x, 2, 1, True)
    if torch.is_grad_enabled():
        return norm.masked_fill(norm == 0, math.inf).reciprocal()
    return norm.reciprocal_().nan_to_num_(math.nan, 0.0)


def along_rows(x: Tensor, y: Tensor) -> Tensor:
    """The sum of x * y along each row, (N, 1); of many rows without their product in memory."""
    if x.numel() < LARGE:
        return (x * y).sum(1, keepdim=True)
    return torch.bmm(x.unsqueeze(1), y.unsqueeze(2)).squeeze(2)


@dataclass
class Scaled:
    """Rows as they enter the logits.

    Args:
        rows: the rows given, times `factor`.
        factor: (N, 1) or without axes; None for 1.
        unit: whether the factor divides by the norm.
        scale: what unit rows are multiplied by, as a tensor without axes; None for 1.
    """

    rows: Tensor
    factor: Tensor | None
    unit: bool
    scale: Tensor | None

    def times(self, scale: Tensor) -> Scaled:
        """The same rows, times a scale."""
        return Scaled(self.rows * scale, scale if self.factor is None else self.factor * scale, self.unit, scale)

    def back(self, slope: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient in the rows given, into the memory of `slope`; and the sum of rows times slope."""
        along = along_rows(self.rows, slope)
        total = along.sum()
        if self.unit:
            if self.scale is not None:
                along.div_(self.scale * self.scale)
            slope.addcmul_(self.rows, along, value=-1)
        if self.factor is not None:
            slope.mul_(self.factor)
        return slope, total


def scaled(x: Tensor, normalize: bool, scale: Tensor | None) -> Scaled:
    """x times the scale, divided by the norms of its rows where that is asked for."""
    factor = inverse_norm(x) if normalize else None
    if scale is not None:
        factor = scale if factor is None else factor * scale
    return Scaled(x if factor is None else x * factor, factor, normalize, scale)
