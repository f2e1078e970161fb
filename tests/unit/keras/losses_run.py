"""What the named losses do on one backend of Keras: `KERAS_BACKEND=jax python -m tests.unit.keras.losses_run`.

It prints, as JSON, the value and the gradients of a loss of pairs, and what became of labels that are none; and of
every loss what became of an empty batch, of 16 bits, and of shapes that do not fit.
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
from tests.unit.loss_samples import SAMPLES
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
        return tuple(tape.gradient(value, [a, b]))
    if keras.backend.backend() == "jax":
        import jax

        return jax.grad(step, argnums=(0, 1))(a, b, label)
    import torch

    a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
    return torch.autograd.grad(step(a, b, label), (a, b), allow_unused=True)


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


def safe(name: str) -> dict[str, Any]:
    """The mean of an empty batch, and its gradients; losses in 16 bits and in 32; what is said of a short value."""
    loss = getattr(losses, name)

    def given(rows: int, dtype: str = "float32") -> dict[str, Any]:
        arrays = SAMPLES[name](rows)
        return {
            key: ops.convert_to_tensor(value, dtype if value.dtype.kind == "f" else None)
            for key, value in arrays.items()
        }

    values = given(0)
    first = next(iter(values))
    found: dict[str, Any] = {"empty": float(loss(**values)), "dtypes": []}
    many = given(50)
    others = [key for key in many if key != first][:2]
    step: Step = lambda a, b, c: loss(**{**given(0), first: a})  # noqa: E731
    slope, _ = slopes(step, values[first], ops.convert_to_tensor([1.0]), None)
    found["slopes"] = slope is not None and numbers(slope) == []
    for dtype in ("bfloat16", "float16"):
        short = given(50, dtype)
        wide = {
            key: ops.cast(value, "float32") if key == first or SAMPLES[name](1)[key].dtype.kind == "f" else value
            for key, value in short.items()
        }
        rows = loss(**short, reduction="none")
        found["dtypes"].append(keras.backend.standardize_dtype(rows.dtype))
        found[dtype] = [numbers(ops.cast(rows, "float32")), numbers(loss(**wide, reduction="none"))]
    try:
        loss(**{**many, others[0]: many[others[0]][:7]})
    except ShapeError as error:
        found["refused"] = str(error)
    return found


def ids_out_of_range() -> dict[str, Any]:
    """What the backend makes of an index that is too large, and what a loss of such an id says, or is in a graph."""
    x, row = ops.convert_to_tensor(A, "float32"), ops.convert_to_tensor([0, 1, 2, 0, 1, 3])
    jax = keras.backend.backend() == "jax"
    found: dict[str, Any] = {"clamped": float(x[0, row[5]]) == float(x[0, 2]) if jax else True, "told": [], "nan": []}
    for name in ("cross_entropy", "nll", "focal_cross_entropy"):
        loss = getattr(losses, name)
        try:
            loss(x, row)
        except RangeError as error:
            found["told"].append(str(error).splitlines()[0])
        step: Step = lambda x, row, _, loss=loss: loss(x, row, reduction="none")  # noqa: E731
        found["nan"] += [np.isnan(numbers(make(step)(x, row, x))).tolist() for make in captured().values()]
    return found


def numbers(x: Any) -> list[Any]:
    return np.asarray(x.detach().numpy() if hasattr(x, "detach") else x, float).tolist()


if __name__ == "__main__":
    pairs = {name: of_pairs(name) for name in ("pair", "pair_margin")}
    report = {**pairs, "safe": {name: safe(name) for name in SAMPLES}, "ids": ids_out_of_range()}
    json.dump(report, sys.stdout)
