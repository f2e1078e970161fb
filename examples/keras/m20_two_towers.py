"""Two networks of different kinds, trained together in one loss.

A convolutional image tower (64×64×3) and an embedding+LSTM text tower (10,000 words, 20 tokens) to 128 features, one
optimizer over both, compiled step.

The pairs are real: images of handwritten digits, scaled up, and their names, spelled. A text is 20 tokens, one for
each letter behind blanks; no name is known as a whole. After seven epochs an image that neither tower has seen finds
its own name among the ten (recall@1) in about 92 % of the cases, on every backend.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits

import wye.keras as wye

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
WORDS, TOKENS, FEATURES = 10_000, 20, 128
EPOCHS = 7


def image_tower() -> keras.Sequential:
    """(64, 64, 3) -> 128."""
    return keras.Sequential(
        [
            layers.Conv2D(16, 8, strides=8, activation="relu"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(FEATURES),
        ]
    )


def text_tower() -> keras.Sequential:
    """20 tokens of 10,000 words -> 128."""
    return keras.Sequential([layers.Embedding(WORDS, 32), layers.LSTM(64), layers.Dense(FEATURES)])


def two_towers() -> wye.Objective:
    """Both towers, and the contrastive loss of their pairs; one optimizer over its weights trains both."""
    return wye.Objective("pair(unit(see(image)), unit(read(text)), label)", see=image_tower(), read=text_tower())


def tokens(name: str) -> list[int]:
    """A name as 20 tokens: a token for each letter, and 0 before them."""
    letters = [ord(letter) for letter in name]
    return [0] * (TOKENS - len(letters)) + letters


def digits() -> tuple[Any, Any]:
    """Images of 64×64×3, each of 8×8 pixels eight times each way, and the digits they show."""
    data = load_digits()
    wide = np.kron(data.images / 16, np.ones((1, 8, 8)))
    return np.repeat(wide[..., None], 3, axis=3).astype("float32"), data.target


def pairs(image: Any, digit: Any, others: int = 2) -> dict[str, Any]:
    """Every image with its own name, label 1, and with names of other digits, label 0."""
    random = np.random.default_rng(0)
    named = [digit, *((digit + random.integers(1, 10, len(digit))) % 10 for _ in range(others))]
    text = np.array([tokens(name) for name in NAMES], "int32")
    return {
        "image": np.concatenate([image] * len(named)),
        "text": text[np.concatenate(named)],
        "label": np.repeat([1] + [0] * others, len(image)),
    }


def recall(towers: wye.Objective, image: Any, digit: Any) -> float:
    """How often the name nearest to an image is its own."""
    text = keras.ops.convert_to_tensor(np.array([tokens(name) for name in NAMES], "int32"))
    seen, read = towers.see(keras.ops.convert_to_tensor(image)), towers.read(text)
    near = wye.evaluate("sum(seen[i, d] * unit(read)[n, d], d)", seen=seen, read=read)
    return float(np.mean(keras.ops.convert_to_numpy(near).argmax(1) == digit))


def main() -> None:
    keras.utils.set_random_seed(0)
    image, digit = digits()
    train, test = slice(0, 1400), slice(1400, None)
    towers = two_towers()
    towers.compile(keras.optimizers.Adam(0.003))
    batches = pairs(image[train], digit[train])
    for epoch in range(EPOCHS):
        seen = towers.fit(batches, batch_size=64, epochs=1, verbose=0).history
        print(
            f"epoch {epoch + 1}: loss {seen['loss'][-1]:.3f}, recall@1 {recall(towers, image[test], digit[test]):.1%}"
        )


if __name__ == "__main__":
    main()
