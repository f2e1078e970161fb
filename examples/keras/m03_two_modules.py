"""Two layers on one input, joined by an operator, on Keras.

`a(x) op b(x)`, weights of both trained.

A linear model and a small network both see the same patients and guess the progress of their diabetes. `Join.of`
writes the formula from the name of an operator; the formula can also be written by hand, and switched later.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from sklearn.datasets import load_diabetes

import wye.keras as wye

OPERATORS = ("+", "-", "*", "/", "max", "min", "mean")
SHOWN = ("+", "*", "/", "max")


def modules(width: int = 16) -> tuple[keras.Layer, keras.Layer]:
    """A linear model, and a network whose value is positive, so that one can divide by it."""
    deep = [keras.layers.Dense(width, activation="tanh"), keras.layers.Dense(1, activation="softplus")]
    return keras.layers.Dense(1), keras.Sequential(deep)


def two_modules(operator: str) -> wye.Join:
    """`a(x) op b(x)`, with fresh weights."""
    return wye.Join.of(operator, *modules())


def patients() -> tuple[Any, Any]:
    """442 patients with ten measurements each, and the progress of the disease; both standardised."""
    data = load_diabetes()
    x, y = data.data, data.target[:, None]
    return tuple(((values - values.mean(0)) / values.std(0)).astype("float32") for values in (x, y))


def moved(layer: keras.Layer, before: list[Any]) -> float:
    """How far the weights of a layer went from where they were."""
    return float(sum(np.square(now - was).sum() for now, was in zip(layer.get_weights(), before, strict=True)) ** 0.5)


def main() -> None:
    x, y = patients()
    print("Two layers on one input, fit for 20 epochs (an error of 1 is that of the plain mean):")
    for operator in SHOWN:
        keras.utils.set_random_seed(0)
        net = two_modules(operator)
        net(x)
        before = [part.get_weights() for part in (net.a, net.b)]
        net.compile(keras.optimizers.Adam(0.01), "mse")
        error = net.fit(x, y, batch_size=64, epochs=20, verbose=0).history["loss"][-1]
        ways = [moved(part, was) for part, was in zip((net.a, net.b), before, strict=True)]
        print(f"  {net.formula!s:20} error {error:.3f}; weights moved by {ways[0]:.2f} in a, {ways[1]:.2f} in b")

    keras.utils.set_random_seed(0)
    linear, network = modules()
    net = wye.Join("a(x) + b(x)", a=linear, b=network)
    net.compile(keras.optimizers.Adam(0.01), "mse")
    net.fit(x, y, batch_size=64, epochs=10, verbose=0)
    net.formula = "a(x) * sigmoid(b(x)) + b(x)"
    error = net.fit(x, y, batch_size=64, epochs=10, verbose=0).history["loss"][-1]
    print(f"\nSwitched after 10 epochs to {net.formula}: error {error:.3f}")

    print("\nAn unknown operator:")
    try:
        two_modules("plus")
    except wye.WyeError as error:
        print(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
