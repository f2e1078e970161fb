"""Models written by hand: a subclass of `keras.Model` with the loss in `keras.ops`, against which a fit is held."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from tests.keras.plain import array, dense

Loss = Callable[[Any, Any], Any]
COUNT, BATCH = 40, 8

DATA: dict[str, Any] = {
    "image": array(1, COUNT, 6),
    "text": array(2, COUNT, 5),
    "label": np.random.default_rng(3).integers(0, 3, COUNT),
}
PULL = "mean((see(image)[b, k] - read(text)[b, k]) ** 2)"
SIZE = "mean(see(image)[b, k] ** 2)"


class Plain(keras.Model):
    """Layers by name, and a loss written by hand: `loss(model, batch)`."""

    def __init__(self, loss: Loss, **layers: Any) -> None:
        super().__init__()
        self.by_hand = loss
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.which = keras.Variable(0.0, trainable=False)
        self.now: bool | None = None

    def call(self, batch: Any, training: bool | None = None) -> Any:
        self.now = training  # on JAX a layer of Keras passes it on only where it is written out
        return self.by_hand(self, batch)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        return sum((ops.sum(loss) for loss in self.losses), y_pred)


def pull(model: Any, batch: Any) -> Any:
    return ops.mean(ops.square(model.see(batch["image"], training=model.now) - model.read(batch["text"])))


def size(model: Any, batch: Any) -> Any:
    return ops.mean(ops.square(model.see(batch["image"])))


def towers() -> dict[str, Any]:
    return {"see": dense(1, 4, activation="tanh"), "read": dense(2, 4)}


def of(x: dict[str, Any], start: int = 0, stop: int | None = None) -> dict[str, Any]:
    return {name: value[start:stop] for name, value in x.items()}


def stepped(model: Any, steps: int, before: Callable[[Any, int], None] | None = None, **targets: Any) -> Any:
    """Some steps on batches in order, over and over, by `train_on_batch`."""
    x = targets.pop("x", DATA)
    for step in range(steps):
        if before is not None:
            before(model, step)
        start = step * BATCH % COUNT
        model.train_on_batch(of(x, start, start + BATCH), **of(targets, start, start + BATCH))
    return model
