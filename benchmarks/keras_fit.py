"""`fit` of a Join and of an Objective, over the same model written as a `keras.Model` with `keras.ops`."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

import wye.keras as wye

from .table import Row, milliseconds
from .timing import interleaved

LIMIT = 1.05
BATCH, IN, OUT = 256, 784, 10


def stack(width: int) -> keras.Model:
    return keras.Sequential([layers.Dense(width, activation="relu"), layers.Dense(OUT)])


class Gated(keras.Model):
    """Two stacks by hand, the product of what they make."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a, self.b = stack(width), stack(width)

    def call(self, x: Any) -> Any:
        return ops.multiply(self.a(x), self.b(x))


class Total(keras.Model):
    """A loss of two terms by hand, over two stacks: what the terms were is followed."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a, self.b = stack(width), stack(width)
        self.means = {name: keras.metrics.Mean(name=name) for name in ("ce", "near")}

    def call(self, batch: Any) -> Any:
        first, second = self.a(batch["image"]), self.b(batch["image"])
        ce = ops.mean(ops.sparse_categorical_crossentropy(batch["label"], first, from_logits=True))
        return {"ce": ce, "near": 0.3 * ops.mean(ops.square(first - second))}

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, *_: Any, **more: Any) -> Any:
        return y_pred["ce"] + y_pred["near"]

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        for name, mean in self.means.items():
            mean.update_state(y_pred[name], sample_weight=ops.shape(x["image"])[0])
        return self.get_metrics_result()


def objective(width: int) -> wye.Objective:
    return wye.Objective(
        "ce + near",
        ce="cross_entropy(first, label)",
        near="0.3 * mse(first, second)",
        first="a(image)",
        second="b(image)",
        a=stack(width),
        b=stack(width),
    )


def rows() -> list[Row]:
    found: list[Row] = []
    for width, steps in ((64, 200), (512, 40)):
        count = steps * BATCH
        draw = np.random.default_rng(0)
        image, label = draw.standard_normal((count, IN)).astype("float32"), draw.integers(0, OUT, count)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        joins: dict[str, Any] = {"wye": wye.Join("a(x) * b(x)", a=stack(width), b=stack(width)), "hand": Gated(width)}
        for model in joins.values():
            model.compile("adam", loss=loss, metrics=["accuracy"])
        found.append(measured(f"fit, Join of two {IN}-{width}-{OUT}", joins, (image, label), steps))
        totals: dict[str, Any] = {"wye": objective(width), "hand": Total(width)}
        for model in totals.values():
            model.compile("adam")
        batch = {"image": image, "label": label}
        found.append(measured(f"fit, Objective over two {IN}-{width}-{OUT}", totals, (batch,), steps))
    return found


def measured(name: str, models: dict[str, Any], data: tuple[Any, ...], steps: int) -> Row:
    """The time of a whole fit of many steps, by step."""
    runs = {
        key: (lambda model=model: model.fit(*data, batch_size=BATCH, shuffle=False, verbose=0))
        for key, model in models.items()
    }
    samples = interleaved(runs, seconds=20.0, rounds=25)
    ours, theirs = (samples.median(key) / steps for key in ("wye", "hand"))
    note = f"{milliseconds(ours)} against {milliseconds(theirs)} a step, batch {BATCH}, {steps} steps"
    return Row(name, samples.ratio("wye", "hand"), LIMIT, note)
