"""A loss of pairs, weighted by their label.

The contrastive loss of pairs (see m17) times 0.3 (text) where label is 1, else 0.7 (image).

`label_weights=(0.7, 0.3)` are the weights of labels 0 and 1, in formulas and in `wye.losses.pair` alike. Here two
layers see the upper and the lower half of digits and learn whether the halves are of one image. Seven of ten pairs
are; with the weights both labels count alike, without them pairs that do not belong together are hardly held apart.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from sklearn.datasets import load_digits

import wye.keras as wye

LABEL_WEIGHTS = (0.7, 0.3)


def two_networks(label_weights: tuple[float, float] | None = LABEL_WEIGHTS, features: int = 16) -> wye.Objective:
    """Both layers, and the loss of their pairs with these weights for labels 0 and 1."""
    options = "" if label_weights is None else f", label_weights={label_weights}"
    layers = {"see": keras.layers.Dense(features), "read": keras.layers.Dense(features)}
    return wye.Objective(f"pair(unit(see(upper)), unit(read(lower)), label{options})", **layers)


def halves() -> dict[str, Any]:
    """Upper halves, twice; seven of ten beside their own lower half, label 1, the others beside another's, label 0."""
    image = (load_digits().images / 16).astype("float32").reshape(-1, 64)
    image = np.concatenate([image, image])
    label = (np.arange(len(image)) % 10 < 7).astype("int32")
    lower = np.where(label[:, None] == 1, image[:, 32:], np.roll(image[:, 32:], 7, axis=0))
    return {"upper": image[:, :32], "lower": lower, "label": label}


def cosines(loss: wye.Objective, pairs: dict[str, Any]) -> tuple[float, float]:
    """The mean cosine of pairs with label 1, and with label 0."""
    upper, lower = loss.see(pairs["upper"]), loss.read(pairs["lower"])
    s = keras.ops.convert_to_numpy(wye.evaluate("cosine(upper, lower)", upper=upper, lower=lower))
    return float(s[pairs["label"] == 1].mean()), float(s[pairs["label"] == 0].mean())


def main() -> None:
    image, text = keras.ops.array([[1.0, 0.0], [1.0, 0.0]]), keras.ops.array([[0.5, 1.0], [0.5, 1.0]])
    label = keras.ops.array([1, 0])
    print("Two pairs with s = 0.5, labels 1 and 0:")
    for weights in (None, LABEL_WEIGHTS):
        each = wye.losses.pair(image, text, label, label_weights=weights, reduction="none")
        shown = ", ".join(f"{value:.2f}" for value in keras.ops.convert_to_numpy(each))
        print(f"  label_weights={weights!s:10} {shown}")

    pairs = halves()
    print("\nTwo layers trained together for 10 epochs; the mean cosine of halves of one image, and of others:")
    for weights in (None, LABEL_WEIGHTS):
        keras.utils.set_random_seed(0)
        loss = two_networks(weights)
        loss.compile(keras.optimizers.Adam(0.01))
        loss.fit(pairs, batch_size=128, epochs=10, verbose=0)
        own, other = cosines(loss, pairs)
        print(f"  label_weights={weights!s:10} {own:.2f}, {other:.2f}")


if __name__ == "__main__":
    main()
