"""A contrastive loss of pairs: two networks in one loss.

With s = Σ image·text along the features, one value per pair, and `label` 1 for pairs that belong together: the mean of
`1 - s` where label is 1, else `max(0, s + 0.1)`.

`pair` is a function of formulas, and `wye.losses.pair` one of Python. Here two layers see the upper and the lower half
of digits and learn whether the halves are of one image; `unit` makes s the cosine of what they give.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from sklearn.datasets import load_digits

import wye.keras as wye


def two_networks(features: int = 16) -> wye.Objective:
    """Both layers, and the loss of their pairs."""
    return wye.Objective(
        "pair(unit(see(upper)), unit(read(lower)), label)",
        see=keras.layers.Dense(features),
        read=keras.layers.Dense(features),
    )


def halves() -> dict[str, Any]:
    """Every upper half beside its own lower half, label 1, and beside another image's, label 0."""
    image = (load_digits().images / 16).astype("float32").reshape(-1, 64)
    other = np.roll(np.arange(len(image)), 7)
    return {
        "upper": np.concatenate([image[:, :32], image[:, :32]]),
        "lower": np.concatenate([image[:, 32:], image[other, 32:]]),
        "label": np.repeat([1, 0], len(image)),
    }


def main() -> None:
    keras.utils.set_random_seed(0)
    print("The loss of one pair, by s and label:")
    for s in (-0.5, -0.1, 0.0, 0.5, 1.0):
        image, text = keras.ops.array([[2.0, 1.0]]), keras.ops.array([[s / 2, 0.0]])
        losses = [float(wye.losses.pair(image, text, keras.ops.array([label]))) for label in (1, 0)]
        print(f"  s = {s:4}: {losses[0]:.2f} for label 1, {losses[1]:.2f} for label 0")

    loss, pairs = two_networks(), halves()
    loss.compile(keras.optimizers.Adam(0.01))
    before = loss.evaluate(pairs, verbose=0)
    after = loss.fit(pairs, batch_size=128, epochs=10, verbose=0).history["loss"][-1]
    print(f"\nTwo layers trained together for 10 epochs: loss {before:.3f} -> {after:.3f}")
    s = wye.evaluate("sum(unit(a)[b, k] * unit(c)[b, k], k)", a=loss.see(pairs["upper"]), c=loss.read(pairs["lower"]))
    s = keras.ops.convert_to_numpy(s)
    means = [s[pairs["label"] == label].mean() for label in (1, 0)]
    print(f"The mean cosine is {means[0]:.2f} for halves of one image, {means[1]:.2f} for others.")

    print("\nA label that is no whole number:")
    try:
        loss(upper=pairs["upper"], lower=pairs["lower"], label=keras.ops.ones(len(s)))
    except wye.WyeError as error:
        print(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
