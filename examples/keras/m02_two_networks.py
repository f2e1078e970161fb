"""Two networks' outputs joined by an operator, and trained by `fit`.

Two dense stacks (784→64→10) see one input; their outputs are joined by + or *, compiled with adam and mse.

The images are handwritten digits, scaled up to 28×28. The joined network is a `keras.Model` like any other: it is
compiled, fit and evaluated. Assigning `formula` switches the operator, between fits or from a callback in the middle
of one; weights and Adam's moments stay.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from sklearn.datasets import load_digits

import wye.keras as wye


def stack() -> keras.Sequential:
    """784→64→10."""
    return keras.Sequential([keras.layers.Dense(64, activation="relu"), keras.layers.Dense(10)])


def two_networks(operator: str) -> wye.Join:
    """`a(x) op b(x)`, compiled with adam and mse."""
    net = wye.Join.of(operator, stack(), stack())
    net.compile(optimizer="adam", loss="mse", metrics=["categorical_accuracy"])
    return net


def digits() -> tuple[Any, Any]:
    """Images of 28×28 pixels in a row, from 0 to 1: each pixel of 8×8 three times each way, and a border of 2."""
    data = load_digits()
    wide = np.kron(data.images / 16, np.ones((1, 3, 3)))
    image = np.pad(wide, ((0, 0), (2, 2), (2, 2))).reshape(-1, 784)
    return image.astype("float32"), np.eye(10, dtype="float32")[data.target]


def switched_at(net: wye.Join, epoch: int, formula: str) -> keras.callbacks.Callback:
    """A callback that assigns the formula when this epoch begins."""

    def on_epoch_begin(now: int, _: Any) -> None:
        if now == epoch:
            net.formula = formula

    return keras.callbacks.LambdaCallback(on_epoch_begin=on_epoch_begin)


def main() -> None:
    image, target = digits()
    train, test = slice(0, 1400), slice(1400, None)
    print("Two stacks of 784→64→10 on one input, fit for 6 epochs each:")
    for operator in ("+", "*"):
        keras.utils.set_random_seed(0)
        net = two_networks(operator)
        net.fit(image[train], target[train], batch_size=50, epochs=6, verbose=0)
        error, right = net.evaluate(image[test], target[test], verbose=0)
        print(f"  {net.formula!s:12} mse {error:.3f}, right on new images {right:.0%}")

    keras.utils.set_random_seed(0)
    net = two_networks("*")
    callbacks = [switched_at(net, 3, "a(x) + b(x)")]
    seen = net.fit(image[train], target[train], batch_size=50, epochs=6, verbose=0, callbacks=callbacks).history
    print("\nOne fit that begins with a(x) * b(x), and is switched when the fourth epoch begins:")
    print("  mse of each epoch:", ", ".join(f"{error:.3f}" for error in seen["loss"]))
    error, right = net.evaluate(image[test], target[test], verbose=0)
    print(f"  {net.formula!s:12} mse {error:.3f}, right on new images {right:.0%}")
    print(f"  Adam has counted {int(net.optimizer.iterations)} steps")


if __name__ == "__main__":
    main()
