"""What the tests of all backends share: arrays that are the same everywhere, and tensors as NumPy sees them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

BACKEND = keras.backend.backend()


def array(seed: int, *shape: int) -> Any:
    """Standard normal numbers in float32."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def tensor(seed: int, *shape: int) -> Any:
    return keras.ops.convert_to_tensor(array(seed, *shape))


def numbers(x: Any) -> Any:
    """Any tensor as a NumPy array of its own."""
    return np.array(keras.ops.convert_to_numpy(x))


def dense(seed: int, units: int, width: int | None = None, **settings: Any) -> keras.layers.Dense:
    """A Dense layer that begins as all others of that seed; built where its width is given."""
    layer = keras.layers.Dense(
        units,
        kernel_initializer=keras.initializers.GlorotUniform(seed),
        bias_initializer=keras.initializers.RandomNormal(stddev=0.1, seed=seed + 100),
        **settings,
    )
    if width is not None:
        layer.build((None, width))
    return layer


def line(layer: Any, x: Any) -> Any:
    """A Dense layer without activation, in NumPy and float64."""
    return np.asarray(x, "float64") @ numbers(layer.kernel).astype("float64") + numbers(layer.bias)


def alike(found: Any, wanted: Any, tolerance: float = 1e-5) -> None:
    np.testing.assert_allclose(numbers(found), wanted, rtol=tolerance, atol=tolerance)


def weights(model: Any) -> list[Any]:
    return [numbers(variable) for variable in model.trainable_variables]


def slots(optimizer: Any) -> list[Any]:
    """All that an optimizer holds: its iterations, its rate, and its moments of each weight."""
    return [numbers(variable) for variable in optimizer.variables]


def same(found: list[Any], wanted: list[Any], tolerance: float = 1e-6) -> None:
    """Arrays that agree one by one."""
    assert len(found) == len(wanted) > 0
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * 1e-1)
