"""Random depth over distinct layers, on Keras.

A die 0..3 per step picks how many of three different middle layers (of equal widths; others are refused when built)
run; log-softmax out.

The die falls once for each batch of `fit`, in the compiled step too: it is a hash of a seed and of the step, and both
are saved with the weights. The layers beyond it get a gradient of zero. In evaluation nothing is drawn: all three run.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import keras
import numpy as np
from sklearn.datasets import load_digits

import wye.keras as wye


def layer(width: int) -> keras.layers.Dense:
    return keras.layers.Dense(width, activation="relu")


def network(width: int = 32) -> wye.Chain:
    """64 -> width, then 0 to 3 of three layers, then the log-probabilities of ten digits."""
    return wye.Chain(
        first=layer(width),
        middle=wye.Repeat([layer(width), layer(width), layer(width)], "die(0, 3)"),
        last=keras.layers.Dense(10),
        log_p="log_softmax(x)",
    )


def objective(net: wye.Chain) -> wye.Objective:
    """The negative log-likelihood of what the network makes of an image."""
    return wye.Objective("-mean(net(image)[b, label[b]])", net=net)


def digits() -> tuple[Any, Any]:
    data = load_digits()
    return (data.data / 16).astype("float32"), data.target


class Depths(keras.callbacks.Callback):
    """How many of the middle layers moved in each batch; with plain SGD that is what the die showed."""

    def __init__(self, middle: wye.Repeat) -> None:
        super().__init__()
        self.blocks = [getattr(middle, str(place)) for place in range(3)]
        self.seen: list[int] = []

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        self.before = [block.get_weights()[0] for block in self.blocks]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = [block.get_weights()[0] for block in self.blocks]
        self.seen.append(sum(bool((one != was).any()) for one, was in zip(now, self.before, strict=True)))


def right(net: wye.Chain, image: Any, label: Any) -> str:
    return f"{np.mean(keras.ops.convert_to_numpy(net(image)).argmax(1) == label):.0%}"


def main() -> None:
    keras.utils.set_random_seed(0)
    image, label = digits()
    train, test = slice(0, 1400), slice(1400, None)
    net = network()
    loss = objective(net)
    net(image[:2])
    depths = Depths(net.middle)
    loss.compile(keras.optimizers.SGD(0.1))
    batches = {"image": image[train], "label": label[train]}
    loss.fit(batches, batch_size=70, epochs=15, verbose=0, callbacks=[depths])
    counts = Counter(depths.seen)
    print("300 steps of SGD, each with a die of its own. How many of the middle layers moved:")
    print("  " + ", ".join(f"{depth} layers on {counts[depth]} steps" for depth in sorted(counts)))

    log_p = keras.ops.convert_to_numpy(net(image[test]))
    print(f"\nThe probabilities of a new image sum to {np.exp(log_p[0]).sum():.4f}.")
    print("Out of training nothing is drawn. Right on new images, at the greatest depth and at each one set by hand:")
    print(f"  {net.middle.times}: {right(net, image[test], label[test])}")
    for depth in range(4):
        net.middle.times = depth
        print(f"  {depth} layers: {right(net, image[test], label[test])}")

    print("\nLayers of unequal widths are refused when built:")
    try:
        wye.Repeat([layer(32), layer(16), layer(32)], "die(0, 3)")
    except wye.WyeError as error:
        print(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
