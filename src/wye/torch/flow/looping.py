"""`While`: a block that each sample runs for as long as its condition holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from ...formula.deciding import Decides
from ...formula.parting import check_loop, check_no_dice, endless
from ..front import capturing
from .active import Active
from .captured import WRITTEN_OUT, Looped
from .condition import Condition
from .counts import Count
from .parted import decider, truths
from .refusal import refuse
from .values import Value
from .widths import check_widths


class While(Looped):
    """A block that each sample runs for as long as its condition holds.

    x <- block(x) while condition(x), at most `max_steps` times. A sample that never enters passes unchanged, with
    gradient one.

    Args:
        condition: as for `When`.
        block: the block; it keeps the shape.
        max_steps: the most rounds; not optional.
        per: `sample` or `batch`.
        on_limit: what becomes of samples whose condition still holds then: `stop` and count them, or `error`.
        shared: names of side inputs that are not per sample.
        **parts: what the condition reads, as for `Join`.

    Raises:
        FlowError: with `on_limit="error"`, samples were not done after `max_steps`.

    Example:
        >>> import torch, wye
        >>> net = wye.While("norm(x) < 10", wye.Join("2 * x"), max_steps=20)
        >>> net(torch.tensor([[1.0], [30.0], [4.0]])).squeeze(1)
        tensor([16., 30., 16.])
        >>> net.paths["passed"].samples
        1
    """

    def __init__(
        self,
        condition: Decides,
        block: Any,
        *,
        max_steps: int,
        per: str = "sample",
        on_limit: str = "stop",
        shared: Iterable[str] = (),
        **parts: Any,
    ) -> None:
        super().__init__()
        check_loop(max_steps, on_limit)
        self._looped = Count()
        self._settle({"block": block}, per, shared, parts)
        check_widths(self, ["block"], "one", "While(...)")
        self.max_steps, self.on_limit = max_steps, on_limit
        self.paths |= {"passed": Count(), "stopped": Count()}
        self._decide_by(condition, "condition")

    condition = decider("condition", "What decides, to be read and assigned.")

    def _check_decider(self, condition: Condition) -> None:
        check_no_dice(condition)

    def _run(self, x: Value, sides: Mapping[str, Any], size: int) -> Value:
        self._checked(sides, size)
        if not capturing() and not size:
            return x
        active = Active(x, sides, self._per_sample(sides), size)
        if capturing() and self.max_steps > WRITTEN_OUT:
            return self._captured(active)
        for step in range(self.max_steps):
            going = self._part(active)
            if step == 0 and (capturing() or going < size):
                self.paths["passed"].add(size - going)
            if not capturing() and not going:
                return active.result()
            self.paths["block"].add(going)
            active.value = self._branch("block", active.value, active.sides, going)
        self._limit(self._going(active), size)
        return active.result()

    def _going(self, active: Active) -> Any:
        """For which samples the condition holds; a plain truth decides for all."""
        going = self._asked(active.value, active.sides, active.size)
        if not isinstance(going, Tensor):
            return bool(going)
        return truths(going, active.size)

    def _part(self, active: Active) -> int:
        """Lets the samples go for which the condition does not hold; how many go on."""
        going = self._going(active)
        if not isinstance(going, Tensor):
            return active.size if going else 0
        active.keep(going)
        return active.size

    def _captured(self, active: Active) -> Value:
        """Within a capture, more rounds than one writes out: a loop of the graph."""
        size, first = active.size, self._going(active)
        if not isinstance(first, Tensor):
            got, fix = f"one value for all {self.max_steps} steps", "let it read the value that flows"
            refuse("the condition never changes.", self.line, got, fix)
        value, going = self._loop(active, first, self.max_steps)
        self._limit(going, size)
        return value

    def _left(self, rows: Value, sides: dict[str, Any], left: Tensor) -> Tensor:
        going = self._asked(rows, sides, left.shape[0])
        return (going != 0).expand(left.shape)

    def ways_apart(self) -> list[str]:
        return []

    def _limit(self, going: Any, size: int) -> None:
        """Counts the samples for which the condition still holds."""
        if capturing():
            count = going.sum() if isinstance(going, Tensor) else size * going
            self.paths["stopped"].add(count)  # pyright: ignore[reportArgumentType]
            if self.on_limit == "error" and isinstance(going, Tensor):
                torch._assert_async(~going.any(), f"the loop did not end within {self.max_steps} steps: {self.line}")  # pyright: ignore
            elif self.on_limit == "error" and going:
                what, fix = "the condition never changes.", "let it read the value that flows"
                refuse(what, self.line, f"true after {self.max_steps} steps", fix)
            return
        count = int(going.sum()) if isinstance(going, Tensor) else size * going
        if not count:
            return
        self.paths["stopped"].add(count)
        if self.on_limit == "error":
            raise endless(self.line, self.max_steps, count, size)

    def extra_repr(self) -> str:
        limit = [] if self.on_limit == "stop" else [f"on_limit={self.on_limit!r}"]
        return self._typed(repr(self._condition), f"max_steps={self.max_steps}", *limit)
