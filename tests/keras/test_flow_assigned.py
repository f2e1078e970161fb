"""What decides is assigned while a fit runs, and the next step goes by it: on the node, and within other models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import wye.keras as wye
from tests.keras.plain import BACKEND, numbers

X, ZERO = np.ones((4, 1), "float32"), np.zeros((4, 1), "float32")
Change = Callable[[], None]


class Between(keras.callbacks.Callback):
    """Makes one change after each step."""

    def __init__(self, *changes: Change) -> None:
        super().__init__()
        self.changes = [*changes]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.changes:
            self.changes.pop(0)()


class Weighted(keras.layers.Layer):
    """x · w, so that there is something to train; its w stays, for the rate is zero."""

    def __init__(self) -> None:
        super().__init__()
        self.w = self.add_weight(shape=(), initializer="ones")
        self.built = True

    def call(self, x: Any) -> Any:
        return x * self.w


def alone(node: Any) -> keras.Model:
    return wye.Chain(Weighted(), node)


def functional(node: Any) -> keras.Model:
    x = keras.Input((1,))
    return keras.Model(x, node(Weighted()(x)))


def deep(node: Any) -> keras.Model:
    return keras.Sequential([Weighted(), wye.Chain(wye.Repeat(wye.Chain(node), 1))])


def fitted(model: keras.Model, *changes: Change, compiled: bool = False) -> list[float]:
    """The value of each step, of which the next one comes after a change."""
    model.compile(keras.optimizers.SGD(0.0), "mae", jit_compile=compiled)
    steps = len(changes) + 1
    found = model.fit(X, ZERO, epochs=steps, batch_size=4, verbose=0, callbacks=[Between(*changes)])
    return found.history["loss"]


def setting(node: Any, name: str, value: Any) -> Change:
    return lambda: setattr(node, name, value)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("around", [alone, functional, deep])
def test_the_next_step_goes_by_what_is_assigned(around: Callable[[Any], keras.Model], compiled: bool) -> None:
    if BACKEND == "torch" and compiled:
        pytest.skip("Keras compiles nothing on torch")
    when = wye.When("norm(x) > bound", "10 * x", bound=0.5)
    losses = fitted(
        around(when),
        setting(when, "bound", 1.5),
        setting(when, "condition", "norm(x) < bound"),
        setting(when, "condition", False),
        compiled=compiled,
    )
    assert losses == [10, 1, 10, 1]
    repeat = wye.Repeat("2 * x", 1)
    found = fitted(around(repeat), setting(repeat, "times", 3), setting(repeat, "times", 0), compiled=compiled)
    assert found == [2, 8, 1]


@pytest.mark.parametrize("around", [alone, functional])
def test_so_it_is_with_an_index_with_chances_with_named_formulas_and_with_layers(around: Any) -> None:
    switch = wye.Switch("kind", "2 * x", "3 * x", "5 * x", kind=0)
    assert fitted(around(switch), setting(switch, "kind", 2), setting(switch, "index", 1)) == [2, 5, 3]
    choice = wye.RandomChoice("2 * x", "3 * x", weights=(1, 0))
    assert fitted(around(choice), setting(choice, "chances", (0, 1))) == [2, 3]
    named = wye.When("gap > 0", "2 * x", gap="norm(x) - 3")
    assert fitted(around(named), setting(named, "gap", "norm(x) + 3")) == [1, 2]
    loop = wye.While("norm(x) < bound", "2 * x", max_steps=10, bound=3.0)
    assert fitted(around(loop), setting(loop, "bound", 9), setting(loop, "condition", "norm(x) < 1")) == [4, 16, 1]


def test_the_optimizer_keeps_its_state() -> None:
    when = wye.When("norm(x) > bound", "10 * x", bound=0.5)
    model = alone(when)
    model.compile(keras.optimizers.Adam(0.0), "mae")
    model.fit(X, ZERO, epochs=3, verbose=0)
    optimizer = model.optimizer
    slots = [numbers(one) for one in optimizer.variables]
    when.condition = "norm(x) < bound"
    when.bound = 7.0
    assert model.optimizer is optimizer
    for one, other in zip(slots, optimizer.variables, strict=True):
        np.testing.assert_array_equal(one, numbers(other))
    model.fit(X, ZERO, epochs=1, verbose=0)
    assert int(optimizer.iterations) == 4


def test_eager_calls_go_by_it_at_once_and_a_wrong_one_changes_nothing() -> None:
    when = wye.When("norm(x) > bound", "10 * x", bound=0.5)
    assert float(numbers(when(X))[0, 0]) == 10
    with pytest.raises(wye.WyeError):
        when.condition = "norm(x) > other"
    with pytest.raises(wye.WyeError):
        when.condition = "norm(x >"
    assert str(when.condition) == "norm(x) > bound"
    when.bound = 2
    assert float(numbers(when(X))[0, 0]) == 1
    when.then = keras.layers.Identity()
    when.condition = True
    assert float(numbers(when(X))[0, 0]) == 1
