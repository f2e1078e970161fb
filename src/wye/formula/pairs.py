"""Two factors as matrices; and three or more, of which the order to meet in is chosen once for each set of sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .contraction import PairPlan, plan_pair, smallest_pair
from .graph import REST, Axes

Tensor = Any
Step = tuple[int, int, Axes]

TYPICAL = 64
"""What a size counts as that is not known before the run."""


@dataclass(frozen=True)
class PairRecipe:
    """How two factors become two stacks of matrices, and what scales their product."""

    left: tuple[Axes, Axes]
    right: tuple[Axes, Axes]
    counts: tuple[int, int, int, int]  # axes that are batch, left, right, lost
    mean: bool
    inverses: tuple[bool, ...]

    @property
    def has_rest(self) -> bool:
        """Whether some of its axes are `...`, of which there may be any number."""
        return REST in self.left[1] or REST in self.right[1]

    def counted(self, left: int, right: int) -> tuple[int, int, int, int]:
        """The counts for factors of these ranks, each `...` counted as the axes that it stands for."""
        batch, ours, theirs, lost = self.counts
        for axes, rank in ((self.left[1], left), (self.right[1], right)):
            if REST in axes[:batch]:
                return batch + rank - len(axes), ours, theirs, lost
        if REST in self.left[1]:
            ours += left - len(self.left[1])
        if REST in self.right[1]:
            theirs += right - len(self.right[1])
        return batch, ours, theirs, lost


def pair_recipe(plan: PairPlan, left: Axes, right: Axes, mean: bool, inverses: tuple[bool, ...]) -> PairRecipe:
    """The recipe of a plan, for factors whose axes lie in these orders."""
    counts = (len(plan.batch), len(plan.left), len(plan.right), len(plan.lost))
    ours, theirs = (*plan.batch, *plan.left, *plan.lost), (*plan.batch, *plan.right, *plan.lost)
    return PairRecipe((left, ours), (right, theirs), counts, mean, inverses)


class Contraction:
    """`sum` or `mean` of a product over the axes `lost`.

    Args:
        kernels: the front's `multiply`, `pair`, `permute`, `insert`, `reduce_sum` and `reduce_mean`.
        capturing: whether a framework is capturing a graph; nothing is kept then.
        axes: the axes of each factor.
        lost: the axes that are summed.
        kept: the axes of the result, in its order.
        mean: whether each sum is divided by the number of its entries.
    """

    def __init__(
        self,
        kernels: Mapping[str, Any],
        capturing: Callable[[], bool],
        axes: Sequence[Axes],
        lost: Axes,
        kept: Axes,
        mean: bool,
    ) -> None:
        self.kernels, self.capturing = kernels, capturing
        self.axes, self.lost, self.kept, self.mean = axes, lost, kept, mean
        self.plans: dict[object, list[Step]] = {}

    def __call__(self, *factors: Tensor) -> Tensor:
        waiting = list(zip(factors, self.axes, strict=True))
        for first, second, lost in self.plan(factors):
            right, left = waiting.pop(second), waiting.pop(first)
            waiting.append(self.meet(left, right, lost))
        value, own = waiting[0]
        order = tuple(own.index(name) for name in self.kept)
        return value if order == tuple(range(len(own))) else self.kernels["permute"](value, order)

    def plan(self, factors: Sequence[Tensor]) -> list[Step]:
        """Which two factors meet, step by step, and what they lose; the result goes to the end of the row."""
        if self.capturing():
            return self.planned([factor.shape for factor in factors])
        key = tuple([factor.shape for factor in factors])
        if key not in self.plans:
            self.plans[key] = self.planned([factor.shape for factor in factors])
        return self.plans[key]

    def planned(self, shapes: Sequence[Sequence[int | None]]) -> list[Step]:
        sizes = {
            name: TYPICAL if size is None else size
            for own, shape in zip(self.axes, shapes, strict=True)
            for name, size in zip(own, shape, strict=True)
        }
        rows, steps = list(self.axes), list[Step]()
        while len(rows) > 1:
            first, second = smallest_pair(rows, self.lost, sizes)
            right, left = rows.pop(second), rows.pop(first)
            elsewhere = {name for own in rows for name in own}
            lost = tuple(name for name in dict.fromkeys((*left, *right)) if name in self.lost and name not in elsewhere)
            steps.append((first, second, lost))
            rows.append(self.result(left, right, lost))
        return steps

    @staticmethod
    def result(left: Axes, right: Axes, lost: Axes) -> Axes:
        plan = plan_pair(left, right, lost)
        return plan.result if plan else tuple(name for name in dict.fromkeys((*left, *right)) if name not in lost)

    def meet(self, left: tuple[Tensor, Axes], right: tuple[Tensor, Axes], lost: Axes) -> tuple[Tensor, Axes]:
        """Two factors met: a matrix product, or multiplied and summed."""
        plan = plan_pair(left[1], right[1], lost)
        if plan is not None:
            recipe = pair_recipe(plan, left[1], right[1], self.mean, ())
            return self.kernels["pair"](recipe, left[0], right[0]), plan.result
        axes = tuple(dict.fromkeys((*left[1], *right[1])))
        value = self.kernels["multiply"](self.laid(*left, axes), self.laid(*right, axes))
        dims = tuple(axes.index(name) for name in lost)
        kept = tuple(name for name in axes if name not in lost)
        if not dims:
            return value, kept
        name = f"reduce_{'mean' if self.mean else 'sum'}"
        return self.kernels[name](value, dims), kept

    def laid(self, value: Tensor, own: Axes, axes: Axes) -> Tensor:
        order = tuple(own.index(name) for name in axes if name in own)
        if order != tuple(range(len(own))):
            value = self.kernels["permute"](value, order)
        for place, name in enumerate(axes):
            if name not in own:
                value = self.kernels["insert"](value, place)
        return value
