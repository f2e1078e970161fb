"""Random depth over one shared layer, on Keras.

The same layer applied 0..3 times.

A die 0..3 falls once for each batch of `fit`. The layer's weights get the sum of the gradients of all its rounds; on a
step with no round their gradient is zero.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from sklearn.datasets import load_digits

import wye.keras as wye


def network(width: int = 32) -> wye.Chain:
    """64 -> width, then one layer 0 to 3 times, then the scores of ten digits."""
    return wye.Chain(
        first=keras.layers.Dense(width, activation="relu"),
        middle=wye.Repeat(keras.layers.Dense(width, activation="relu"), "die(0, 3)"),
        last=keras.layers.Dense(10),
    )


def compiled(net: wye.Chain, optimizer: Any) -> wye.Chain:
    net.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return net


def digits() -> tuple[Any, Any]:
    data = load_digits()
    return (data.data / 16).astype("float32"), data.target


def main() -> None:
    keras.utils.set_random_seed(0)
    image, label = digits()
    train, test = slice(0, 1400), slice(1400, None)
    net = compiled(network(), keras.optimizers.Adam(0.005))
    seen = net.fit(image[train], label[train], batch_size=70, epochs=8, verbose=0).history
    print("160 steps, each with a die of its own. The loss of each epoch:")
    print("  " + ", ".join(f"{loss:.3f}" for loss in seen["loss"]))
    owned = [tuple(weight.shape) for weight in net.middle.trainable_weights]
    print(f"The layer is owned once, however often it runs: {owned}")

    print("\nOne image in training, ten times: how many different answers the dice give:")
    answers = [keras.ops.convert_to_numpy(net(image[:1], training=True)) for _ in range(10)]
    print(f"  {len({answer.tobytes() for answer in answers})} in training")
    answers = [keras.ops.convert_to_numpy(net(image[:1])) for _ in range(10)]
    print(f"  {len({answer.tobytes() for answer in answers})} out of it, at the greatest depth")

    print("\nRight on new images, by how often the layer runs (five times was never trained):")
    for depth in (0, 1, 2, 3, 5):
        net.middle.times = depth
        scores = keras.ops.convert_to_numpy(net(image[test]))
        print(f"  {depth} times: {np.mean(scores.argmax(1) == label[test]):.0%}")


if __name__ == "__main__":
    main()
