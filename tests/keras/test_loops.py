"""Training loops written by hand: `tf.function` with GradientTape, `jax.jit` with stateless calls, and torch's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import wye.keras as wye
from tests.keras.by_hand import BATCH, COUNT, DATA, PULL, SIZE, of, towers
from tests.keras.plain import BACKEND, same, weights

X: dict[str, Any] = {name: DATA[name] for name in ("image", "text")}
STEPS = 20
FORMULA = "pull + beta * size"
Loss = Callable[[Any, Any, Any], Any]


def batch(step: int) -> dict[str, Any]:
    start = step * BATCH % COUNT
    return {name: ops.convert_to_tensor(value) for name, value in of(X, start, start + BATCH).items()}


def built() -> dict[str, Any]:
    """Two networks, each a model of its own."""
    made = towers()
    made["see"].build((None, 6))
    made["read"].build((None, 5))
    return made


def by_hand(see: Any, read: Any, given: Any) -> Any:
    seen = see(given["image"])
    return ops.mean(ops.square(seen - read(given["text"]))) + 0.3 * ops.mean(ops.square(seen))


def with_tape(loss: Any, see: Any, read: Any, compiled: bool) -> list[Any]:
    import tensorflow as tf

    variables = [*see.trainable_variables, *read.trainable_variables]
    optimizer = keras.optimizers.Adam(0.01)
    optimizer.build(variables)

    @tf.function(jit_compile=compiled)
    def step(given: Any) -> Any:
        with tf.GradientTape() as tape:
            value = loss(see, read, given)
        optimizer.apply(tape.gradient(value, variables), variables)
        return value

    return [float(step(batch(number))) for number in range(STEPS)]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a tape of TensorFlow")
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("owned", [False, True])
def test_a_function_of_tensorflow_over_two_models(compiled: bool, owned: bool) -> None:
    ours, theirs = built(), built()
    if owned:
        objective = wye.Objective(FORMULA, pull=PULL, size=SIZE, beta=0.3, **ours)
        found = with_tape(lambda see, read, given: objective(given, training=True)[0], **ours, compiled=compiled)
    else:
        objective = wye.Objective("mse(a, b) + beta * mean(a ** 2)", beta=0.3)

        def loss(see: Any, read: Any, given: Any) -> Any:
            return objective.on({"a": see(given["image"])}, b=read(given["text"]))[0]

        found = with_tape(loss, **ours, compiled=compiled)
    wanted = with_tape(by_hand, **theirs, compiled=compiled)
    same(found, wanted)
    same([*weights(ours["see"]), *weights(ours["read"])], [*weights(theirs["see"]), *weights(theirs["read"])])


@pytest.mark.skipif(BACKEND != "jax", reason="a loop of JAX")
def test_stateless_calls_compiled_by_jax() -> None:
    import jax

    def trained(value: Callable[[Any, Any, Any], Any], first: list[Any]) -> list[Any]:
        optimizer = keras.optimizers.Adam(0.01)
        optimizer.build(first)
        state = [[v.value for v in first], [v.value for v in optimizer.variables]]

        @jax.jit
        def step(trainable: Any, slots: Any, given: Any) -> Any:
            loss, gradients = jax.value_and_grad(value)(trainable, given)
            return (*optimizer.stateless_apply(slots, gradients, trainable), loss)

        for number in range(STEPS):
            *state, _ = step(*state, batch(number))
        return [ops.convert_to_numpy(value) for value in state[0]]

    ours, theirs = built(), built()
    objective = wye.Objective(FORMULA, pull=PULL, size=SIZE, beta=0.3, **ours)
    objective(batch(0))
    others = [v.value for v in objective.non_trainable_variables]

    def of_ours(trainable: Any, given: Any) -> Any:
        (total, _), _ = objective.stateless_call(trainable, others, given, training=True)
        return total

    def of_theirs(trainable: Any, given: Any) -> Any:
        read = [theirs["see"].stateless_call(trainable[:2], [], given["image"])[0]]
        read.append(theirs["read"].stateless_call(trainable[2:], [], given["text"])[0])
        return ops.mean(ops.square(read[0] - read[1])) + 0.3 * ops.mean(ops.square(read[0]))

    found = trained(of_ours, objective.trainable_variables)
    wanted = trained(of_theirs, [*theirs["see"].trainable_variables, *theirs["read"].trainable_variables])
    same(found, wanted)


@pytest.mark.skipif(BACKEND != "torch", reason="a loop of torch")
def test_a_loop_of_torch() -> None:
    import torch

    def trained(loss: Callable[[Any], Any], see: Any, read: Any) -> list[Any]:
        parameters = [v.value for v in (*see.trainable_variables, *read.trainable_variables)]
        optimizer = torch.optim.Adam(parameters, lr=0.01)
        for number in range(STEPS):
            optimizer.zero_grad()
            loss(batch(number)).backward()
            optimizer.step()
        return [*weights(see), *weights(read)]

    ours, theirs = built(), built()
    objective = wye.Objective(FORMULA, pull=PULL, size=SIZE, beta=0.3, **ours)
    found = trained(lambda given: objective(given)[0], **ours)
    same(found, trained(lambda given: by_hand(theirs["see"], theirs["read"], given), **theirs))
    assert all(not term.requires_grad for term in objective(batch(0))[1].values())


def test_schedules_are_moved_by_hand() -> None:
    objective = wye.Objective("mean(a) * t", t=wye.Schedule("step + 1"))
    for step in range(3):
        assert float(objective(a=ops.ones(3))[0]) == step + 1
        objective.advance()


@pytest.mark.parametrize("steps", [9, 40])
def test_a_loop_whose_condition_reads_what_it_holds(steps: int) -> None:
    """More than 32 rounds are one loop of the graph; on JAX `predict` hands all variables to it."""
    net = wye.Chain(wye.While("sum(x) < bound + sum(far)", "x + 0.5", max_steps=steps, bound=2.0,
                              far=wye.Table(ops.ones((4, 2)))))  # fmt: skip
    given = {"x": np.zeros((3, 1), "float32"), "id": np.array([0, 3, 0])}
    for _ in range(2):
        assert net.predict(given, verbose=0).tolist() == [[4], [4], [4]]
