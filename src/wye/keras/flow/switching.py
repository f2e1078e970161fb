"""`Switch` and `RandomChoice`: one of several branches, for each sample by an index, or for the batch by a die."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import keras

from ...formula.chance import MASK
from ...formula.deciding import Decides
from ...formula.parting import check_branches, check_die_of_branches, cuts, unknown_index
from ..kernels import FLOATS, Array, Tensor, ops, truth
from .chance import number
from .condition import Condition
from .node import Parted, decider
from .routing import one_of, parted
from .values import Value
from .widths import check_same_width, check_widths


class Branches(Parted):
    """Branches side by side, of which each sample takes one; None lets samples pass."""

    def _branch_out(
        self, branches: Sequence[Any], per: str, shared: Iterable[str], parts: dict[str, Any], eval: int | None
    ) -> None:
        kind = type(self).__name__
        check_branches(kind, branches, eval)
        self._passes = any(branch is None or type(branch) is keras.layers.Identity for branch in branches)
        stages = {
            str(place): keras.layers.Identity() if branch is None else branch for place, branch in enumerate(branches)
        }
        self._settle(stages, per, shared, parts)
        check_widths(self, list(stages), "one" if self._passes else "both", f"{kind}(...)")
        self._eval = eval

    def _one(self, place: int, x: Value, sides: dict[str, Any]) -> Value:
        """All samples on one branch."""
        return self._branch(str(place), x, sides, self._passes)

    def _runs(self) -> list[Any]:
        return [partial(self._one, place) for place in range(len(self._stages.by_name))]

    def _whole(self, place: Any, x: Value, sides: dict[str, Any]) -> Value:
        """All samples on one branch, which the run alone knows."""
        runs = [partial(run, x, sides) for run in self._runs()]
        return one_of(place, runs, self._layers_of(*self._stages.by_name))

    def _many(self, places: Array, x: Value, sides: dict[str, Any]) -> Value:
        """Each sample on its own branch; a branch that nobody takes is not called."""
        layers, sides = self._layers_of(*self._stages.by_name), self._wanted(sides)
        moving = self._moving(sides)
        empty = lambda place: self._on_nothing(str(place), x, sides, self._passes)  # noqa: E731
        return parted(places, x, sides, moving, self._runs(), empty, layers)

    def _outline(self, x: Value, sides: dict[str, Any], size: int | None) -> Value:
        found = {name: self._branch(name, x, sides, self._passes) for name in self._stages.by_name}
        check_same_width(self, found)
        return found["0"]


@keras.saving.register_keras_serializable("wye")
class Switch(Branches):
    """Each sample runs the branch that its index names.

    y_i = branch[index_i](x_i), for blocks that treat samples alone. On TensorFlow and torch each branch is called on
    exactly its samples, in batch order, and one that nobody takes is not called; on JAX, and under XLA, on all, masked.

    Args:
        index: a formula, assignable while running: for each sample a whole number from 0; or one for the batch, where
            it reads only numbers or tensors without axes. A callable gets the batch and returns () or (B,).
        *branches: layers, formulas or functions; None lets its samples pass unchanged.
        per: `sample` or `batch`.
        eval: in eval, the branch where the index throws a die.
        shared: names of side inputs that are not per sample.
        name: of the layer, as Keras knows it.
        **parts: what the index reads, as for `Join`.

    Raises:
        PartError: there is no branch, or their widths differ.
        FlowError: an index is out of range, or branches return different shapes. A captured graph cannot wait for
            that: such a sample becomes NaN, or zero where whole numbers flow.

    Example:
        >>> import keras, wye.keras as wye
        >>> net = wye.Switch("kind", "x + 1", "2 * x", None)
        >>> y = net(keras.ops.ones((4, 1)), kind=keras.ops.array([0, 2, 1, 0]))
        >>> [float(one) for one in y[:, 0]]
        [2.0, 1.0, 2.0, 2.0]
    """

    def __init__(
        self,
        index: Decides,
        /,
        *branches: Any,
        per: str = "sample",
        eval: int | None = None,
        shared: Iterable[str] = (),
        name: str | None = None,
        **parts: Any,
    ) -> None:
        super().__init__(name=name)
        self._branch_out(branches, per, shared, parts, eval)
        self._decide_by(index, "index")

    def _check_decider(self, condition: Condition) -> None:
        check_die_of_branches(condition, len(self._stages.by_name))

    index = decider("index", "What decides, to be read and assigned.")

    def _run(self, x: Value, sides: dict[str, Any], size: int | None) -> Value:
        if size == 0:
            return x if self._passes else self._on_nothing("0", x, sides, False)
        index = self._asked(x, sides, size)
        count = len(self._stages.by_name)
        if not isinstance(index, Tensor):
            if index not in range(count):
                raise unknown_index(self.line, str(index), count)
            return self._one(int(index), x, sides)
        places = ops.cast(index, "int32")
        wrong = ops.logical_or(
            ops.logical_or(ops.less(places, 0), ops.greater_equal(places, count)),
            index != ops.cast(places, index.dtype),
        )
        some = truth(ops.any(wrong))
        if some:
            first = ops.take(index, ops.argmax(ops.cast(wrong, "int32")))
            raise unknown_index(self.line, str(ops.convert_to_numpy(first)), count)
        found = (
            self._many(ops.where(wrong, 0, places), x, sides) if len(places.shape) else self._whole(places, x, sides)
        )
        return found if some is False else keras.tree.map_structure(partial(_spoilt, wrong), found)

    def _outline(self, x: Value, sides: dict[str, Any], size: int | None) -> Value:
        self._asked(x, sides, size)
        return super()._outline(x, sides, size)

    @classmethod
    def _read(cls, decides: Any, stages: dict[str, Any], options: dict[str, Any]) -> Any:
        return cls(decides, *stages.values(), **options)

    def extra_repr(self) -> str:
        return self._typed(repr(self._condition))


def _spoilt(wrong: Array, rows: Array) -> Array:
    """Rows whose index names no branch, which a captured graph cannot refuse."""
    for _ in range(len(rows.shape) - len(wrong.shape)):
        wrong = ops.expand_dims(wrong, -1)
    return ops.where(wrong, ops.cast(float("nan") if rows.dtype in FLOATS else 0, rows.dtype), rows)


@keras.saving.register_keras_serializable("wye")
class RandomChoice(Branches):
    """One of several branches, drawn once for each call in training.

    The branch k is drawn with probability w_k / Σw, for the whole batch. In eval nothing is drawn: the likeliest
    branch runs, the first of equals.

    Args:
        *branches: layers, formulas or functions; None lets all samples pass unchanged.
        weights: how likely each is, in any unit; None: all alike. Assignable while running, as `chances`.
        eval: in eval, the index of the branch that runs instead of the likeliest.
        shared: names of side inputs that are not per sample.
        name: of the layer, as Keras knows it.

    Raises:
        PartError: there is no branch, their widths differ, or the weights are not one for each.

    Example:
        >>> import keras, wye.keras as wye
        >>> net = wye.RandomChoice(keras.layers.Dense(1), keras.layers.Dense(1))
        >>> tuple(net(keras.ops.ones((2, 4)), training=True).shape)
        (2, 1)
    """

    _usual = "batch"

    def __init__(
        self,
        *branches: Any,
        weights: Sequence[float] | None = None,
        eval: int | None = None,
        shared: Iterable[str] = (),
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self._branch_out(branches, "batch", shared, {}, eval)
        self.chances = weights
        self._throw()

    @property
    def chances(self) -> tuple[float, ...] | None:
        """How likely each branch is, to be read and assigned; `weights` are the variables of any layer of Keras."""
        return self._given

    @chances.setter
    def chances(self, weights: Sequence[float] | None) -> None:
        given, parted, self._likeliest = cuts(weights, len(self._stages.by_name))
        self._given, self._cuts = given, tuple(parted)
        self._held.renewed()

    def _run(self, x: Value, sides: dict[str, Any], size: int | None) -> Value:
        if size == 0:
            return x if self._passes else self._on_nothing("0", x, sides, False)
        if not self._trains:
            return self._one(self._likeliest if self._eval is None else int(self._eval), x, sides)
        bits = self.dice.bits(0)
        if isinstance(bits, int):
            return self._one(int(sum(bits >= cut for cut in self._cuts)), x, sides)
        place = ops.zeros((), "int32")
        for cut in self._cuts:
            if cut <= MASK:  # no bits lie beyond
                place = place + ops.cast(ops.greater_equal(bits, number(cut)), "int32")
        return self._whole(place, x, sides)

    def _written_options(self) -> dict[str, Any]:
        options = super()._written_options()
        del options["per"]
        return {**options, "weights": None if self._given is None else list(self._given)}

    @classmethod
    def _read(cls, decides: Any, stages: dict[str, Any], options: dict[str, Any]) -> Any:
        return cls(*stages.values(), **options)

    def extra_repr(self) -> str:
        return self._typed(*([] if self._given is None else [f"weights={list(self._given)}"]))
