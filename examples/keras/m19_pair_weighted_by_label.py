"""A loss of pairs, weighted by their label.

The contrastive loss of pairs (see m17) times 0.3 (text) where label is 1, else 0.7 (image).

`label_weights=(0.7, 0.3)` are the weights of labels 0 and 1, in formulas and in `wye.losses.pair` alike. Here two
layers see the left and the right half of digits and learn whether the halves are of one image. The weights say which kind of error matters more; they are part of the formula, and switched with it.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from sklearn.datasets import load_digits

import wye.keras as wye


def formula(label_weights: tuple[float, float]) -> str:
    """The loss, with these weights for labels 0 and 1."""
    return f"pair(unit(see(left)), unit(read(right)), label, label_weights={label_weights})"


def two_networks(features: int = 16, label_weights: tuple[float, float] = (0.7, 0.3)) -> wye.Objective:
    """Both layers, and the loss of their pairs."""
    layers = {"see": keras.layers.Dense(features), "read": keras.layers.Dense(features)}
    return wye.Objective(formula(label_weights), **layers)


def halves() -> dict[str, Any]:
    """Every left half beside its own right half, label 1, and beside another image's, label 0."""
    image = (load_digits().images / 16).astype("float32")
    left, right = image[:, :, :4].reshape(-1, 32), image[:, :, 4:].reshape(-1, 32)
    return {
        "left": np.concatenate([left, left]),
        "right": np.concatenate([right, np.roll(right, 7, axis=0)]),
        "label": np.repeat([1, 0], len(image)),
    }


def cosines(loss: wye.Objective, pairs: dict[str, Any]) -> tuple[float, float]:
    """The mean cosine of pairs with label 1, and with label 0."""
    left, right = loss.see(pairs["left"]), loss.read(pairs["right"])
    s = keras.ops.convert_to_numpy(wye.evaluate("cosine(left, right)", left=left, right=right))
    return float(s[pairs["label"] == 1].mean()), float(s[pairs["label"] == 0].mean())


def main() -> None:
    pairs = halves()
    image, text = keras.ops.array([[1.0, 0.0], [1.0, 0.0]]), keras.ops.array([[0.5, 1.0], [0.5, 1.0]])
    label = keras.ops.array([1, 0])
    print("Two pairs with s = 0.5, labels 1 and 0:")
    for weights in (None, (0.7, 0.3)):
        each = wye.losses.pair(image, text, label, label_weights=weights, reduction="none")
        shown = ", ".join(f"{value:.2f}" for value in keras.ops.convert_to_numpy(each))
        print(f"  label_weights={weights!s:10} {shown}")

    keras.utils.set_random_seed(0)
    loss = two_networks()
    loss.compile(keras.optimizers.Adam(0.01))
    print("\nTwo layers trained together, 5 epochs with each pair of weights, one after the other:")
    for weights in ((0.3, 0.7), (0.7, 0.3)):
        loss.formula = formula(weights)
        loss.fit(pairs, batch_size=128, epochs=5, verbose=0)
        own, other = cosines(loss, pairs)
        print(f"  {weights}: the mean cosine is {own:.2f} for halves of one image, {other:.2f} for others")


if __name__ == "__main__":
    main()
