"""`Repeat`: a block, or the first blocks of a list, that each sample runs as often as it needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from ...errors import FlowError
from ...formula.deciding import NUMBERS, Decides
from ...formula.parting import blocks_of, check_times, wrong_times
from ..front import capturing
from .active import Active
from .captured import WRITTEN_OUT, Looped
from .condition import Condition
from .counts import Count
from .parted import decider
from .values import Value
from .widths import check_widths

COUNTED = 64
"""Up to so many rounds, the depths are counted apart from the start, and in captured graphs."""


class Repeat(Looped):
    """A block that runs `times` times; or a list of blocks, of which the first `times` run.

    Args:
        block_or_blocks: one module, shared by all rounds; or a list of modules of one width.
        times: a number, a formula (one number for each sample, or for the batch), a die such as `die(0, 3)`, or a
            callable; assignable while running.
        per: `sample` or `batch`.
        eval: in eval, the times where dice decide; a die alone shows its highest side by default.
        shared: names of side inputs that are not per sample.
        **parts: what `times` reads, as for `Join`.

    Raises:
        PartError: the blocks of a list differ in width.
        FlowError: `times` is negative, no whole number, or more than there are blocks.

    Example:
        >>> import torch, wye
        >>> net = wye.Repeat(wye.Join("x + 1"), "depth")
        >>> net(torch.zeros(3, 1), depth=torch.tensor([0, 2, 1])).squeeze(1)
        tensor([0., 2., 1.])
    """

    def __init__(
        self,
        block_or_blocks: Any,
        times: Decides,
        *,
        per: str = "sample",
        eval: int | None = None,
        shared: Iterable[str] = (),
        **parts: Any,
    ) -> None:
        super().__init__()
        self._looped = Count()
        stages, self._many = blocks_of(block_or_blocks, (list, tuple, nn.ModuleList))
        self._settle(stages, per, shared, parts)
        self._eval = eval
        check_widths(self, list(stages), "one", "Repeat(...)" if self._many is None else "Repeat([...])")
        self._decide_by(times, "times")
        if isinstance(self._condition.source, NUMBERS):
            self._whole_number(self._condition.source)

    def _check_decider(self, condition: Condition) -> None:
        check_times(condition, self._many, self._eval)
        self._most = condition.die_sides if self._many is None else self._many
        depths = range(0 if self._most is None or self._most > COUNTED else self._most + 1)
        if isinstance(condition.source, NUMBERS):
            depths = [condition.source] if abs(condition.source) < float("inf") else []  # what is none is refused later
        for depth in depths:
            self.paths.setdefault(f"times {int(depth)}", Count(self._looped.device))

    times = decider("times", "How often, to be read and assigned.")

    def _run(self, x: Value, sides: Mapping[str, Any], size: int) -> Value:
        self._checked(sides, size)
        if not capturing() and not size:
            return x
        times = self._asked(x, sides, size)
        if isinstance(times, NUMBERS):
            depth = self._whole_number(times)
            self._count(f"times {depth}", size)
            for place in range(depth):
                x = self._round(place, x, sides, size)
            return x
        active = Active(x, sides, self._per_sample(sides), size)
        if capturing():
            return self._captured(active, times if times.dim() else times.expand(size))
        counts = self._whole_numbers(times)
        for depth, samples in zip(*torch.unique(counts, return_counts=True), strict=True):
            self._count(f"times {int(depth)}", int(samples))
        for place in range(int(counts.max())):
            counts = self._next(place, active, counts)
        return active.result()

    def _next(self, place: int, active: Active, counts: Tensor) -> Tensor:
        """One round; returns the counts of those that made it."""
        mask = counts > place
        active.keep(mask)
        if capturing() or active.size != counts.shape[0]:
            counts = counts[mask]
        active.value = self._round(place, active.value, active.sides, active.size)
        return counts

    def _captured(self, active: Active, times: Tensor) -> Value:
        """Within a capture: rounds of a known number are written out, others become one loop of the graph."""
        counts = times.long()
        most = self._most
        wrong = (counts != times) | (counts < 0) | (counts > (2**31 if most is None else most))
        torch._assert_async(~wrong.any(), f"a block runs a whole number of times, 0 or more: {self._condition.shown}")  # pyright: ignore
        for depth in range(0 if most is None or most > COUNTED else most + 1):
            self._count(f"times {depth}", (counts == depth).sum())
        if most is None or (self._many is None and most > WRITTEN_OUT):
            return self._loop(active, counts, None)[0]
        for place in range(most):
            counts = self._next(place, active, counts)
        return active.result()

    def _left(self, rows: Value, sides: dict[str, Any], left: Tensor) -> Tensor:
        return left - 1

    def _round(self, place: int, x: Value, sides: Mapping[str, Any], size: int) -> Value:
        name = "block" if self._many is None else str(place)
        self._count(name, size)
        return self._branch(name, x, sides, size)

    def _count(self, path: str, samples: Any) -> None:
        if path not in self.paths:
            self.paths[path] = Count(self._looped.device)
        self.paths[path].add(samples)

    def ways_apart(self) -> list[str]:
        return [path for path in self.paths if path.startswith("times")]

    def _whole_number(self, times: Any) -> int:
        most = float("inf") if self._many is None else self._many
        if not 0 <= times <= most or times == float("inf") or times != int(times):
            self._refuse(times)
        return int(times)

    def _refuse(self, times: float) -> NoReturn:
        """Dynamo runs this as it is, and the message comes through."""
        raise self._wrong_times(str(times))

    _refuse._dynamo_marked_constant = True  # type: ignore[attr-defined]

    def _whole_numbers(self, times: Tensor) -> Tensor:
        counts = times.long()
        most = self._many if self._many is not None else 2**31
        wrong = (counts != times) | (counts < 0) | (counts > most)
        if bool(wrong.any()):
            raise self._wrong_times(str(times[wrong][0].item()))
        return counts

    def _wrong_times(self, got: str) -> FlowError:
        return wrong_times(self._condition, self._many, self.line, got)

    def _settled_fall(self, kind: str, bounds: tuple[float, ...]) -> float:
        return bounds[1] if self._condition.bare_die else super()._settled_fall(kind, bounds)

    def extra_repr(self) -> str:
        return self._typed(f"times={self._condition!r}")
