"""How an objective is fit: what a batch holds goes to its inputs by name, its value is the loss, its terms metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras

from ..errors import InputError, listed
from .frozen import Stilled
from .holding import Holder
from .kernels import Array, ops
from .writing import announce

if TYPE_CHECKING:

    class Seen(keras.Model):
        _means: Means
        _held: Holder

        def _reads(self) -> tuple[str, ...]: ...
        def _move_all(self) -> None: ...
        def on(self, *mappings: Mapping[str, Any], **more: Any) -> tuple[Array, dict[str, Array]]: ...
else:
    Seen = object


class Means:
    """The mean of each term over an epoch."""

    def __init__(self) -> None:
        self.of: dict[str, keras.metrics.Mean] = {}

    def hold(self, names: Sequence[str]) -> None:
        """Follows these terms; those known already keep what they have."""
        self.of = {name: self.of.get(name) or keras.metrics.Mean(name=name) for name in names}

    def update(self, terms: Mapping[str, Array], count: Any) -> None:
        for name, mean in self.of.items():
            if name in terms:
                mean.update_state(terms[name], sample_weight=count)

    def __iter__(self) -> Iterator[keras.metrics.Mean]:
        return iter(self.of.values())


def count_of(x: Any) -> Any:
    """How many samples a batch has."""
    return ops.shape(next(value for value in keras.tree.flatten(x) if value is not None))[0]


def bound(reads: Sequence[str], data: Any) -> dict[str, Any]:
    """A batch by the names of inputs: `x` and `y` where they are dicts, `y` and `sample_weight` where they are read.

    Raises:
        InputError: a target or a weight is given that nobody reads.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    if not isinstance(x, Mapping):
        one = [name for name in reads if name not in ("y", "sample_weight")]
        x = {one[0]: x} if len(one) == 1 else {"x": x}
    given = {**x, **y} if isinstance(y, Mapping) else dict(x)
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is None or isinstance(value, Mapping):
            continue
        if name not in reads:
            fix = f"read `{name}` in the formula, or leave it out"
            if name == "y":
                fix = "give targets in the dict, under the names that the formula reads"
            what = f"`{name}` is given, which the objective does not read."
            raise InputError(what, "Objective.fit(...)", f"inputs {listed(reads)}", fix)
        given[name] = value
    return given


class Moving(Seen):
    """A model whose schedules move with each step of a fit."""

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        loss = super().compute_loss(x, y, y_pred, sample_weight, training=training)
        if training:
            self._move_all()
        return loss


class Fitted(Seen):
    """The steps of Keras's trainers, for a model that gives its own loss and terms."""

    def fit(self, x: Any = None, y: Any = None, *args: Any, sample_weight: Any = None, **kwargs: Any) -> Any:
        if isinstance(kwargs.get("validation_data"), tuple):
            given = keras.utils.unpack_x_y_sample_weight(kwargs["validation_data"])
            kwargs["validation_data"] = self._weighted(*given)
        x, y, sample_weight = self._weighted(x, y, sample_weight)
        return super().fit(x, y, *args, sample_weight=sample_weight, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, sample_weight: Any = None, **kwargs: Any) -> Any:
        x, y, sample_weight = self._weighted(x, y, sample_weight)
        return super().evaluate(x, y, *args, sample_weight=sample_weight, **kwargs)

    def _weighted(self, x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        """Arrays by name, targets and weights among them: Keras drops weights that come without a target."""
        if not isinstance(x, Mapping):
            return x, y, sample_weight
        return bound(self._reads(), (x, y, sample_weight)), None, None

    def _symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        if data_batch is None:
            for _, _, data in iterator:
                data_batch = data[0] if isinstance(data, list | tuple) else next(data)  # pyright: ignore
                break
        private: Any = super()
        private._symbolic_build(data_batch=(bound(self._reads(), data_batch),))

    def train_step(self, *given: Any) -> Any:
        *state, data = given
        return super().train_step(*state, (bound(self._reads(), data),))

    def test_step(self, *given: Any) -> Any:
        *state, data = given
        return super().test_step(*state, (bound(self._reads(), data),))

    def predict_step(self, *given: Any) -> Any:
        *state, data = given
        found = super().predict_step(*state, (bound(self._reads(), data),))
        outputs, *others = found if state else (found,)
        apart = keras.tree.map_structure(lambda value: ops.expand_dims(value, 0), outputs)  # one for each batch
        return (apart, *others) if state else apart

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Array:
        total = y_pred[0]
        for loss in self.losses:
            total = total + ops.cast(ops.sum(loss), total.dtype)
        if training:
            self._move_all()
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        self._means.update(y_pred[1], count_of(x))
        return self.get_metrics_result()

    @property
    def metrics(self) -> list[Any]:
        return [*super().metrics, *self._means]


@keras.saving.register_keras_serializable("wye")
class Over(Stilled, keras.Model):
    """A model whose loss is an objective over its outputs; see `Objective.over`."""

    def __init__(self, objective: Fitted, model: keras.Model, name: str | None = None) -> None:
        super().__init__(name=name)
        self.objective, self.model = objective, model
        objective._held.outer.add(self)  # pyright: ignore[reportPrivateUsage]

    def build(self, _: Any) -> None:
        """The model inside is built as it is called."""

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.model(inputs, training=training)

    def compute_output_spec(self, inputs: Any, **_: Any) -> Any:
        return self.model(inputs)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Array:
        total, terms = self.objective.on(self._given(x, y, y_pred, sample_weight))
        for loss in self.losses:
            total = total + ops.cast(ops.sum(loss), total.dtype)
        self.objective._means.update(terms, count_of(x))  # pyright: ignore[reportPrivateUsage]
        if training:
            self.objective._move_all()  # pyright: ignore[reportPrivateUsage]
        return total

    def _given(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> dict[str, Any]:
        """What the objective may read, by name."""
        names = getattr(self.model, "output_names", None)
        if isinstance(y_pred, list | tuple) and names:
            y_pred = dict(zip(names, y_pred, strict=True))  # pyright: ignore[reportUnknownArgumentType]
        elif not isinstance(y_pred, Mapping) and names:
            y_pred = {names[0]: y_pred, "y_pred": y_pred}
        given: dict[str, Any] = {}
        for name, value in (("x", x), ("y", y), ("y_pred", y_pred), ("sample_weight", sample_weight)):
            if isinstance(value, Mapping):
                given |= value
            elif value is not None:
                given[name] = value
        return given

    @property
    def metrics(self) -> list[Any]:
        return [*super().metrics, *self.objective._means]  # pyright: ignore[reportPrivateUsage]

    def get_config(self) -> dict[str, Any]:
        announce(self)
        objective, model = map(keras.saving.serialize_keras_object, (self.objective, self.model))
        return {"objective": objective, "model": model, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Over:  # pyright: ignore
        objective, model = (keras.saving.deserialize_keras_object(config[name]) for name in ("objective", "model"))
        return cls(objective, model, config["name"])
