"""A loss of pairs with a margin on both sides.

With s = Σ image·text along the features, one value per pair, and `label` 1 for pairs that belong together: the mean of
`max(0, m - s)` where label is 1, else `max(0, s + m)`, m = 0.2.

`pair_margin` is a function of formulas, and `wye.losses.pair_margin` one of Python. A pair that is on its side of the
margin costs nothing, and moves no weight. Here two layers see two sets of ten measurements of tumours, the mean ones
and the worst ones, and learn which sets are of one patient.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from sklearn.datasets import load_breast_cancer

import wye.keras as wye


def two_networks(features: int = 16, margin: float = 0.2) -> wye.Objective:
    """Both layers, and the loss of their pairs."""
    return wye.Objective(
        f"pair_margin(unit(see(mean_of)), unit(read(worst_of)), label, margin={margin})",
        see=keras.layers.Dense(features),
        read=keras.layers.Dense(features),
    )


def patients() -> dict[str, Any]:
    """The two sets of one patient, label 1, and those of two patients, label 0; standardised."""
    data = load_breast_cancer().data
    data = ((data - data.mean(0)) / data.std(0)).astype("float32")
    first, worst, other = data[:, :10], data[:, 20:], np.roll(np.arange(len(data)), 5)
    return {
        "mean_of": np.concatenate([first, first]),
        "worst_of": np.concatenate([worst, worst[other]]),
        "label": np.repeat([1, 0], len(data)),
    }


def done(loss: wye.Objective, pairs: dict[str, Any]) -> str:
    """The share of pairs that are on their side of the margin: their loss is zero."""
    a, c = loss.see(pairs["mean_of"]), loss.read(pairs["worst_of"])
    label = keras.ops.convert_to_tensor(pairs["label"])
    each = wye.evaluate("pair_margin(unit(a), unit(c), label, reduction='none')", a=a, c=c, label=label)
    return f"{np.mean(keras.ops.convert_to_numpy(each) == 0):.0%}"


def main() -> None:
    keras.utils.set_random_seed(0)
    print("The loss of one pair, by s and label:")
    for s in (-0.5, -0.2, 0.0, 0.2, 0.5):
        image, text = keras.ops.array([[2.0, 1.0]]), keras.ops.array([[s / 2, 0.0]])
        losses = [float(wye.losses.pair_margin(image, text, keras.ops.array([label]))) for label in (1, 0)]
        print(f"  s = {s:4}: {losses[0]:.2f} for label 1, {losses[1]:.2f} for label 0")

    loss, pairs = two_networks(), patients()
    loss.compile(keras.optimizers.Adam(0.01))
    before = loss.evaluate(pairs, verbose=0)
    print(f"\nTwo layers trained together. Before: loss {before:.3f}, {done(loss, pairs)} of the pairs are done with.")
    after = loss.fit(pairs, batch_size=64, epochs=15, verbose=0).history["loss"][-1]
    print(f"After 15 epochs: loss {after:.3f}, {done(loss, pairs)} of the pairs are done with.")


if __name__ == "__main__":
    main()
