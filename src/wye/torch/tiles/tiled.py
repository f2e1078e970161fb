"""A contrastive loss of many rows: what is summed up over all pairs, tile by tile, and the gradients."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from . import passes
from .grid import Memory, Tile
from .passes import Sides
from .plan import Gradients, Parts, Plan, Wanted, logarithms, together
from .products import Products
from .sides import scaled
from .sums import Sums, Weights, sums_of


class Tiled:
    """One loss: rows and columns at their scale, what is summed up over all pairs, and the gradients."""

    def __init__(
        self,
        plan: Plan,
        x: Tensor,
        y: Tensor,
        temperature: Tensor,
        bias: Tensor | None,
        wanted: Wanted,
    ) -> None:
        self.plan, self.wanted = plan, wanted
        self.bias = None if bias is None else bias.clone()  # read again in the backward
        self.scale = temperature.reciprocal()
        self.y = scaled(y, plan.normalize, None)
        self.x = self.y.times(self.scale) if plan.against_itself else scaled(x, plan.normalize, self.scale)
        self.products = Products(plan.rounded)
        self.left, self.right = self.products.rows(self.x.rows), self.products.rows(self.y.rows)
        self.sums: Sums | None = None

    def sides(self, wanted: bool) -> Sides:
        of_x, of_y, of_temperature, _ = self.wanted
        sides = (of_x or of_temperature or (self.plan.against_itself and of_y), of_y) if wanted else (False, False)
        return Sides(self.left, self.right, self.plan.against_itself, sides, self.products)

    def bound(self) -> float:
        """What no logit exceeds; infinite where finding out would hold up an accelerator."""
        x, y = self.left, self.right
        if x.device.type != "cpu" or not len(x) or not len(y):
            return torch.inf if len(x) and len(y) else 0.0
        if self.plan.normalize:
            return abs(float(self.scale)) * 1.001
        return float(torch.linalg.vector_norm(x, 2, 1).max() * torch.linalg.vector_norm(y, 2, 1).max())

    def value(self) -> Tensor | Parts:
        """The loss alone."""
        parts = self._parts(self.sides(False), None)
        if self.plan.over is not None:
            return together(parts, self.plan.over)
        return parts if parts[1] is not None else parts[0]

    def _parts(self, sides: Sides, weights: Weights | None) -> Parts:
        plan, positives = self.plan, self.plan.positives
        alike = _along(self.left, positives.of_rows(self.right))
        if plan.sigmoid:
            found = self._decisions(sides, None if weights is None else weights.rows) - alike
            return found if self.bias is None else found - self.bias * self._mass(), None
        columns = len(self.right) if plan.both else None
        self.sums = sums_of(self.left, columns, sides.symmetric, self.bound())
        passes.run(sides, self.sums, weights, plan.both, plan.edge)
        rows, columns_too = self.sums.logs()
        found = logarithms(rows, positives.rows, alike)
        if not plan.both or columns_too is None:
            return found, None
        alike = _along(self.right, positives.of_columns(self.left))
        return found, logarithms(columns_too, positives.columns, alike)

    def _decisions(self, sides: Sides, weights: Tensor | None) -> Tensor:
        """Σ_j softplus(L_ij) of each row."""
        bias = self.left.new_zeros(()) if self.bias is None else self.bias
        on_processor = bias.device.type == "cpu"
        entry = _bounded if on_processor and self.bound() + abs(float(bias)) <= _FAR[bias.dtype] else _anywhere
        total, self.of_bias = passes.each(sides, bias, entry, weights, self.wanted[3], self.plan.edge)
        return total

    def _mass(self) -> Tensor | int:
        """Σ_j P_ij of each row."""
        mass = self.plan.positives.rows
        return 1 if mass is None else mass

    def weights(self, rows: Tensor | None, columns: Tensor | None) -> tuple[Weights, Weights]:
        """What each loss counts for, 1 where nothing is given, and what the logarithm in it counts for."""
        positives, both = self.plan.positives, self.plan.both
        if rows is None:
            rows = self.left.new_ones(len(self.left))
            columns = self.right.new_ones(len(self.right)) if both else None
        inner = rows if self.plan.sigmoid or positives.rows is None else rows * positives.rows
        if self.plan.against_itself:
            return Weights(rows), Weights(inner, None if self.plan.rounded else inner)
        if columns is None or positives.columns is None:
            return Weights(rows, columns), Weights(inner, columns)
        return Weights(rows, columns), Weights(inner, columns * positives.columns)

    def gradients(self, sides: Sides, weights: Weights) -> Gradients:
        """Of x, y, temperature and bias, once all tiles have been gathered; `weights` are those of whole losses."""
        of_x, of_y = sides.gradients()
        self._less_positives(of_x, of_y, weights)
        wanted_x, wanted_y, wanted_temperature, wanted_bias = self.wanted
        total, halves = None, 2 if self.plan.against_itself else 1  # there each logit is met from both of its ends
        if of_x is not None:
            of_x, total = self.x.back(of_x)
        if self.plan.against_itself:
            of_x, of_y = None, of_x
        elif of_y is not None:
            of_y, _ = self.y.back(of_y)
        of_temperature = -total * self.scale / halves if wanted_temperature and total is not None else None
        of_bias = None
        if wanted_bias:
            of_bias = self.of_bias - (weights.rows * self._mass()).sum()
        return of_x if wanted_x else None, of_y if wanted_y else None, of_temperature, of_bias

    def _less_positives(self, of_x: Tensor | None, of_y: Tensor | None, weights: Weights) -> None:
        positives, rows = self.plan.positives, weights.rows.unsqueeze(1)
        x, y = self.left, self.right
        if self.plan.against_itself:
            if of_x is not None:
                of_x.addcmul_(rows, positives.of_rows(y), value=-1).sub_(positives.of_columns(rows * y))
            return
        columns = None if weights.columns is None else weights.columns.unsqueeze(1)
        if of_x is not None:
            of_x.addcmul_(rows, positives.of_rows(y), value=-1)
            if columns is not None:
                of_x.sub_(positives.of_rows(columns * y))
        if of_y is not None:
            of_y.sub_(positives.of_columns(rows * x))
            if columns is not None:
                of_y.addcmul_(columns, positives.of_columns(x), value=-1)

    def formed(self) -> tuple[Tensor, Gradients]:
        """The sum of all losses; and its gradients, not divided yet."""
        whole, inner = self.weights(None, None)
        sides = self.sides(True)
        parts = self._parts(sides, inner)
        assert self.plan.over is not None
        return together(parts, self.plan.over), self.gradients(sides, whole)

    def later(self, rows: Tensor, columns: Tensor | None) -> Gradients:
        """The gradients, after `value`, where each loss counts as much as is given."""
        whole, inner = self.weights(rows, columns)
        sides = self.sides(True)
        if self.plan.sigmoid:
            self._decisions(sides, inner.rows)
        else:
            assert self.sums is not None
            passes.slopes(sides, self.sums, inner, self.plan.both, self.plan.edge)
        return self.gradients(sides, whole)


def _along(x: Tensor, y: Tensor) -> Tensor:
    return (x * y).sum(1)


_FAR = {torch.float32: 40.0, torch.float64: 300.0}
"""Logits up to which powers of e can be multiplied with one another once."""


def _bounded(logits: Tensor, memory: Memory, tile: Tile, wanted: bool) -> tuple[Tensor, Tensor | None]:
    """log(1 + e^l) summed up and 1 / (1 + e^-l), from one exponential."""
    power = logits.exp_()
    half = power.shape[1] // 2
    beside = memory.beside(tile)
    if half:  # log(1 + p) + log(1 + q) = log(1 + (p + q + pq)): half as many logarithms, and as exact
        left, right = power[:, :half], power[:, half : 2 * half]
        both = torch.addcmul(left, left, right, out=beside.view(-1)[: left.numel()].view(left.shape)).add_(right)
        total = both.log1p_().sum(1)
    else:
        total = power.new_zeros(len(power))
    if power.shape[1] % 2:
        total += power[:, -1].log1p()
    return total, power.div_(torch.add(power, 1, out=beside)) if wanted else None


def _anywhere(logits: Tensor, memory: Memory, tile: Tile, wanted: bool) -> tuple[Tensor, Tensor | None]:
    """The same for logits of any size."""
    total = F.softplus(logits, threshold=40).sum(1)
    return total, logits.sigmoid_() if wanted else None
