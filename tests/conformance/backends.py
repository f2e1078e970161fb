"""Values and gradients on each front, as NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Evaluate = Callable[..., Any]
Weights = Callable[[tuple[int, ...]], Array]
Slopes = tuple[Any, list[Any]]
Slope = Callable[[Evaluate, dict[str, Any], list[str], Weights], Slopes]
Found = tuple[Array, dict[str, Array]]


@dataclass(frozen=True)
class Backend:
    """A front on one framework.

    Args:
        evaluate: the front's.
        tensor: an array as a tensor.
        array: a tensor as an array.
        slopes: value and gradients of a function of tensors by name, in those named.
        captured: the same, by a graph that is captured of it: `graph`, where no size is known, and `compiled`.
        value: how exact values are.
        gradient: how exact gradients are.
        outline: something of the shape and the dtype of a function's value.
        once: a function of a dict, made ready to run once.
        narrow: whether Keras takes 64 bits for 32 in some of its functions there.
    """

    evaluate: Evaluate
    tensor: Callable[[Array], Any]
    array: Callable[[Any], Array]
    slopes: Slope
    captured: dict[str, Slope]
    value: float = 1e-12
    gradient: float = 1e-10
    narrow: bool = False
    once: Callable[[Evaluate], Evaluate] = lambda function: function
    outline: Callable[[Evaluate, dict[str, Any]], Any] = lambda function, tensors: function(**tensors)

    def value_of(self, text: str, values: Mapping[str, Array], part: Evaluate, *, eager: bool) -> Any:
        """The value of a formula that may call the part `f`."""
        tensors = {name: self.tensor(value) for name, value in values.items()}

        def computed(given: dict[str, Any]) -> Any:
            return self.evaluate(text, **given, f=part)

        return computed(tensors) if eager else self.once(computed)(tensors)

    def run(self, text: str, values: Mapping[str, Array], weights: Weights, *, capture: str = "") -> Found:
        """The value of a formula, and the gradients of its weighted sum in all values of floats."""
        return self.sloped(lambda given: self.evaluate(text, **given), values, weights, capture)

    def sloped(self, computed: Evaluate, values: Mapping[str, Array], weights: Weights, capture: str = "") -> Found:
        """The value of a function of tensors by name, and the gradients of its weighted sum; captured in some way."""
        tensors = {name: self.tensor(value) for name, value in values.items()}
        floats = [name for name, value in values.items() if value.dtype.kind == "f"]

        value, slopes = (self.captured[capture] if capture else self.slopes)(computed, tensors, floats, weights)
        zeros = [np.zeros_like(values[name]) for name in floats]
        gradients = [zero if one is None else self.array(one) for one, zero in zip(slopes, zeros, strict=True)]
        return self.array(value), dict(zip(floats, gradients, strict=True))


def on_torch() -> Backend:
    import torch

    import wye

    torch.set_default_dtype(torch.float64)
    return Backend(wye.evaluate, torch.from_numpy, _from_torch, _torch_slopes, {})


def _from_torch(value: Any) -> Array:
    return value.detach().numpy()


def _torch_slopes(function: Evaluate, tensors: dict[str, Any], floats: list[str], weights: Weights) -> Slopes:
    import torch

    given = {name: value.requires_grad_() if name in floats else value for name, value in tensors.items()}
    value = function(given)
    if not value.requires_grad:
        return value, [None] * len(floats)
    total = (value * torch.from_numpy(weights(tuple(value.shape))).to(value.dtype)).sum()
    return value, list(torch.autograd.grad(total, [given[name] for name in floats], allow_unused=True))


def on_keras_torch() -> Backend:
    import keras

    import wye.keras

    keras.config.set_floatx("float64")
    return Backend(wye.keras.evaluate, _from_numpy, _from_torch, _torch_slopes, {}, 1e-5, 1e-5, True)


def _from_numpy(value: Array) -> Any:
    import torch

    return torch.from_numpy(np.asarray(value))


def on_tensorflow() -> Backend:
    import keras
    import tensorflow as tf

    import wye.keras

    keras.config.set_floatx("float64")

    def slopes(function: Evaluate, tensors: dict[str, Any], floats: list[str], weights: Weights) -> Slopes:
        watched = [tensors[name] for name in floats]
        with tf.GradientTape() as tape:
            tape.watch(watched)
            value = function(tensors)
            total = tf.reduce_sum(tf.cast(value, tf.float64) * weights(tuple(value.shape)))
        found = tape.gradient(total, watched)
        return value, [None if one is None else tf.convert_to_tensor(one) for one in found]

    def captured(function: Evaluate, tensors: dict[str, Any]) -> Evaluate:
        unknown = {name: tf.TensorSpec([None] * len(value.shape), value.dtype) for name, value in tensors.items()}
        return tf.function(function, input_signature=[unknown])

    def whole(function: Evaluate, tensors: dict[str, Any], floats: list[str], weights: Weights) -> Slopes:
        """Value and slopes of a node in one compiled step: what a loop keeps for its gradient cannot leave that."""
        shape = tuple(tensors["x"].shape)  # nodes keep it

        def step(given: dict[str, Any]) -> Slopes:
            value, found = slopes(function, given, floats, lambda _: weights(shape))
            return value, [
                tf.zeros_like(given[name]) if one is None else one for one, name in zip(found, floats, strict=True)
            ]

        return tf.function(step, jit_compile=True)(tensors)

    ways: dict[str, Slope] = {
        "graph": lambda function, tensors, *rest: slopes(captured(function, tensors), tensors, *rest),
        "compiled": whole,
    }
    return Backend(wye.keras.evaluate, tf.convert_to_tensor, np.asarray, slopes, ways)


def on_jax() -> Backend:
    import jax
    import jax.numpy as jnp

    import wye.keras

    def tensor(value: Array) -> Any:
        narrow = {"float64": "float32", "int64": "int32"}.get(str(value.dtype), value.dtype)
        return jnp.asarray(value.astype(narrow))

    def slopes(function: Evaluate, tensors: dict[str, Any], floats: list[str], weights: Weights) -> Slopes:
        def total(given: dict[str, Any]) -> Any:
            value = function({**tensors, **given})
            return jnp.sum(value * jnp.asarray(weights(value.shape).astype("float32"))), value

        given = {name: tensors[name] for name in floats}
        if not given:
            return function(tensors), []
        found, value = jax.grad(total, has_aux=True)(given)
        return value, [found[name] for name in floats]

    def outline(function: Evaluate, tensors: dict[str, Any]) -> Any:
        return jax.eval_shape(lambda given: function(**given), tensors)

    ways: dict[str, Slope] = {"compiled": lambda function, *rest: slopes(jax.jit(function), *rest)}
    return Backend(wye.keras.evaluate, tensor, np.asarray, slopes, ways, 1e-5, 1e-5, once=jax.jit, outline=outline)


BACKENDS: dict[str, Callable[[], Backend]] = {
    "front": on_torch,
    "tensorflow": on_tensorflow,
    "jax": on_jax,
    "torch": on_keras_torch,
}
"""`front` is the torch front; the others are Keras, by the name of its backend."""
