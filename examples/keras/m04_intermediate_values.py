"""Intermediate values of a network, named and used again, on Keras.

Name a value on the way, use it twice, join it with a later one, stop its gradient.

The lines of a formula name values. Here `early` is made once, goes on into the next layer, is added to what comes out
there, and is also read by a probe that guesses the digit from it. `stop` keeps the probe from changing what it reads.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from sklearn.datasets import load_digits

import wye.keras as wye

FORMULA = """\
early = relu(encode(image))
late = relu(deepen(early))
classify(early + late), probe(stop(early))"""

LOSS = """\
logits, guess = net(image)
final = cross_entropy(logits, label)
first = cross_entropy(guess, label)
final + first"""


def network(width: int = 32, dropout: float = 0.0) -> wye.Join:
    """Scores of the ten digits, and the guess of the probe."""
    return wye.Join(
        FORMULA,
        encode=keras.Sequential([keras.layers.Dense(width), keras.layers.Dropout(dropout)]),
        deepen=keras.layers.Dense(width),
        classify=keras.layers.Dense(10),
        probe=keras.layers.Dense(10),
    )


def objective(net: wye.Join) -> wye.Objective:
    """Both guesses learn; the total is the sum."""
    return wye.Objective(LOSS, net=net)


def reaches_the_encoder(net: wye.Join, batch: dict[str, Any]) -> bool:
    """Whether a step of the probe's own loss, by plain SGD, moves the weights of the encoder."""
    own = wye.Objective(LOSS.replace("final + first", "first + 0 * final"), net=net)
    own.compile(keras.optimizers.SGD(0.1))
    before = net.encode.get_weights()
    own.train_on_batch(batch)
    return any((now != was).any() for now, was in zip(net.encode.get_weights(), before, strict=True))


def main() -> None:
    keras.utils.set_random_seed(0)
    data = load_digits()
    image, label = (data.data / 16).astype("float32"), data.target
    train, test = {"image": image[:1400], "label": label[:1400]}, slice(1400, None)
    net = network()
    loss = objective(net)
    print(f"The network is this formula:\n{net.formula}\n")

    loss.compile(keras.optimizers.Adam(0.01))
    seen = loss.fit(train, batch_size=140, epochs=10, verbose=0).history
    for epoch in (0, 4, 9):
        print(f"epoch {epoch + 1:2}: final {seen['final'][epoch]:.3f} + first {seen['first'][epoch]:.3f}")
    scores = [keras.ops.convert_to_numpy(one) for one in net(image[test])]
    hits = [float(np.mean(one.argmax(1) == label[test])) for one in scores]
    print(f"Right on new images: {hits[0]:.0%} in the end, {hits[1]:.0%} already from `early`.\n")

    for text in (FORMULA, FORMULA.replace("stop(early)", "early")):
        net.formula = text
        reaches = reaches_the_encoder(net, train)
        last = text.splitlines()[-1]
        print(f"{last}\n  the probe's own loss {'reaches' if reaches else 'does not reach'} the encoder")

    print("\nThe same call written twice is one value, dropout included; two draws are asked for by number:")
    noisy = network(dropout=0.5)
    for text in ("encode(image) - encode(image)", "encode(image, draw=1) - encode(image, draw=2)"):
        noisy.formula = text
        zero = bool(keras.ops.all(noisy(image, training=True) == 0))
        print(f"  {text} {'is zero' if zero else 'is not zero'}")


if __name__ == "__main__":
    main()
