"""How an objective is fit: what a batch holds goes to its inputs by name, its value is the loss, its terms metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras

from ..errors import InputError, listed
from .frozen import Stilled
from .holding import Holder
from .kernels import Array, ops
from .layers import outline, untraced
from .parts import move_all
from .writing import announce

if TYPE_CHECKING:

    class Seen(keras.Model):
        _means: Means
        _held: Holder

        def _reads(self) -> tuple[str, ...]: ...
        def _on(self, mappings: Sequence[Any], training: bool | None = None) -> tuple[Array, dict[str, Array]]: ...
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


def first_of(iterator: Any) -> Any:
    """The first batch of an epoch."""
    for _, _, data in iterator:
        return data[0] if isinstance(data, list | tuple) else next(data)  # pyright: ignore
    return None


def bound(reads: Sequence[str], data: Any) -> dict[str, Any]:
    """A batch by the names of inputs: `x` and `y` where they are dicts, `y` and `sample_weight` where they are read.

    Raises:
        InputError: a target or a weight is given that nobody reads.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    if not isinstance(x, Mapping):
        one = [name for name in reads if name not in ("y", "sample_weight")]
        x = {one[0]: x} if len(one) == 1 else {"x": x}
    check_weights(sample_weight)
    given = {**x, **y} if isinstance(y, Mapping) else dict(x)
    for name, value in (("y", y), ("sample_weight", sample_weight)):
        if value is None or isinstance(value, Mapping):
            continue
        if name not in reads:
            fix = "give targets in the dict, under the names that the formula reads" if name == "y" else ""
            raise unread(name, reads, fix)
        given[name] = value
    return given


def unread(name: str, reads: Sequence[str], fix: str = "") -> InputError:
    """What a fit gives, and no formula reads."""
    what = f"`{name}` is given, which the objective does not read."
    fix = fix or f"read `{name}` in the formula, or leave it out"
    return InputError(what, "Objective.fit(...)", f"inputs {listed(reads)}", fix)


def check_weights(sample_weight: Any) -> None:
    """Refuses weights under the names of targets, which a formula would take for those."""
    if isinstance(sample_weight, Mapping):
        fix = "give them with the targets, under the names that the formula reads"
        raise InputError("`sample_weight` is one tensor.", "Objective.fit(...)", "a dict", fix)


def compiled_with(name: str) -> InputError:
    """What `compile` was given beside the formula, which says all of it."""
    fix = "leave it out: the value of the formula is the loss, and its terms are metrics"
    return InputError(f"`{name}` is given beside a formula.", f"compile(..., {name}=...)", name, fix)


class Moving(Seen):
    """A model whose schedules move with each step of a fit."""

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        loss = super().compute_loss(x, y, y_pred, sample_weight, training=training)
        if training:
            move_all(self)
        return loss


class Weighted(Seen):
    """A model that takes what a fit is given by name, before Keras drops weights or spreads them over all targets."""

    def fit(self, x: Any = None, y: Any = None, *args: Any, sample_weight: Any = None, **kwargs: Any) -> Any:
        if isinstance(kwargs.get("validation_data"), tuple):
            given = keras.utils.unpack_x_y_sample_weight(kwargs["validation_data"])
            kwargs["validation_data"] = self._weighted(*given)
        x, y, sample_weight = self._weighted(x, y, sample_weight)
        if y is None and isinstance(x, Mapping) and kwargs.get("class_weight") is not None:
            raise unread("class_weight", self._reads(), "weigh each class in the formula: mean(w[label[b]] * ...)")
        return super().fit(x, y, *args, sample_weight=sample_weight, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, sample_weight: Any = None, **kwargs: Any) -> Any:
        x, y, sample_weight = self._weighted(x, y, sample_weight)
        return super().evaluate(x, y, *args, sample_weight=sample_weight, **kwargs)

    def _weighted(self, x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        """What Keras gets of what a fit is given."""
        raise NotImplementedError


class Fitted(Weighted):
    """The steps of Keras's trainers, for a model that gives its own loss and terms."""

    def _weighted(self, x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        """Arrays by name, targets and weights among them: Keras drops weights that come without a target."""
        if not isinstance(x, Mapping) and (y is not None or sample_weight is None):
            return x, y, sample_weight
        return bound(self._reads(), (x, y, sample_weight)), None, None

    def _symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        data_batch = first_of(iterator) if data_batch is None else data_batch
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
        if getattr(self, "_compile_loss", None) is not None:
            raise compiled_with("loss")
        total = y_pred[0]
        for loss in self.losses:
            total = total + ops.cast(ops.sum(loss), total.dtype)
        if training:
            move_all(self)
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        if getattr(self, "_compile_metrics", None) is not None:
            raise compiled_with("metrics")
        self._means.update(y_pred[1], count_of(x))
        return self.get_metrics_result()

    @property
    def metrics(self) -> list[Any]:
        return [*super().metrics, *self._means]


@keras.saving.register_keras_serializable("wye")
class Over(Stilled, Weighted, keras.Model):
    """A model whose loss is an objective over its outputs; see `Objective.over`."""

    def __init__(self, objective: Fitted, model: keras.Model, name: str | None = None) -> None:
        super().__init__(name=name)
        self.objective, self.model = objective, model
        objective._held.outer.add(self)  # pyright: ignore[reportPrivateUsage]

    def build(self, _: Any) -> None:
        """The model inside is built as it is called."""

    def _reads(self) -> tuple[str, ...]:
        return self.objective._reads()  # pyright: ignore[reportPrivateUsage]

    def _weighted(self, x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        """Weights among targets that have names: Keras would give each target a copy, under its name."""
        if sample_weight is None or isinstance(sample_weight, Mapping) or not isinstance(y, Mapping):
            return x, y, sample_weight
        if "sample_weight" not in self._reads():
            raise unread("sample_weight", self._reads())
        return x, {**y, "sample_weight": sample_weight}, None

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        return self.model(inputs, training=training)

    def compute_output_spec(self, inputs: Any, **_: Any) -> Any:
        return self.model(inputs)

    def _symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """As that of Keras, which would not build what the objective holds before the optimizer is."""
        if not self.objective.built:
            data_batch = first_of(iterator) if data_batch is None else data_batch
            x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(keras.tree.map_structure(outline, data_batch))
            with untraced(self):
                self.objective._on(self._given(x, y, self.model(x), sample_weight))  # pyright: ignore[reportPrivateUsage]
        private: Any = super()
        private._symbolic_build(iterator, data_batch)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Array:
        if getattr(self, "_compile_loss", None) is not None:
            raise compiled_with("loss")
        given = self._given(x, y, y_pred, sample_weight)
        total, terms = self.objective._on(given, training)  # pyright: ignore[reportPrivateUsage]
        for loss in self.losses:
            total = total + ops.cast(ops.sum(loss), total.dtype)
        self.objective._means.update(terms, count_of(x))  # pyright: ignore[reportPrivateUsage]
        if training:
            move_all(self)
        return total

    def _given(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> list[Any]:
        """What the objective may read by name: of inputs, of targets, of outputs, and what has no name of its own."""
        reads = self._reads()
        check_weights(sample_weight)
        names = getattr(self.model, "output_names", None)
        if isinstance(y_pred, list | tuple) and names:
            y_pred = dict(zip(names, y_pred, strict=True))  # pyright: ignore[reportUnknownArgumentType]
        elif not isinstance(y_pred, Mapping) and names:
            y_pred = {names[0]: y_pred, "y_pred": y_pred}
        for name, value in (("y", y), ("sample_weight", sample_weight)):
            if value is not None and not isinstance(value, Mapping) and name not in reads:
                raise unread(name, reads)
        given = (("x", x), ("y", y), ("y_pred", y_pred), ("sample_weight", sample_weight))
        return [value if isinstance(value, Mapping) else {name: value} for name, value in given if value is not None]

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
