"""Models to be saved, each with inputs: every kind of part, shared layers, and models that were fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import wye.keras as wye
from tests.keras.by_hand import BATCH, DATA, PULL, SIZE, towers
from tests.keras.plain import array, dense, tensor

X, Y = array(1, 5, 4), array(2, 5, 3)
Kept = tuple[Any, dict[str, Any]]


def layers() -> Kept:
    norm = keras.layers.BatchNormalization()
    join = wye.Join("c(b(a(x))) + y", a=dense(1, 6, activation="tanh"), b=norm, c=dense(2, 3))
    join(X, Y)
    norm.moving_mean.assign(array(3, 6))
    return join, {"x": X, "y": Y}


def values() -> Kept:
    weight, held = keras.Variable(array(4, 4), name="weight"), keras.Variable(array(5, 4), trainable=False)
    picks, small = np.array([3, 1, 0]), keras.ops.cast(tensor(6, 4), "float16")
    text = "take(x * weight + held + shift + cast(small, dtype='float32'), picks, axis=1)"
    return wye.Join(text, weight=weight, held=held, shift=tensor(7, 4), small=small, picks=picks), {"x": X}


def numbers() -> Kept:
    join = wye.Join("x * gain + steps * flag + t + part", gain=0.1, steps=2, flag=True, part="x ** power", power=2,
                    t=wye.Schedule("step / 8"))  # fmt: skip
    join.gain = 0.7
    for _ in range(3):
        join.advance()
    join(X)
    return join, {"x": X}


def table() -> Kept:
    rows, index = array(8, 10, 4), np.array([9, 0, 3, 3, 1], "int32")
    return wye.Join("x[b, d] * t[b, d]", t=wye.Table(rows, by="id")), {"x": X, "id": index}


def switched() -> Kept:
    join = wye.Join("a(x) + y", a=dense(1, 3), strict=False)
    join(X, Y)
    join.formula = "2 * a(x)"
    return join, {"x": X, "y": Y}


def shared() -> Kept:
    """One layer in a Sequential, in two Joins of which one holds the other, and alone."""
    one = dense(1, 4)
    stack = keras.Sequential([one, keras.layers.ReLU()])
    inner = wye.Join("s(x) + one(x)", s=stack, one=one)
    join = wye.Join("inner(x) * one(x) + s(x) + far(x)", inner=inner, one=one, s=stack, far=dense(2, 4))
    join(X)
    return join, {"x": X}


def shared_twice() -> Kept:
    """One layer in two Joins beside each other, and in a functional model."""
    one, x = dense(1, 4), keras.Input((4,))
    model = keras.Model(x, keras.layers.Activation("tanh")(one(x)))
    left, right = wye.Join("one(x) ** 2", one=one), wye.Join("a(one(x))", a=dense(2, 4), one=one)
    join = wye.Join("left(x) + right(x) + model(x)", left=left, right=right, model=model)
    join(X)
    return join, {"x": X}


def frozen() -> Kept:
    one = dense(1, 3)
    join = wye.Join("a(x) + still(x)", a=one, still=wye.frozen(one))
    join(X)
    return join, {"x": X}


def of() -> Kept:
    join = wye.Join.of("max", dense(1, 3), dense(2, 3))
    join(X)
    return join, {"x": X}


def functional() -> Kept:
    x, y = keras.Input((4,), name="x"), keras.Input((3,), name="y")
    join = wye.Join("a(x) * gain + y", a=dense(1, 3), gain=0.5)
    return keras.Model({"x": x, "y": y}, dense(2, 2)(join(x, y))), {"x": X, "y": Y}


def sequential() -> Kept:
    model = keras.Sequential([wye.Join("a(x) ** 2", a=dense(1, 3)), dense(2, 2)])
    model(X)
    return model, {"the_input": X}


def words() -> Kept:
    embed = keras.layers.Embedding(7, 4, embeddings_initializer=keras.initializers.RandomNormal(seed=1))
    lstm = keras.layers.LSTM(3, kernel_initializer=keras.initializers.GlorotUniform(2),
                             recurrent_initializer=keras.initializers.Orthogonal(seed=3))  # fmt: skip
    join = wye.Join("lstm(embed(text)) + y", embed=embed, lstm=lstm)
    text = np.array([[1, 2, 3], [6, 5, 0], [1, 1, 1], [2, 0, 4], [3, 3, 5]], "int32")
    join(text, Y)
    return join, {"text": text, "y": Y}


def objective() -> Kept:
    model = wye.Objective("pull + beta * size", pull=PULL, size=SIZE, beta=0.3, t=wye.Schedule("step"), **towers())
    model.compile(keras.optimizers.Adam(0.01))
    x = {name: DATA[name] for name in ("image", "text")}
    model.fit(x, batch_size=BATCH, epochs=2, shuffle=False, verbose=0)
    return model, x


def over() -> Kept:
    image = keras.Input((6,))
    net = keras.Model(image, {"logits": dense(1, 3)(image)})
    model = wye.Objective("ce * beta", ce="cross_entropy(logits, label)", beta=2.0).over(net)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9))
    model.fit(DATA["image"], {"label": DATA["label"]}, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
    return model, {"the_input": DATA["image"]}


def compiled_join() -> Kept:
    join = wye.Join("a(x) + y", a=dense(1, 3))
    join.compile("adam", "mse", metrics=["mae"])
    join.fit({"x": X, "y": Y}, Y, batch_size=5, epochs=2, verbose=0)
    return join, {"x": X, "y": Y}


MODELS: dict[str, Callable[[], Kept]] = {
    made.__name__: made
    for made in (
        layers, values, numbers, table, switched, shared, shared_twice, frozen, of, functional, sequential, words,
        objective, over, compiled_join,
    )
}  # fmt: skip
