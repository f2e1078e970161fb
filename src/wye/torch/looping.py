"""`Repeat` and `While`: blocks that each sample runs as often as it needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import FlowError, PartError
from .branching import shown_condition
from .condition import Decides
from .node import Count, Node, repr_line
from .values import Value, batch_size, leaves, merge, take


class Active:
    """The samples still on their way: they leave one after the other, and are put together in order at the end."""

    def __init__(self, x: Value, sides: Mapping[str, Any], moving: Sequence[str], size: int) -> None:
        self.value, self.sides, self.moving, self.size = x, dict(sides), moving, size
        self.index: Tensor | None = None
        self.left: list[tuple[Tensor, Value]] = []

    def keep(self, mask: Tensor) -> None:
        """Only the samples of the mask go on."""
        staying = mask.nonzero().squeeze(1)
        if staying.numel() == self.size:
            return
        places = torch.arange(self.size, device=mask.device) if self.index is None else self.index
        leaving = (~mask).nonzero().squeeze(1)
        self.left.append((places[leaving], take(self.value, leaving)))
        self.index = places[staying]
        self.value = take(self.value, staying)
        self.sides = {n: take(v, staying) if n in self.moving else v for n, v in self.sides.items()}
        self.size = staying.numel()

    def result(self) -> Value:
        if self.index is None:
            return self.value
        pieces = [*self.left, (self.index, self.value)] if self.size else self.left
        return merge(pieces)


class Repeat(Node):
    """A block that runs `times` times; or a list of blocks, of which the first `times` run.

    Args:
        block_or_blocks: one module, shared by all rounds; or a list of modules of one width.
        times: a number, a formula (one number for each sample, or for the batch), a die such as `die(0, 3)`, or a
            callable; assignable while running.
        per: `sample` or `batch`.
        eval: in eval, the times where a die decides; by default its highest side.
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
        self._settle(stages, per, shared, parts)
        self._eval, self._many = eval, None if blocks is None else len(blocks)
        check_widths([module for name, module in self._modules.items() if name in stages and module is not None])
        self._times = self._condition_of(times, "times")
        self.wants |= frozenset(self._times.sides)

    @property
    def times(self) -> Any:
        """How often, to be read and assigned."""
        return self._times.source

    @times.setter
    def times(self, source: Decides) -> None:
        self._times = self._decided(self._condition_of(source, "times"))

    def forward(self, x: Value, **sides: Any) -> Value:
        size = batch_size(x, "Repeat")
        self._checked(sides, size)
        times = self._times(x, sides, size)
        active = Active(x, sides, self._per_sample(sides), size)
        if isinstance(times, Tensor):
            counts = self._whole_numbers(times)
            for depth, samples in zip(*torch.unique(counts, return_counts=True), strict=True):
                self._count(f"times {int(depth)}", int(samples))
            return self._run(active, counts)
        depth = self._whole_number(times)
        self._count(f"times {depth}", size)
        for place in range(depth):
            active.value = self._round(place, active.value, active.sides, size)
        return active.value

    def _run(self, active: Active, counts: Tensor) -> Value:
        most = int(counts.max()) if counts.numel() else 0
        for place in range(most):
            mask = counts > place
            if active.size != int(mask.sum()):
                counts = counts[mask]
                active.keep(mask)
            active.value = self._round(place, active.value, active.sides, active.size)
        return active.result()

    def _round(self, place: int, x: Value, sides: Mapping[str, Any], size: int) -> Value:
        name = "block" if self._many is None else str(place)
        self._count(name, size)
        return self._kept(name, x, sides) if size else x

    def _count(self, path: str, samples: int) -> None:
        self.paths.setdefault(path, Count()).add(samples)

    def ways_apart(self) -> list[str]:
        return [path for path in self.paths if path.startswith("times")]

    def _whole_number(self, times: Any) -> int:
        depth = int(times)
        if depth != times or depth < 0 or (self._many is not None and depth > self._many):
            raise self._wrong_times(str(times))
        return depth

    def _whole_numbers(self, times: Tensor) -> Tensor:
        counts = times.long()
        most = self._many if self._many is not None else 2**31
        wrong = (counts != times) | (counts < 0) | (counts > most)
        if bool(wrong.any()):
            raise self._wrong_times(str(times[wrong][0].item()))
        return counts

    def _wrong_times(self, got: str) -> FlowError:
        what = (
            "times is a whole number, 0 or more."
            if self._many is None
            else f"times is a whole number from 0 to {self._many}: there are {self._many} blocks."
        )
        return FlowError(what, repr_line(self), got, "round it, or bound it: clamp(..., 0, 3)")

    def _settled_fall(self, kind: str, bounds: tuple[float, ...]) -> float:
        if self._eval is not None:
            return self._eval
        return bounds[1] if kind == "die" else super()._settled_fall(kind, bounds)

    def extra_repr(self) -> str:
        return f"times={shown_condition(self._times)}"


def check_widths(blocks: Sequence[nn.Module]) -> None:
    """Blocks that may be left out have one width, in and out, as far as their layers tell."""
    widths = [width(block) for block in blocks]
    known = {size for pair in widths for size in pair if size is not None}
    if len(known) > 1:
        shown = ", ".join(f"{a} -> {b}" for a, b in widths)
        raise PartError(
            "blocks of a Repeat have one width, in and out.", "Repeat([...])", shown, "give them equal widths"
        )


def width(block: nn.Module) -> tuple[int | None, int | None]:
    """The features that a block takes and gives, from its first and last layer that tell."""
    pairs = (("in_features", "out_features"), ("in_channels", "out_channels"))
    told = [
        (getattr(m, a), getattr(m, b))
        for m in block.modules()
        for a, b in pairs
        if isinstance(getattr(m, a, None), int)
    ]
    return (told[0][0], told[-1][1]) if told else (None, None)


class While(Node):
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
            raise PartError("a loop has a bound.", f"max_steps={max_steps!r}", repr(max_steps), "write max_steps=20")
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
        self._condition = self._condition_of(condition, "condition")
        self.wants |= frozenset(self._condition.sides)

    @property
    def condition(self) -> Any:
        """What decides, to be read and assigned."""
        return self._condition.source

    @condition.setter
    def condition(self, source: Decides) -> None:
        self._condition = self._decided(self._condition_of(source, "condition"))

    def forward(self, x: Value, **sides: Any) -> Value:
        size = batch_size(x, "While")
        self._checked(sides, size)
        active = Active(x, sides, self._per_sample(sides), size)
        for step in range(self.max_steps):
            self._part(active)
            if step == 0 and active.size < size:
                self.paths["passed"].add(size - active.size)
            if not active.size:
                return active.result()
            self.paths["block"].add(active.size)
            active.value = self._kept("block", active.value, active.sides)
        self._limit(active)
        return active.result()

    def _part(self, active: Active) -> None:
        """Lets the samples go for which the condition does not hold."""
        going = self._condition(active.value, active.sides, active.size)
        if not isinstance(going, Tensor):
            device = next(leaves(active.value)).device
            going = torch.full((active.size,), bool(going), device=device)
        active.keep(going if going.dtype == torch.bool else going != 0)

    def ways_apart(self) -> list[str]:
        return []

    def _limit(self, active: Active) -> None:
        going = self._condition(active.value, active.sides, active.size)
        count = int((going != 0).sum()) if isinstance(going, Tensor) else active.size * bool(going)
        if not count:
            return
        self.paths["stopped"].add(count)
        if self.on_limit == "error":
            raise FlowError(
                f"the loop did not end within {self.max_steps} steps.",
                repr_line(self),
                f"{count} of {active.size} samples still going",
                "raise max_steps, or let them stop: on_limit='stop'",
            )

    def _settled_fall(self, kind: str, bounds: tuple[float, ...]) -> float:
        raise FlowError("a loop throws no die.", repr_line(self), kind, "use Repeat(block, 'die(0, 3)')")

    def extra_repr(self) -> str:
        return f"{shown_condition(self._condition)}, max_steps={self.max_steps}"
