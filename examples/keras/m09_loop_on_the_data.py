"""A loop on the data, on Keras.

`while norm(x) < 10: x = relu(mid(x))`, for the batch or for each sample; bounded; a sample that never enters passes
unchanged; the same weights under another forward at test time.

Digits come in all brightnesses. A dim one goes round the loop until its features are large enough, a bright one never
enters. Each sample leaves when it is done, in the compiled steps of `fit` as well; `max_steps` bounds the loop.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
from sklearn.datasets import load_digits

import wye.keras as wye


def network(per: str = "sample", width: int = 32, max_steps: int = 8) -> wye.Chain:
    """64 -> width, the loop, then the scores of ten digits."""
    # A round begins as a growth by one half, and learns from there.
    mid = keras.layers.Dense(width, activation="relu", kernel_initializer=keras.initializers.Identity(1.5))
    return wye.Chain(
        first=keras.layers.Dense(width),
        loop=wye.While("norm(x) < 10", mid, max_steps=max_steps, per=per),
        last=keras.layers.Dense(10),
    )


def compiled(net: wye.Chain, optimizer: Any) -> wye.Chain:
    net.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return net


def fixed_rounds(net: wye.Chain, rounds: int) -> wye.Chain:
    """Another forward over the same weights: as many rounds for every sample."""
    return wye.Chain(first=net.first, loop=wye.Repeat(net.loop.block, rounds), last=net.last)


def from_file(path: Path, rounds: int, width: int = 32) -> wye.Chain:
    """The same for a program that has only the file: a network of its own, with the weights that are in there."""
    block = keras.layers.Dense(width, activation="relu")
    net = wye.Chain(first=keras.layers.Dense(width), loop=wye.Repeat(block, rounds), last=keras.layers.Dense(10))
    net(np.zeros((1, 64), "float32"))
    wye.load_weights(net, path)
    return net


def digits_in_all_lights() -> tuple[Any, Any]:
    """Images of 64 pixels, each brightened by a factor from 0.5 to 8, and the digits they show."""
    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.data))
    light = np.linspace(0.5, 8.0, len(order))[order, None]
    return (data.data / 16 * light).astype("float32"), data.target


def right(net: wye.Chain, image: Any, label: Any) -> str:
    return f"{np.mean(keras.ops.convert_to_numpy(net(image)).argmax(1) == label):.0%}"


def main() -> None:
    keras.utils.set_random_seed(0)
    image, label = digits_in_all_lights()
    train, test = slice(0, 1400), slice(1400, None)
    net = compiled(network(), keras.optimizers.Adam(0.005))
    seen = net.fit(image[train], label[train], batch_size=140, epochs=8, verbose=0).history
    print("80 training steps, each sample with a loop of its own. The loss of each epoch:")
    print("  " + ", ".join(f"{loss:.3f}" for loss in seen["loss"]))

    hidden = keras.ops.convert_to_numpy(net.first(image[test]))
    inside = np.linalg.norm(hidden, axis=1) < 10
    same = (keras.ops.convert_to_numpy(net.loop(hidden)) == hidden).all(1)
    print(f"\nOf {len(inside)} new images {inside.sum()} enter the loop; unchanged are the {same.sum()} others.")
    whole = network("batch")
    norms = np.linalg.norm(keras.ops.convert_to_numpy(whole[:2](image[:4] / 4)), axis=1)
    each = ", ".join(f"{norm:.1f}" for norm in norms)
    print(f"With per='batch' 4 dim images leave together, at a norm of {np.linalg.norm(norms):.1f}; each has {each}.")

    print("\nThe same weights under other forwards, right on new images:")
    print(f"  as trained, {net.loop.condition}: {right(net, image[test], label[test])}")
    net.loop.condition = "norm(x) < 20"
    print(f"  with {net.loop.condition}: {right(net, image[test], label[test])}")
    for rounds in (0, 2, 4):
        print(f"  {rounds} rounds for every sample: {right(fixed_rounds(net, rounds), image[test], label[test])}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "loop.keras")
        wye.save(net, path)
        print(f"  4 rounds, from a file alone: {right(from_file(path, 4), image[test], label[test])}")

    print("\nA bound that is not to be met in silence:")
    try:
        wye.While("norm(x) < 10", net.loop.block, max_steps=2, on_limit="error")(keras.ops.zeros((3, 32)))
    except wye.WyeError as error:
        print(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
