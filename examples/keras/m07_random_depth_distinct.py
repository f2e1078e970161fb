"""Random depth over distinct layers, on Keras.

A die 0..3 per step picks how many of three different middle layers (of equal widths; others are refused when built)
run; log-softmax out.

The die falls once for each batch, in the compiled step too: it is a hash of a seed and of the step, and both
are saved with the weights. The layers beyond it get a gradient of zero. In evaluation nothing is drawn: all three run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
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


def trained(net: wye.Chain, loss: wye.Objective, batches: Iterable[dict[str, Any]]) -> list[int]:
    """A step on each batch, and how many of the middle layers it moved: with plain SGD that is what the die showed."""
    blocks, depths = [getattr(net.middle, str(place)) for place in range(3)], list[int]()
    for batch in batches:
        before = [block.get_weights()[0] for block in blocks]
        loss.train_on_batch(batch)
        pairs = zip(blocks, before, strict=True)
        depths.append(sum(bool((block.get_weights()[0] != was).any()) for block, was in pairs))
    return depths


def right(net: wye.Chain, image: Any, label: Any) -> str:
    return f"{np.mean(keras.ops.convert_to_numpy(net(image)).argmax(1) == label):.0%}"


def main() -> None:
    keras.utils.set_random_seed(0)
    image, label = digits()
    test = slice(1400, None)
    net = network()
    loss = objective(net)
    net(image[:2])
    loss.compile(keras.optimizers.SGD(0.1))
    rows = [np.random.permutation(1400)[:70] for _ in range(300)]
    depths = trained(net, loss, ({"image": image[one], "label": label[one]} for one in rows))
    counts = Counter(depths)
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
