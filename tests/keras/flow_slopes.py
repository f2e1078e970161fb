"""Values and gradients of a layer of a flow, in eager and captured in every way the backend has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from tests.keras.plain import BACKEND, numbers

WAYS: tuple[str, ...] = {"tensorflow": ("eager", "graph", "compiled"), "jax": ("eager", "compiled")}.get(
    BACKEND, ("eager",)
)
"""`graph` is a `tf.function` that knows no number of samples; `compiled` is XLA."""
EACH = [
    pytest.param(one, marks=pytest.mark.long) if (BACKEND, one) == ("tensorflow", "compiled") else one for one in WAYS
]
"""The same for tests of many cases: XLA takes a second or more for each on TensorFlow."""


@dataclass
class Sloped:
    """What a call gave.

    Attributes:
        value: in its nest, as NumPy arrays.
        sides: of each input of floats, `x` among them, the gradient of the weighted sum.
        weights: the same of the trainable variables, in their order.
        written: what the other variables hold after the call.
    """

    value: Any
    sides: dict[str, Any]
    weights: list[Any]
    written: list[Any]


def counted(shape: Any) -> Any:
    """What the entries of a row count in the sum that is differentiated."""
    return np.asarray(1 + np.arange(int(np.prod(shape[1:]))) % 3, "float32").reshape(1, *shape[1:]) / 2


def total(value: Any) -> Any:
    leaves = [leaf for leaf in keras.tree.flatten(value) if "float" in str(leaf.dtype)]
    return sum((ops.sum(leaf * ops.cast(counted(leaf.shape), leaf.dtype)) for leaf in leaves), ops.zeros(()))


def is_float(value: Any) -> bool:
    return all("float" in str(leaf.dtype) for leaf in keras.tree.flatten(value))


def sloped(net: Any, given: Mapping[str, Any], way: str = "eager", training: bool = False) -> Sloped:
    """A call with the inputs `given`, `x` among them; a layer that is not built yet is built first.

    Arrays are made tensors; numbers of Python stay what they are.
    """
    tensors = {
        name: keras.tree.map_structure(lambda one: ops.convert_to_tensor(one) if hasattr(one, "shape") else one, value)
        for name, value in given.items()
    }
    plain = {name: value for name, value in tensors.items() if isinstance(value, bool | int | float)}
    rest = {name: value for name, value in tensors.items() if name not in plain}
    if not net.built:
        net._build_on(keras.tree.map_structure(symbol, dict(tensors)))
    value, sides, weights = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[BACKEND](
        net, rest, plain, way, training
    )
    arrays = [keras.tree.map_structure(lambda one: numbers(one), part) for part in (value, sides, weights)]
    return Sloped(*arrays, [numbers(one) for one in net.non_trainable_variables])


def symbol(value: Any) -> Any:
    if not hasattr(value, "shape"):
        return value
    shape = tuple(value.shape)
    return keras.KerasTensor((None, *shape[1:]) if shape else (), keras.backend.standardize_dtype(value.dtype))


def _tensorflow(net: Any, given: dict[str, Any], plain: dict[str, Any], way: str, training: bool) -> tuple[Any, ...]:
    import tensorflow as tf

    def step(tensors: dict[str, Any]) -> Any:
        floats = {name: value for name, value in tensors.items() if is_float(value)}
        with tf.GradientTape() as tape:
            tape.watch(floats)
            value = net(**tensors, **plain, training=training)
            loss = total(value)
        variables = [one.value for one in net.trainable_variables]
        found = tape.gradient(loss, (floats, variables), unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return value, *keras.tree.map_structure(tf.convert_to_tensor, found)

    if way == "eager":
        return step(given)

    def spec(one: Any) -> Any:
        return tf.TensorSpec((None, *one.shape[1:]) if one.shape.rank else (), one.dtype)

    if way == "graph":
        signature = [keras.tree.map_structure(spec, given)]
        return tf.function(step, input_signature=signature, autograph=False)(given)
    return tf.function(step, jit_compile=True, autograph=False)(given)


def _jax(net: Any, given: dict[str, Any], plain: dict[str, Any], way: str, training: bool) -> tuple[Any, ...]:
    import jax

    fixed = {name: value for name, value in given.items() if not is_float(value)}

    def loss(slopes: Any, still: Any) -> Any:
        (floats, weights), (more, others) = slopes, still
        value, written = net.stateless_call(weights, others, **floats, **more, **plain, training=training)
        return total(value), (value, written)

    floats = {name: value for name, value in given.items() if name not in fixed}
    weights = [one.value for one in net.trainable_variables]
    others = [one.value for one in net.non_trainable_variables]
    step = jax.value_and_grad(loss, has_aux=True)
    step = jax.jit(step) if way == "compiled" else step
    (_, (value, written)), (sides, slopes) = step((floats, weights), (fixed, others))
    for variable, new in zip(net.non_trainable_variables, written, strict=True):
        variable.assign(new)
    return value, sides, slopes


def _torch(net: Any, given: dict[str, Any], plain: dict[str, Any], way: str, training: bool) -> tuple[Any, ...]:
    import torch

    floats = {
        name: keras.tree.map_structure(lambda one: one.detach().clone().requires_grad_(), value)
        for name, value in given.items()
        if is_float(value)
    }
    variables = [one.value for one in net.trainable_variables]
    value = net(**{**given, **floats}, **plain, training=training)
    leaves = [*keras.tree.flatten(floats), *variables]
    loss = total(value)
    none = [torch.zeros_like(one) for one in leaves]
    found = torch.autograd.grad(loss, leaves, allow_unused=True) if loss.requires_grad else [None] * len(leaves)
    slopes = [zero if one is None else one for one, zero in zip(found, none, strict=True)]
    sides = keras.tree.pack_sequence_as(floats, slopes[: len(leaves) - len(variables)])
    return value, sides, slopes[len(leaves) - len(variables) :]
