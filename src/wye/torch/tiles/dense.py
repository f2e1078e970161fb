"""A contrastive loss of few rows: all logits at once, the gradient written out by hand.

At this size calls cost more than numbers, and autograd would call twice as often.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .plan import Gradients, Parts, Plan, Wanted, together
from .positives import FEW
from .products import Products
from .sides import scaled

NEVER = -1e30
"""A logit that no row chooses; finite, for what does not belong together weighs 0, and 0 times it is 0."""


def fits(plan: Plan, x: Tensor, y: Tensor) -> bool:
    """Whether there are few rows, and each has another one to meet."""
    rows, columns = x.shape[0], y.shape[0]
    return min(rows, columns) > 1 and rows * columns <= min(FEW, plan.edge**2)


class Dense:
    """One loss: its logits, or the logarithms of their softmax, and its gradients."""

    def __init__(
        self, plan: Plan, x: Tensor, y: Tensor, temperature: Tensor, bias: Tensor | None, wanted: Wanted
    ) -> None:
        self.plan, self.bias, self.wanted = plan, bias, wanted
        self.scale = temperature.reciprocal()
        self.y = scaled(y, plan.normalize, None)
        self.rounded = Products(plan.rounded).rows
        self.afterwards = plan.against_itself and not plan.rounded  # whether logits are scaled, not rows
        if self.afterwards:
            self.x, self.left, self.right = self.y, self.y.rows, self.y.rows
            self.logits = torch.mm(self.left, self.right.mT).mul_(self.scale)
        else:
            self.x = self.y.times(self.scale) if plan.against_itself else scaled(x, plan.normalize, self.scale)
            self.left, self.right = self.rounded(self.x.rows), self.rounded(self.y.rows)
            self.logits = torch.mm(self.left, self.right.mT)

    def value(self) -> Tensor | Parts:
        over = self.plan.over
        if self.plan.sigmoid:
            rows, _ = parts = self._decisions()
            return rows if over is None else together(parts, over)
        self._choose()
        return self._choices() if over is None else self._chosen() / -over

    def _decisions(self) -> Parts:
        if self.bias is not None:
            self.logits.add_(self.bias)
        return F.softplus(self.logits, threshold=40).sum(1) - self.plan.positives.picked(self.logits, 1), None

    def _choose(self) -> None:
        if self.plan.against_itself:
            self.logits.fill_diagonal_(NEVER)
        self.logs = torch.log_softmax(self.logits, 1)
        if self.plan.both:
            self.down = torch.log_softmax(self.logits, 0)

    def _choices(self) -> Tensor | Parts:
        positives = self.plan.positives
        rows = positives.picked(self.logs, 1).neg()
        return (rows, positives.picked(self.down, 0).neg()) if self.plan.both else rows

    def _chosen(self) -> Tensor:
        """Less the sum of all losses, in fewer calls than one by one."""
        positives = self.plan.positives
        rows = positives.total(self.logs, 1)
        return rows + positives.total(self.down, 0) if self.plan.both else rows

    def formed(self) -> tuple[Tensor, Gradients]:
        """The sum of all losses; and its gradients, not divided yet."""
        found = self.value()
        assert isinstance(found, Tensor)
        return found, self.later(None, None)

    def later(self, rows: Tensor | None, columns: Tensor | None) -> Gradients:
        """The gradients, after `value`: each loss counts as much as is given, or for 1."""
        slope = self._slope(rows, columns)
        wanted_x, wanted_y, wanted_temperature, wanted_bias = self.wanted
        of_bias = slope.sum() if wanted_bias else None
        slope = self.rounded(slope)
        of_x = of_y = total = None
        halves = -1
        if self.plan.against_itself:
            both = slope + slope.mT  # each logit is met from both of its ends
            of_y, total = self.x.back(torch.mm(both.mul_(self.scale) if self.afterwards else both, self.right))
            halves = -2
        else:
            if wanted_x or wanted_temperature:
                of_x, total = self.x.back(torch.mm(slope, self.right))
            if wanted_y:
                of_y, _ = self.y.back(torch.mm(slope.mT, self.left))
        of_temperature = total * self.scale / halves if wanted_temperature and total is not None else None
        return of_x if wanted_x else None, of_y if wanted_y else None, of_temperature, of_bias

    def _slope(self, rows: Tensor | None, columns: Tensor | None) -> Tensor:
        """That of the losses in each logit."""
        plan = self.plan
        if plan.sigmoid:
            slope = self.logits.sigmoid()
            if rows is not None:
                slope.mul_(rows.unsqueeze(1))
            return plan.positives.less(slope, rows, 1)
        slope = _counted(self.logs.exp(), rows, plan.positives.rows, 1)
        if plan.both:
            slope.add_(_counted(self.down.exp(), columns, plan.positives.columns, 0))
            slope = plan.positives.less(slope, columns, 0)
        return plan.positives.less(slope, rows, 1)


def _counted(slope: Tensor, weights: Tensor | None, mass: Tensor | None, dim: int) -> Tensor:
    for factor in (weights, mass):
        if factor is not None:
            slope.mul_(factor.to(slope.dtype).unsqueeze(dim))
    return slope
