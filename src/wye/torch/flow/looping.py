"""`Repeat` and `While`: blocks that each sample runs as often as it needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from ...errors import FlowError, PartError
from .active import Active
from .chain import Chain
from .condition import Condition, Decides
from .conditional import Conditional
from .node import Count, Node, repr_line
from .values import Value, batch_size

SHAPELESS = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Softsign, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Softmax),
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.Identity),
    *(nn.LayerNorm, nn.GroupNorm, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
)
"""Layers that keep the shape."""


class Repeat(Node):
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
        blocks = list(block_or_blocks) if isinstance(block_or_blocks, list | tuple | nn.ModuleList) else None
        stages = {"block": block_or_blocks} if blocks is None else {str(place): one for place, one in enumerate(blocks)}
        if not stages:
            raise PartError("a Repeat needs a block.", "Repeat([], ...)", "an empty list", "give it one module or more")
        self._settle(stages, per, shared, parts)
        self._eval, self._many = eval, None if blocks is None else len(blocks)
        if blocks is not None:
            check_widths([cast(nn.Module, self._modules[name]) for name in stages])
        self.paths = {name: Count() for name in stages}
        self._decide_by(times, "times")
        if isinstance(self._condition.source, bool | int | float):
            self._whole_number(self._condition.source)

    @property
    def times(self) -> Any:
        """How often, to be read and assigned."""
        return self._condition.source

    @times.setter
    def times(self, source: Decides) -> None:
        self._decide_by(source, "times", later=True)

    def forward(self, x: Value, **sides: Any) -> Value:
        size = batch_size(x, "Repeat")
        self._checked(sides, size)
        if not size:
            return x
        times = self._asked(x, sides, size)
        if isinstance(times, Tensor):
            counts = self._whole_numbers(times)
            for depth, samples in zip(*torch.unique(counts, return_counts=True), strict=True):
                self._count(f"times {int(depth)}", int(samples))
            return self._run(Active(x, sides, self._per_sample(sides), size), counts)
        depth = self._whole_number(times)
        self._count(f"times {depth}", size)
        for place in range(depth):
            x = self._round(place, x, sides, size)
        return x

    def _run(self, active: Active, counts: Tensor) -> Value:
        for place in range(int(counts.max())):
            mask = counts > place
            if active.size != int(mask.sum()):
                counts = counts[mask]
                active.keep(mask)
            active.value = self._round(place, active.value, active.sides, active.size)
        return active.result()

    def _round(self, place: int, x: Value, sides: Mapping[str, Any], size: int) -> Value:
        name = "block" if self._many is None else str(place)
        self._count(name, size)
        return self._branch(name, x, sides, size)

    def _count(self, path: str, samples: int) -> None:
        self.paths.setdefault(path, Count()).add(samples)

    def ways_apart(self) -> list[str]:
        return [path for path in self.paths if path.startswith("times")]

    def _whole_number(self, times: Any) -> int:
        most = float("inf") if self._many is None else self._many
        if not 0 <= times <= most or times == float("inf") or times != int(times):
            raise self._wrong_times(str(times))
        return int(times)

    def _whole_numbers(self, times: Tensor) -> Tensor:
        counts = times.long()
        most = self._many if self._many is not None else 2**31
        wrong = (counts != times) | (counts < 0) | (counts > most)
        if bool(wrong.any()):
            raise self._wrong_times(str(times[wrong][0].item()))
        return counts

    def _wrong_times(self, got: str) -> FlowError:
        text = str(self._condition) if self._condition.recipe else "..."
        if self._many is None:
            fix = f"round and bound it: round(relu({text}))"
            return FlowError("a block runs a whole number of times, 0 or more.", repr_line(self), got, fix)
        what = f"of {self._many} blocks a whole number runs, from 0 to {self._many}."
        die = f"write die(0, {self._many}), or give it more blocks"
        fix = die if self._condition.dice else f"round and bound it: clamp(round({text}), 0, {self._many})"
        return FlowError(what, repr_line(self), got, fix)

    def _settled_fall(self, kind: str, bounds: tuple[float, ...]) -> float:
        return bounds[1] if self._condition.bare_die else super()._settled_fall(kind, bounds)

    def extra_repr(self) -> str:
        return self._typed(f"times={self._condition!r}")


def check_widths(blocks: Sequence[nn.Module]) -> None:
    """Blocks that may be left out have one width, in and out, as far as their layers tell."""
    widths = [(width(block, "in"), width(block, "out")) for block in blocks]
    known = {size for pair in widths for size in pair if size is not None}
    if len(known) > 1:
        shown = ", ".join(f"{a or '?'} -> {b or '?'}" for a, b in widths)
        raise PartError(
            "blocks of a Repeat have one width, in and out.", "Repeat([...])", shown, "give them equal widths"
        )


def width(block: nn.Module, side: str) -> int | None:
    """The features that a block takes or gives, where its first or last layer tells; None: only a run can."""
    if isinstance(block, nn.Sequential | Chain):
        layers = list(block) if side == "in" else list(block)[::-1]
        first = next((layer for layer in layers if not isinstance(layer, SHAPELESS)), None)
        return None if first is None else width(first, side)
    for attribute in (f"{side}_features", f"{side}_channels"):
        size = getattr(block, attribute, None)
        if isinstance(size, int):
            return size
    return None


class While(Conditional):
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
        if isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PartError(
                "a loop needs a bound of 1 or more.", f"max_steps={max_steps!r}", repr(max_steps), "write max_steps=20"
            )
        if on_limit not in ("stop", "error"):
            raise PartError(
                "samples at the limit are stopped, or an error.",
                f"on_limit={on_limit!r}",
                repr(on_limit),
                "write on_limit='stop'",
            )
        self._settle({"block": block}, per, shared, parts)
        self.max_steps, self.on_limit = max_steps, on_limit
        self.paths = {"block": Count(), "passed": Count(), "stopped": Count()}
        self._decide_by(condition, "condition")

    def _check_decider(self, condition: Condition) -> None:
        if condition.dice:
            fix = "use Repeat(block, 'die(0, 3)')"
            raise PartError("a die falls once for each step, which ends no loop.", condition.place, str(condition), fix)

    def forward(self, x: Value, **sides: Any) -> Value:
        size = batch_size(x, "While")
        self._checked(sides, size)
        if not size:
            return x
        active = Active(x, sides, self._per_sample(sides), size)
        for step in range(self.max_steps):
            going = self._part(active)
            if step == 0 and going < size:
                self.paths["passed"].add(size - going)
            if not going:
                return active.result()
            self.paths["block"].add(going)
            active.value = self._branch("block", active.value, active.sides, going)
        self._limit(active)
        return active.result()

    def _part(self, active: Active) -> int:
        """Lets the samples go for which the condition does not hold; how many go on."""
        going = self._asked(active.value, active.sides, active.size)
        if not isinstance(going, Tensor):
            return active.size if going else 0
        active.keep(going if going.dtype == torch.bool else going != 0)
        return active.size

    def ways_apart(self) -> list[str]:
        return []

    def _limit(self, active: Active) -> None:
        """Counts the samples for which the condition still holds."""
        going = self._asked(active.value, active.sides, active.size)
        count = int((going != 0).sum()) if isinstance(going, Tensor) else active.size * bool(going)
        if not count:
            return
        self.paths["stopped"].add(count)
        if self.on_limit == "error":
            raise FlowError(
                f"the loop did not end within {self.max_steps} steps.",
                repr_line(self),
                f"{count} of {active.left_out + active.size} samples still going",
                "raise max_steps, or let them stop: on_limit='stop'",
            )

    def extra_repr(self) -> str:
        limit = [] if self.on_limit == "stop" else [f"on_limit={self.on_limit!r}"]
        return self._typed(repr(self._condition), f"max_steps={self.max_steps}", *limit)
