"""`While`: a block that each sample runs for as long as its condition holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

from ...errors import PartError
from ...formula.deciding import Decides
from ...formula.parting import check_loop, check_no_dice, endless
from ..kernels import Array, Tensor, ops, truth
from .condition import Condition
from .node import Parted, decider
from .rounds import WRITTEN_OUT, is_known, loop
from .routing import on_taken, one_of
from .values import Value, truths
from .widths import check_widths


@keras.saving.register_keras_serializable("wye")
class While(Parted):
    """A block that each sample runs for as long as its condition holds.

    x <- block(x) while condition(x), at most `max_steps` times. A sample that never enters passes unchanged, with
    gradient one. In captured graphs up to 32 rounds are written out; in more, samples that are done are masked.

    Args:
        condition: as for `When`.
        block: the block; it keeps the shape.
        max_steps: the most rounds; not optional.
        per: `sample` or `batch`.
        on_limit: what becomes of samples whose condition still holds then: `stop`, or `error`, for which a captured
            graph cannot wait.
        shared: names of side inputs that are not per sample.
        name: of the layer, as Keras knows it.
        **parts: what the condition reads, as for `Join`.

    Raises:
        FlowError: with `on_limit="error"`, samples were not done after `max_steps`.
        PartError: `on_limit="error"` in a captured graph.

    Example:
        >>> import keras, wye.keras as wye
        >>> net = wye.While("norm(x) < 10", "2 * x", max_steps=20)
        >>> y = net(keras.ops.array([[1.0], [30.0], [4.0]]))
        >>> [float(one) for one in y[:, 0]]
        [16.0, 30.0, 16.0]
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
        name: str | None = None,
        **parts: Any,
    ) -> None:
        super().__init__(name=name)
        check_loop(max_steps, on_limit)
        self._settle({"block": block}, per, shared, parts)
        check_widths(self, ["block"], "one", "While(...)")
        self.max_steps, self.on_limit = max_steps, on_limit
        self._decide_by(condition, "condition")

    condition = decider("condition", "What decides, to be read and assigned.")

    def _check_decider(self, condition: Condition) -> None:
        check_no_dice(condition)

    def _run(self, x: Value, sides: dict[str, Any], size: int | None) -> Value:
        if size == 0:
            return x
        going = self._going(x, sides, size)
        layers, wanted = self._layers_of("block"), self._wanted(sides)
        moving = self._moving(wanted)
        if isinstance(going, Tensor) and self.max_steps > WRITTEN_OUT and not is_known(going):
            return self._looped(going, x, sides, size, layers)
        for _ in range(self.max_steps):
            if not isinstance(going, Tensor):
                if not going:
                    return x
                x = self._round(x, sides)
            elif len(going.shape) == 0:
                x = one_of(going, [lambda x=x: x, lambda x=x: self._round(x, sides)], layers)
            elif truth(ops.any(going)) is False:
                return x
            else:
                x = on_taken(going, x, wanted, moving, self._round, layers)
            going = self._still(going, x, sides, size)
        self._limit(going, size)
        return x

    def _round(self, x: Value, sides: dict[str, Any]) -> Value:
        return self._branch("block", x, sides)

    def _going(self, x: Value, sides: dict[str, Any], size: int | None) -> Any:
        """For which samples the condition holds; a plain truth, or one without axes, decides for all."""
        going = self._asked(x, sides, size)
        if not isinstance(going, Tensor):
            return bool(going)
        return truths(going)

    def _still(self, going: Any, x: Value, sides: dict[str, Any], size: int | None) -> Any:
        """Of those that were going, which still are; who has left stays away."""
        new = self._going(x, sides, size)
        if isinstance(going, Tensor) and isinstance(new, Tensor):
            return ops.logical_and(going, new)
        return new

    def _looped(self, going: Array, x: Value, sides: dict[str, Any], size: int | None, layers: list[Any]) -> Value:
        """So many rounds that they are one loop of the graph; samples that are done are masked."""
        wanted = self._wanted(sides)
        moving = self._moving(wanted)

        def step(_: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
            now, on = state
            if len(on.shape) == 0:
                new = one_of(on, [lambda: now, lambda: self._round(now, sides)], layers)
            else:
                new = on_taken(on, now, wanted, moving, self._round, layers, masked=True)
            return new, self._still(on, new, sides, size)

        x, going = loop(step, (x, going), self.max_steps, layers, self)
        self._limit(going, size)
        return x

    def _limit(self, going: Any, size: int | None) -> None:
        """Refuses samples for which the condition still holds."""
        if self.on_limit == "stop":
            return
        some = truth(ops.any(going)) if isinstance(going, Tensor) else bool(going)
        if some is None:
            what, fix = "a captured graph cannot wait for the end of a loop.", "write on_limit='stop'"
            raise PartError(what, self.line, "on_limit='error'", fix)
        if some:
            count = int(ops.sum(ops.cast(going, "int32"))) if isinstance(going, Tensor) and len(going.shape) else size
            raise endless(self.line, self.max_steps, count or 0, size or 0)

    def _outline(self, x: Value, sides: dict[str, Any], size: int | None) -> Value:
        self._asked(x, sides, size)
        self._branch("block", x, sides)
        return x

    def _written_options(self) -> dict[str, Any]:
        options = super()._written_options()
        del options["eval"]
        return {**options, "max_steps": self.max_steps, "on_limit": self.on_limit}

    @classmethod
    def _read(cls, decides: Any, stages: dict[str, Any], options: dict[str, Any]) -> Any:
        return cls(decides, stages["block"], **options)

    def extra_repr(self) -> str:
        limit = [] if self.on_limit == "stop" else [f"on_limit={self.on_limit!r}"]
        return self._typed(repr(self._condition), f"max_steps={self.max_steps}", *limit)
