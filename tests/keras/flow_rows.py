"""What a node makes of single samples by a plain function, and its slopes by complex steps: Im f(x + i·h) / h."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

TINY = 1e-30
Plain = Callable[[Any, Any], Any]


class Rooted(keras.Layer):
    """sqrt(w · x), which has no slope at zero and no value below."""

    def __init__(self, weight: float = 1.5) -> None:
        super().__init__()
        self.kernel = self.add_weight(shape=(), initializer=lambda shape, dtype: ops.cast(weight, dtype))
        self.built = True

    def call(self, x: Any) -> Any:
        return ops.sqrt(self.kernel * x)


class Logged(Rooted):
    """log(w · x)."""

    def call(self, x: Any) -> Any:
        return ops.log(self.kernel * x)


class Inverse(Rooted):
    """w / x."""

    def call(self, x: Any) -> Any:
        return self.kernel / x


def by_rows(plain: Plain, x: Any, weight: float = 1.5) -> tuple[Any, Any, Any]:
    """The value of each sample, and the gradients of the plain sum in `x` and in the weight.

    Args:
        plain: from a sample and the weight to the new sample; it decides by real parts.
        x: the batch.
        weight: of the layers above.
    """
    rows = [np.asarray(row, complex) for row in x]
    value = np.array([plain(row, weight).real for row in rows])
    slopes = np.zeros(np.shape(x))
    for i, row in enumerate(rows):
        for k in range(len(row)):
            moved = row.copy()
            moved[k] += 1j * TINY
            slopes[i, k] = plain(moved, weight).sum().imag / TINY
    return value, slopes, sum(plain(row, weight + 1j * TINY).sum().imag / TINY for row in rows)
