"""Layers that hold a state or ask for `training`, in branches: what they write is right, and no trace leaks."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import wye.keras as wye
from tests.keras.flow_slopes import EACH, sloped
from tests.keras.plain import BACKEND, array, numbers


class Told(keras.Layer):
    """x + 1 in training, x in eval."""

    def call(self, x: Any, training: bool = False) -> Any:
        return x + 1 if training else x


class Counted(keras.Layer):
    """Counts its calls in a variable, and changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)
        self.built = True

    def call(self, x: Any) -> Any:
        self.calls.assign_add(1.0)
        return x + 0 * self.calls


def norm_of(width: int = 2) -> keras.layers.BatchNormalization:
    layer = keras.layers.BatchNormalization(momentum=0.5)
    layer.build((None, width))
    return layer


def seen(x: Any, taken: list[bool], way: str, node: str) -> Any:
    """What a branch sees of a batch: its samples, or all, with copies of its first in the place of others."""
    looped = node == "Repeat in a loop of a graph" and way != "eager"
    if all(taken) or not (BACKEND == "jax" or way == "compiled" or looped):
        return x[np.array(taken)]
    return np.where(np.array(taken)[:, None], x, x[taken.index(True)])


GOING = {
    "When": lambda layer: wye.When("c", layer),
    "When of two": lambda layer: wye.When("c", layer, "2 * x"),
    "Switch": lambda layer: wye.Switch("c", None, layer),
    "Repeat": lambda layer: wye.Repeat(layer, "clamp(c, 0, 1)"),
    "Repeat in a loop of a graph": lambda layer: wye.Repeat(layer, "clamp(c, 0, 40)"),
    "Repeat of a list": lambda layer: wye.Repeat([layer], "c"),
    "While": lambda layer: wye.While("c", layer, max_steps=1),
    "in a Chain in a When": lambda layer: wye.When("c", wye.Chain("x", wye.When("c", layer))),
}


@pytest.mark.parametrize("way", EACH)
@pytest.mark.parametrize("node", GOING)
def test_a_batch_norm_learns_of_the_samples_it_sees_and_keeps_its_averages_when_nobody_comes(
    node: str, way: str
) -> None:
    x = array(1, 4, 2) * 3
    for taken in ([True, False, True, False], [True] * 4, [False] * 4):
        layer = norm_of()
        net = GOING[node](layer)
        sloped(net, {"x": x, "c": np.array(taken).astype("int32")}, way, training=True)
        mean, variance = np.zeros(2), np.ones(2)
        if any(taken):
            rows = seen(x, taken, way, node)
            mean, variance = rows.mean(0) / 2, 0.5 + rows.var(0) / 2
            np.testing.assert_allclose(numbers(layer.moving_mean), mean, 1e-4, 1e-5)
            np.testing.assert_allclose(numbers(layer.moving_variance), variance, 1e-4, 1e-5)
        else:
            np.testing.assert_array_equal(numbers(layer.moving_mean), mean)
            np.testing.assert_array_equal(numbers(layer.moving_variance), variance)


@pytest.mark.parametrize("way", EACH)
def test_a_loop_stops_writing_when_all_are_done(way: str) -> None:
    x, c = np.zeros((3, 1), "float32"), np.array([1, 3, 2], "int32")
    for most in (4, 40):
        for build in (
            lambda layer, most=most: wye.Repeat(layer, f"clamp(c, 0, {most})"),
            lambda layer, most=most: wye.While("max(x) < c", wye.Chain(layer, "x + 1"), max_steps=most),
        ):
            layer = Counted()
            sloped(build(layer), {"x": x, "c": c}, way, training=True)
            assert float(layer.calls) == 3


@pytest.mark.parametrize("way", EACH)
@pytest.mark.parametrize("whole", [True, False])
def test_a_branch_that_a_number_without_axes_chooses_writes_alone(whole: bool, way: str) -> None:
    layer, other = Counted(), Counted()
    for net in (
        wye.When("level > 0", layer, other),
        wye.Switch("where(level > 0, 0, 1)", layer, other),
        wye.RandomChoice(layer, other, weights=(int(whole), int(not whole))),
    ):
        layer.calls.assign(0)
        other.calls.assign(0)
        given = {"x": np.ones((2, 1), "float32"), "level": np.float32(1 if whole else -1)}
        sloped(net, {name: value for name, value in given.items() if name == "x" or name in net.wants}, way, True)
        assert (float(layer.calls), float(other.calls)) == ((1, 0) if whole else (0, 1))


@pytest.mark.parametrize("way", EACH)
def test_dropout_in_a_branch_draws_anew_in_each_call_that_takes_it(way: str) -> None:
    drop = keras.layers.Dropout(0.5, seed=7)
    net = wye.When("c", drop)
    x = np.ones((8, 16), "float32")
    values = list[Any]()
    for c in ([1] * 8, [0] * 8, [1, 0] * 4, [1, 0] * 4):
        before = numbers(drop.seed_generator.state)
        values.append(sloped(net, {"x": x, "c": np.array(c, "int32")}, way, training=True).value)
        after = numbers(drop.seed_generator.state)
        assert np.array_equal(before, after) == (not any(c))
        rows = values[-1][np.array(c) == 1]
        assert set(np.unique(rows)) <= {0.0, 2.0}
        np.testing.assert_array_equal(values[-1][np.array(c) == 0], x[np.array(c) == 0])
    assert not np.array_equal(values[2], values[3])
    assert {0.0, 2.0} <= set(np.unique(values[0]))


NESTS = {
    "Chain": lambda layer: wye.Chain("x", layer),
    **GOING,
    "RandomChoice": lambda layer: wye.RandomChoice(layer),
    "When of a coin": lambda layer: wye.When("coin(1.0) and c", layer, eval=True),
    "a functional model": lambda layer: functional(layer),
}


def functional(layer: Any) -> Any:
    x, c = keras.Input((2,), name="x"), keras.Input((), dtype="int32", name="c")
    return keras.Model({"x": x, "c": c}, wye.When("c", layer)(x, c=c))


@pytest.mark.parametrize("node", NESTS)
def test_layers_in_branches_are_told_of_training(node: str) -> None:
    net = NESTS[node](Told())
    x = np.zeros((3, 2), "float32")
    given = {"c": np.ones(3, "int32")} if node not in ("Chain", "RandomChoice") else {}
    call = (
        (lambda **more: net({"x": x, **given}, **more))
        if node == "a functional model"
        else (lambda **more: net(x, **given, **more))
    )
    for training, wanted in ((True, 1), (False, 0), (None, 0)):
        np.testing.assert_array_equal(numbers(call(training=training)), np.full((3, 2), wanted, "float32"))
    outer = keras.Sequential([wye.Chain(Told())])
    np.testing.assert_array_equal(numbers(outer(x, training=True)), np.ones((3, 2)))


def data() -> tuple[dict[str, Any], Any]:
    x = {"x": array(3, 64, 4), "c": np.tile(np.array([1, -1, 1, -1], "float32"), 16)}
    return x, array(4, 64, 4)


IDLE = "ignore:Gradients do not exist for variables:UserWarning"  # Keras's word for branches that nobody took
SLOW = {"jax": False, "tensorflow": True}.get(BACKEND)
FITS = [pytest.param(one, marks=pytest.mark.long) if one is SLOW else one for one in (False, True)]


@pytest.mark.filterwarnings(IDLE)
@pytest.mark.parametrize("compiled", FITS)
def test_a_fit_of_layers_with_state_in_branches(compiled: bool) -> None:
    if BACKEND == "torch" and compiled:
        pytest.skip("Keras compiles nothing on torch")
    x, y = data()
    taken, idle = keras.layers.BatchNormalization(), keras.layers.BatchNormalization()
    net = wye.Chain(
        keras.layers.Dense(4),
        wye.When("c > 0", wye.Chain(taken, keras.layers.Dropout(0.25), keras.layers.Dense(4))),
        wye.When("c > 5", idle, keras.layers.Dense(4)),
        wye.Repeat(wye.Chain(keras.layers.Dropout(0.25), keras.layers.Dense(4)), "clamp(c, 0, 2)"),
        wye.While("norm(x) < 0.5", keras.layers.Dense(4), max_steps=34),
        wye.RandomChoice(keras.layers.Dense(4), keras.layers.BatchNormalization()),
    )
    net.compile("adam", "mse", jit_compile=compiled)
    before = net.fit(x, y, batch_size=16, epochs=4, verbose=0).history["loss"]
    assert np.isfinite(before).all()
    assert before[-1] < before[0]
    for variable in net.variables:
        assert np.isfinite(numbers(variable)).all()
    assert np.abs(numbers(taken.moving_mean)).max() > 0
    np.testing.assert_array_equal(numbers(idle.moving_mean), np.zeros(4))
    np.testing.assert_array_equal(numbers(idle.moving_variance), np.ones(4))
    assert net.predict(x, verbose=0).shape == (64, 4)


class ByHand(keras.Model):
    """Two layers, of which each sample gets one, written with `where`."""

    def __init__(self, then: Any, otherwise: Any, block: Any) -> None:
        super().__init__()
        self.then, self.otherwise, self.block = then, otherwise, block

    def call(self, given: Any) -> Any:
        taken = ops.expand_dims(given["c"] > 0, 1)
        x = ops.where(taken, self.then(given["x"]), self.otherwise(given["x"]))
        for _ in range(2):
            x = ops.where(taken, self.block(x), x)
        return x


def layers() -> list[Any]:
    return [
        keras.layers.Dense(4, activation="tanh", kernel_initializer=keras.initializers.GlorotUniform(k))
        for k in range(3)
    ]


@pytest.mark.filterwarnings(IDLE)
@pytest.mark.parametrize("compiled", FITS)
@pytest.mark.parametrize("most", [2, 40])
def test_a_fit_gives_the_weights_of_the_same_written_by_hand(most: int, compiled: bool) -> None:
    if BACKEND == "torch" and compiled:
        pytest.skip("Keras compiles nothing on torch")
    x, y = data()
    then, otherwise, block = layers()
    ours = wye.Chain(wye.When("c > 0", then, otherwise), wye.Repeat(block, f"clamp(2 * (c > 0), 0, {most})"))
    theirs = ByHand(*layers())
    for model in (ours, theirs):
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse", jit_compile=compiled)
        model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0)
    for mine, his in zip((then, otherwise, block), (theirs.then, theirs.otherwise, theirs.block), strict=True):
        np.testing.assert_allclose(numbers(mine.kernel), numbers(his.kernel), 1e-4, 1e-5)
        np.testing.assert_allclose(numbers(mine.bias), numbers(his.bias), 1e-4, 1e-5)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="nothing is captured on torch")
def test_a_penalty_within_a_branch_is_refused_in_a_captured_step() -> None:
    net = wye.Chain(wye.When("mean(x) > 0", keras.layers.Dense(3, activity_regularizer="l2")))
    x = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)
    net(x)
    net.compile("sgd", "mse")
    with pytest.raises((wye.FlowError, RuntimeError)) as told:  # Keras puts it within one of its own while it builds
        net.fit(x, x, verbose=0)
    wanted = (
        "a captured graph loses what a layer within a branch adds to the loss.\n"
        "  in:  Dense(activity_regularizer=...)\n"
        f"  got: the layer {net[0].then.name}\n"
        "  fix: write the penalty as a term of an Objective"
    )
    assert wanted in str(told.value)
