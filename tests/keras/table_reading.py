"""How tables are read in the tests: the ways to call a function, ids, and what is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tests.keras.plain import BACKEND

if BACKEND == "tensorflow":
    import tensorflow as tf
if BACKEND == "jax":
    import jax

WAYS = {"tensorflow": ["eager", "graph", "xla"], "jax": ["eager", "graph"], "torch": ["eager"]}[BACKEND]
ON_HOST = [way for way in WAYS if way != "xla"]
Run = Callable[[Any], Any]


def ran(run: Run, way: str) -> Run:
    """A function as one calls it that way, on batches of any size."""
    if way == "eager":
        return run
    if BACKEND == "jax":
        return jax.jit(run)
    if way == "xla":
        return tf.function(run, autograph=False, jit_compile=True)
    return tf.function(run, autograph=False, input_signature=[tf.TensorSpec((None,), "int64")])


def ids(values: Any) -> Any:
    return keras.ops.convert_to_tensor(np.asarray(values, "int64"))


def mapped(path: Path, values: np.ndarray, mode: str = "r") -> np.memmap:
    file = np.memmap(path, dtype=values.dtype, mode="w+", shape=values.shape)
    file[:] = values
    file.flush()
    return np.memmap(path, dtype=values.dtype, mode=mode, shape=values.shape)


def filled() -> np.ndarray:
    """Rows of which some are empty and one is full."""
    random = np.random.default_rng(0)
    values = random.random((7, 5)) * (random.random((7, 5)) < 0.3)
    values[3], values[6] = 0, random.random(5)
    return values
