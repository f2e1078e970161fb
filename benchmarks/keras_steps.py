"""Forward and backward of a function of tensors, as each backend runs it: compiled, and eager."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from .timing import Run

Loss = Callable[..., Any]
BACKEND = keras.backend.backend()


def compiled(loss: Loss, learned: Sequence[Any], given: Sequence[Any]) -> Run:
    """A step that computes the loss and its gradients by `learned`, captured in one graph where the backend has any.

    Args:
        loss: takes the learned tensors, then the others.
        learned: tensors, or variables on TensorFlow.
        given: tensors without a gradient.
    """
    return STEPS[BACKEND](loss, learned, given, True)


def eager(loss: Loss, learned: Sequence[Any], given: Sequence[Any]) -> Run:
    """The same, one operation after the other."""
    return STEPS[BACKEND](loss, learned, given, False)


def on_tensorflow(loss: Loss, learned: Sequence[Any], given: Sequence[Any], captured: bool) -> Run:
    import tensorflow as tf

    def step(learned: Sequence[Any], given: Sequence[Any]) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(learned)
            value = loss(*learned, *given)
        return value, [tf.convert_to_tensor(grad) for grad in tape.gradient(value, learned)]  # as a layer before asks

    call = tf.function(step, autograph=False) if captured else step
    return lambda: call(list(learned), list(given))


def on_jax(loss: Loss, learned: Sequence[Any], given: Sequence[Any], captured: bool) -> Run:
    import jax

    step = jax.value_and_grad(loss, tuple(range(len(learned))))
    call = jax.jit(step) if captured else step
    return lambda: jax.block_until_ready(call(*learned, *given))


def on_torch(loss: Loss, learned: Sequence[Any], given: Sequence[Any], captured: bool) -> Run:
    leaves = [one.detach().clone().requires_grad_() for one in learned]

    def run() -> None:
        loss(*leaves, *given).backward()
        for leaf in leaves:
            leaf.grad = None

    return run


STEPS = {"tensorflow": on_tensorflow, "jax": on_jax, "torch": on_torch}
