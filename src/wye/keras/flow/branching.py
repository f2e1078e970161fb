"""`When`: samples for which a condition holds go through a branch, others through another one or on unchanged."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras

from ...formula.deciding import Decides
from ...formula.parting import check_when
from ..kernels import Array, Tensor, ops
from .node import Parted, decider
from .routing import on_taken, one_of, parted
from .values import Value, truths
from .widths import check_same_width, check_widths


@keras.saving.register_keras_serializable("wye")
class When(Parted):
    """A branch for the samples on which a condition holds.

    y_i = then(x_i) where condition(x_i), else otherwise(x_i), or x_i itself where there is no `otherwise`. On
    TensorFlow and torch a branch gets exactly the samples that take it; on JAX, and under XLA, all of them, masked.

    Args:
        condition: a formula, assignable while running. `x` is the value that flows, without its batch axis; other
            names are parts or side inputs. One that reads only numbers or tensors without axes decides for the
            batch. A callable gets the batch and returns () or (B,).
        then: the branch; beside a pass-through it keeps the shape.
        otherwise: the other branch.
        per: `sample`; or `batch`: the condition sees the whole batch and has one element.
        eval: in eval, the truth of the whole condition where it throws a coin or a die.
        shared: names of side inputs that are not per sample.
        name: of the layer, as Keras knows it.
        **parts: what the condition reads, as for `Join`.

    Raises:
        FlowError: the condition has not one element for each sample, or a branch changes the shape.

    Example:
        >>> import keras, wye.keras as wye
        >>> when = wye.When("norm(x) > 1", "10 * x")
        >>> y = when(keras.ops.array([[3.0, 4.0], [0.5, 0.25]]))
        >>> [float(one) for one in y[:, 0]]
        [30.0, 0.5]
    """

    def __init__(
        self,
        condition: Decides,
        then: Any,
        otherwise: Any = None,
        *,
        per: str = "sample",
        eval: bool | None = None,
        shared: Iterable[str] = (),
        name: str | None = None,
        **parts: Any,
    ) -> None:
        super().__init__(name=name)
        branches = {"then": then} if otherwise is None else {"then": then, "otherwise": otherwise}
        self._settle(branches, per, shared, parts)
        check_widths(self, list(branches), "one" if otherwise is None else "both", "When(...)")
        check_when(eval)
        self._eval, self._passes = eval, otherwise is None
        self._decide_by(condition, "condition")

    condition = decider("condition", "What decides, to be read and assigned.")

    def _run(self, x: Value, sides: dict[str, Any], size: int | None) -> Value:
        if size == 0:
            return x if self._passes else self._on_nothing("then", x, sides, False)
        taken = self._asked(x, sides, size)
        if not isinstance(taken, Tensor):
            return self._other(x, sides) if not taken else self._then(x, sides)
        mask = truths(taken)
        if len(mask.shape) == 0:
            runs = [lambda: self._other(x, sides), lambda: self._then(x, sides)]
            return one_of(mask, runs, self._layers_of(*self._stages.by_name))
        return self._parted(mask, x, sides)

    def _then(self, x: Value, sides: dict[str, Any]) -> Value:
        return self._branch("then", x, sides, self._passes)

    def _other(self, x: Value, sides: dict[str, Any]) -> Value:
        return x if self._passes else self._branch("otherwise", x, sides, False)

    def _parted(self, mask: Array, x: Value, sides: dict[str, Any]) -> Value:
        layers, sides = self._layers_of(*self._stages.by_name), self._wanted(sides)
        moving = self._moving(sides)
        if self._passes:
            return on_taken(mask, x, sides, moving, self._then, layers, once=True)
        places = ops.cast(mask, "int32")
        names = ("otherwise", "then")
        runs = [self._other, self._then]
        return parted(
            places, x, sides, moving, runs, lambda place: self._on_nothing(names[place], x, sides, False), layers
        )

    def _outline(self, x: Value, sides: dict[str, Any], size: int | None) -> Value:
        self._asked(x, sides, size)
        found = {name: self._branch(name, x, sides, self._passes) for name in self._stages.by_name}
        check_same_width(self, found)
        return found["then"]

    @classmethod
    def _read(cls, decides: Any, stages: dict[str, Any], options: dict[str, Any]) -> Any:
        return cls(decides, stages["then"], stages.get("otherwise"), **options)

    def extra_repr(self) -> str:
        return self._typed(repr(self._condition))
