"""What the named losses do on one backend of Keras: `KERAS_BACKEND=jax python -m tests.unit.keras.losses_run`.

It prints, as JSON, the value and the gradients of a loss of pairs, and what became of labels that are none.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

import wye.keras.losses as losses
from wye.errors import RangeError, ShapeError

Step = Callable[[Any, Any, Any], Any]

SETTINGS: dict[str, Any] = {"margin": 0.25, "label_weights": (0.7, 0.3)}
A = np.arange(-9, 9).reshape(6, 3) / 8
B = np.cos(np.arange(18.0)).reshape(6, 3)
LABEL = [1, 0, 0, 1, 0, 1]
WRONG = [1, 0, 0, 1, 0, 2]


def captured() -> dict[str, Callable[[Step], Step]]:
    """Ways to turn a step into a graph on this backend."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return {"graph": tf.function, "compiled": lambda step: tf.function(step, jit_compile=True)}
    if keras.backend.backend() == "jax":
        import jax

        return {"compiled": jax.jit}
    return {}


def slopes(step: Step, a: Any, b: Any, label: Any) -> tuple[Any, Any]:
    """The gradients of a step in both values."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch([a, b])
            value = step(a, b, label)
        return tape.gradient(value, [a, b])
    if keras.backend.backend() == "jax":
        import jax

        return jax.grad(step, argnums=(0, 1))(a, b, label)
    import torch

    a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
    return torch.autograd.grad(step(a, b, label), (a, b))


def of_pairs(name: str) -> dict[str, Any]:
    loss = getattr(losses, name)
    a, b = ops.convert_to_tensor(A, "float32"), ops.convert_to_tensor(B, "float32")
    label, wrong = ops.convert_to_tensor(LABEL), ops.convert_to_tensor(WRONG)
    rows: Step = lambda a, b, label: loss(a, b, label, reduction="none", **SETTINGS)  # noqa: E731
    mean: Step = lambda a, b, label: loss(a, b, label, **SETTINGS)  # noqa: E731
    ways: dict[str, Callable[[Step], Step]] = {"eager": lambda step: step, **captured()}
    found: dict[str, Any] = {
        "rows": {way: numbers(make(rows)(a, b, label)) for way, make in ways.items()},
        "truths": numbers(rows(a, b, ops.cast(label, "bool"))),
        "mean": {way: float(make(mean)(a, b, label)) for way, make in ways.items()},
        "slopes": {way: [numbers(one) for one in slopes(make(mean), a, b, label)] for way, make in ways.items()},
        "wrong": {way: np.isnan(numbers(make(rows)(a, b, wrong))).tolist() for way, make in captured().items()},
    }
    for kind, given in ((RangeError, wrong), (ShapeError, ops.cast(label, "float32")), (ShapeError, label[:, None])):
        try:
            rows(a, b, given)
        except kind as error:
            found.setdefault("refused", []).append(str(error))
    symbols = [keras.Input((3,)), keras.Input((3,)), keras.Input((), dtype="int32")]
    model = keras.Model(symbols, loss(*symbols, **SETTINGS))
    found["model"] = float(model([a, b, ops.cast(label, "int32")]))
    return found


def numbers(x: Any) -> list[Any]:
    return np.asarray(x.detach().numpy() if hasattr(x, "detach") else x, float).tolist()


if __name__ == "__main__":
    json.dump({name: of_pairs(name) for name in ("pair", "pair_margin")}, sys.stdout)
