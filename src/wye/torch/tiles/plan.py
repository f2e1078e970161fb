"""What a contrastive loss is made of, and its plain form, which writes all logits out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from .grid import EDGE
from .positives import Positives, Soft
from .sides import inverse_norm

Parts = tuple[Tensor, Tensor | None]
"""A loss for each row, and one for each column where there are such."""
Gradients = tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]
"""Of rows, columns, temperature and bias."""
Wanted = tuple[bool, bool, bool, bool]
"""Of which of these a gradient is wanted."""


@dataclass(frozen=True)
class Plan:
    """A loss of rows x against columns y.

    With logits L = x @ y.T / temperature and weights P of those that belong together, row i has the loss
    m_i logsumexp(L_i) - Σ_j P_ij L_ij, where m_i = Σ_j P_ij; columns the same. With `sigmoid`, and L + bias in place of
    L, row i has Σ_j (softplus(L_ij) - P_ij L_ij).

    Args:
        positives: P.
        both: whether columns have losses too.
        against_itself: whether the columns are the rows; none meets itself.
        sigmoid: whether each pair is a decision of its own.
        normalize: whether rows are divided by their norms.
        rounded: whether products are of numbers rounded to bfloat16.
        over: what the sum of all losses is divided by; None where they are returned one by one.
        edge: rows of a tile.
    """

    positives: Positives
    both: bool = False
    against_itself: bool = False
    sigmoid: bool = False
    normalize: bool = True
    rounded: bool = False
    over: float | Tensor | None = None
    edge: int = EDGE

    def softened(self, dtype: torch.dtype) -> Plan:
        """The same with given weights in the dtype of the rows."""
        assert isinstance(self.positives, Soft)
        return replace(self, positives=Soft(self.positives.target.to(dtype)))


def together(parts: Parts, over: float | Tensor) -> Tensor:
    """The sum of all losses, divided."""
    rows, columns = parts
    total = rows.sum() if columns is None else (rows + columns).sum()  # there are as many of both
    return total / over


def logarithms(logs: Tensor, mass: Tensor | None, alike: Tensor) -> Tensor:
    """The losses of rows, from the logarithms of their sums and from Σ_j P_ij L_ij."""
    if mass is None:
        return logs - alike
    return torch.where(mass == 0, 0, mass * logs) - alike


def plain(plan: Plan, x: Tensor, y: Tensor, temperature: Tensor, bias: Tensor | None) -> Tensor | Parts:
    """The loss with every logit in memory, in differentiable operations."""
    if plan.normalize:
        x, y = x if plan.against_itself else x * inverse_norm(x), y * inverse_norm(y)
    x = (y if plan.against_itself else x) / temperature
    if plan.rounded:
        x, y = _rounded(x), _rounded(y)
    logits = x @ y.mT
    parts = _decisions(plan, logits, bias) if plan.sigmoid else _choices(plan, logits)
    if plan.over is not None:
        return together(parts, plan.over)
    return parts if parts[1] is not None else parts[0]


def _rounded(x: Tensor) -> Tensor:
    return x.to(torch.bfloat16).to(x.dtype)


def _decisions(plan: Plan, logits: Tensor, bias: Tensor | None) -> Parts:
    logits = logits if bias is None else logits + bias
    return F.softplus(logits, threshold=40).sum(1) - plan.positives.picked(logits, 1), None


def _choices(plan: Plan, logits: Tensor) -> Parts:
    alike = plan.positives.picked(logits, 1)
    if plan.against_itself:
        logits = logits.masked_fill(torch.eye(len(logits), dtype=torch.bool, device=logits.device), -math.inf)
    rows = logarithms(_logsumexp(logits, 1, plan.against_itself), plan.positives.rows, alike)
    if not plan.both:
        return rows, None
    alike = plan.positives.picked(logits, 0)
    return rows, logarithms(_logsumexp(logits, 0, False), plan.positives.columns, alike)


def _logsumexp(logits: Tensor, dim: int, but_one: bool) -> Tensor:
    """0 where a row meets nobody."""
    if logits.shape[dim] - but_one < 1:
        return torch.where(logits == -math.inf, 0, logits).sum(dim)
    return torch.logsumexp(logits, dim)
