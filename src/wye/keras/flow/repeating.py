"""`Repeat`: a block, or the first blocks of a list, that each sample runs as often as it needs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import keras

from ...errors import FlowError
from ...formula.bounds import most_of
from ...formula.deciding import NUMBERS, Decides
from ...formula.formula import Formula
from ...formula.parting import blocks_of, check_times, wrong_times
from ..kernels import Array, Tensor, ops, truth
from .condition import Condition
from .node import Parted, decider
from .rounds import WRITTEN_OUT, is_known, loop
from .routing import on_taken, one_of
from .values import Value
from .widths import check_widths


@keras.saving.register_keras_serializable("wye")
class Repeat(Parted):
    """A block that runs `times` times; or a list of blocks, of which the first `times` run.

    Args:
        block_or_blocks: one layer, shared by all rounds; or a list of layers of one width.
        times: a number, a formula (one number for each sample, or for the batch), a die such as `die(0, 3)`, or a
            callable; assignable while running. In a captured graph the most rounds must be known from its text:
            `clamp(depth, 0, 8)`, `min(depth, 8)`, a die, or a list of blocks.
        per: `sample` or `batch`.
        eval: in eval, the times where dice decide; a die alone shows its highest side by default.
        shared: names of side inputs that are not per sample.
        name: of the layer, as Keras knows it.
        **parts: what `times` reads, as for `Join`.

    Raises:
        PartError: the blocks of a list differ in width.
        FlowError: `times` is negative, no whole number, or more than there are blocks; in a captured graph such times
            are rounded down and held within the bounds, for nobody can wait there.

    Example:
        >>> import keras, wye.keras as wye
        >>> net = wye.Repeat("x + 1", "depth")
        >>> y = net(keras.ops.zeros((3, 1)), depth=keras.ops.array([0, 2, 1]))
        >>> [float(one) for one in y[:, 0]]
        [0.0, 2.0, 1.0]
    """

    def __init__(
        self,
        block_or_blocks: Any,
        times: Decides,
        *,
        per: str = "sample",
        eval: int | None = None,
        shared: Iterable[str] = (),
        name: str | None = None,
        **parts: Any,
    ) -> None:
        super().__init__(name=name)
        stages, self._count = blocks_of(block_or_blocks, (list, tuple))
        self._settle(stages, per, shared, parts)
        self._eval = eval
        check_widths(self, list(stages), "one", "Repeat(...)" if self._count is None else "Repeat([...])")
        self._decide_by(times, "times")
        if isinstance(self._condition.source, NUMBERS):
            self._whole_number(self._condition.source)

    def _check_decider(self, condition: Condition) -> None:
        check_times(condition, self._count, self._eval)
        source = condition.source
        known = most_of(source.program, frozenset().union(*self._names())) if isinstance(source, Formula) else None
        self._most = known if self._count is None else self._count

    times = decider("times", "How often, to be read and assigned.")

    def _run(self, x: Value, sides: dict[str, Any], size: int | None) -> Value:
        if size == 0:
            return x
        times = self._asked(x, sides, size)
        if not isinstance(times, Tensor):
            for place in range(self._whole_number(times)):
                x = self._round(place, x, sides)
            return x
        counts, most = self._whole_numbers(times)
        layers, sides = self._layers_of(*self._stages.by_name), self._wanted(sides)
        moving = self._moving(sides)
        if most > WRITTEN_OUT and not is_known(counts) and self._count is None:
            return self._looped(counts, most, x, sides, layers)
        for place in range(most):
            going, run = ops.greater(counts, place), partial(self._round, place)
            if len(counts.shape) == 0:
                x = one_of(going, [lambda x=x: x, lambda x=x, run=run: run(x, sides)], layers)
            else:
                x = on_taken(going, x, sides, moving, run, layers)
        return x

    def _looped(self, counts: Array, most: int, x: Value, sides: dict[str, Any], layers: list[Any]) -> Value:
        """So many rounds that they are one loop of the graph; samples that are done are masked."""
        moving = self._moving(sides)

        def step(place: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
            (now,) = state
            going = ops.greater(counts, ops.cast(place, counts.dtype))
            if len(counts.shape) == 0:
                return (one_of(going, [lambda: now, lambda: self._round(0, now, sides)], layers),)
            return (on_taken(going, now, sides, moving, partial(self._round, 0), layers, masked=True),)

        return loop(step, (x,), most, layers, self)[0]

    def _round(self, place: int, x: Value, sides: dict[str, Any]) -> Value:
        return self._branch("block" if self._count is None else str(place), x, sides)

    def _outline(self, x: Value, sides: dict[str, Any], size: int | None) -> Value:
        self._asked(x, sides, size)
        for name in self._stages.by_name:
            self._branch(name, x, sides)
        return x

    def _whole_number(self, times: Any) -> int:
        most = float("inf") if self._count is None else self._count
        if not 0 <= times <= most or times == float("inf") or times != int(times):
            raise wrong_times(self._condition, self._count, self.line, str(times))
        return int(times)

    def _whole_numbers(self, times: Array) -> tuple[Array, int]:
        """The times, checked where they are known, and the most of them."""
        counts = ops.cast(times, "int32")
        top = 2**31 - 1 if self._count is None else self._count
        wrong = ops.logical_or(ops.not_equal(ops.cast(counts, times.dtype), times), ops.less(counts, 0))
        wrong = ops.logical_or(wrong, ops.greater(counts, top))
        some = truth(ops.any(wrong))
        if some:
            first = ops.take(times, ops.argmax(ops.cast(wrong, "int32")))
            raise wrong_times(self._condition, self._count, self.line, str(ops.convert_to_numpy(first)))
        if some is False:
            return counts, int(ops.max(counts))
        if self._most is None:
            fix = f"bound it: clamp({self._condition}, 0, 8)" if self._condition.recipe else "give times as a formula"
            what = "a captured graph must know the most rounds there can be."
            raise FlowError(what, self.line, str(self._condition), fix)
        return ops.clip(counts, 0, self._most), self._most

    def _settled_fall(self, kind: str, bounds: tuple[Any, ...]) -> Any:
        return bounds[1] if self._condition.bare_die else super()._settled_fall(kind, bounds)

    @classmethod
    def _read(cls, decides: Any, stages: dict[str, Any], options: dict[str, Any]) -> Any:
        return cls(stages["block"] if "block" in stages else list(stages.values()), decides, **options)

    def extra_repr(self) -> str:
        return self._typed(f"times={self._condition!r}")
