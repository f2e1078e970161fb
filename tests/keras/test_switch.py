"""What is assigned in a fit takes effect in the next step, and the optimizer goes on as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import wye.keras as wye
from tests.keras.by_hand import BATCH, COUNT, DATA, PULL, SIZE, Plain, pull, size, stepped, towers
from tests.keras.plain import BACKEND, alike, array, dense, numbers, same, slots, weights

X: dict[str, Any] = {name: DATA[name] for name in ("image", "text")}
AT = 7  # in the midst of the second epoch of five steps


class Assigns(keras.callbacks.Callback):
    """Changes something once so many steps are done."""

    def __init__(self, change: Callable[[], None], at: int = AT) -> None:
        super().__init__()
        self.change, self.at, self.done = change, at, 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.done += 1
        if self.done == self.at:
            self.change()


def fitted(model: Any, x: Any, y: Any = None, *, change: Callable[[], None], **settings: Any) -> Any:
    model.compile(keras.optimizers.Adam(0.01), **settings)
    model.fit(x, y, batch_size=BATCH, epochs=4, shuffle=False, verbose=0, callbacks=[Assigns(change)])
    return model


def turned(model: Any, step: int) -> None:
    if step == AT:
        model.which.assign(1.0)


def switched_by_hand(first: Any, second: Any, **layers: Any) -> Plain:
    """A model whose loss becomes another one when its variable is set."""

    def loss(model: Any, batch: Any) -> Any:
        which = ops.convert_to_tensor(model.which)
        return (1 - which) * first(model, batch) + which * second(model, batch)

    model = Plain(loss, **layers)
    model.compile(keras.optimizers.Adam(0.01))
    return stepped(model, 20, turned)


WAYS: dict[str, dict[str, Any]] = {"as it is": {}}  # on JAX that is compiled
if BACKEND == "tensorflow":
    WAYS["compiled"] = {"jit_compile": True}


def both(model: Any, batch: Any) -> Any:
    return pull(model, batch) + 0.3 * size(model, batch)


CHANGES: dict[str, tuple[Callable[[Any], None], Any]] = {
    "formula": (lambda o: setattr(o, "formula", "pull * size"), lambda m, b: pull(m, b) * size(m, b)),
    "named formula": (lambda o: setattr(o, "pull", "2 * " + PULL), lambda m, b: both(m, b) + pull(m, b)),
    "number": (lambda o: setattr(o, "beta", 3.0), lambda m, b: pull(m, b) + 3 * size(m, b)),
    "callable": (
        lambda o: setattr(o, "formula", lambda see, read, image, text: ops.mean(ops.square(see(image)))),
        lambda m, b: size(m, b) + 0 * pull(m, b),
    ),
}


@pytest.mark.filterwarnings("ignore:Gradients do not exist:UserWarning")  # of a tower that is no longer read
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("way", [*WAYS, "eagerly"])
def test_an_objective(change: str, way: str) -> None:
    assign, after = CHANGES[change]
    if change == "callable" and BACKEND != "jax":
        pytest.skip("a weight that is not read stays, where by hand its gradient is zero")
    ours = wye.Objective("pull + beta * size", pull=PULL, size=SIZE, beta=0.3, **towers())
    fitted(ours, X, change=lambda: assign(ours), **WAYS.get(way, {"run_eagerly": True}))
    theirs = switched_by_hand(both, after, **towers())
    same(weights(ours), weights(theirs))
    same(slots(ours.optimizer), slots(theirs.optimizer), 1e-5)
    assert int(ours.optimizer.iterations) == 20


@pytest.mark.parametrize("way", WAYS)
def test_what_is_evaluated_and_predicted_changes_too(way: str) -> None:
    ours = wye.Objective("pull + beta * size", pull=PULL, size=SIZE, beta=0.3, **towers())
    ours.compile("sgd", **WAYS[way])
    first = ours.evaluate(X, verbose=0, return_dict=True)
    ours.beta = 2.0
    second = ours.evaluate(X, verbose=0, return_dict=True)
    assert second["loss"] == pytest.approx(first["pull"] + 2 * first["size"], rel=1e-5)
    np.testing.assert_allclose(ours.predict(X, batch_size=COUNT, verbose=0)[0], second["loss"], rtol=1e-5)
    ours.formula = "size"
    third = ours.evaluate(X, verbose=0, return_dict=True)
    assert third.keys() <= {"loss", "size"}
    assert third["loss"] == pytest.approx(first["size"], rel=1e-5)
    np.testing.assert_allclose(ours.predict(X, batch_size=COUNT, verbose=0)[0], third["loss"], rtol=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_a_schedule_moves_with_the_steps_of_a_fit(way: str) -> None:
    class Moved(Plain):
        def loss_at(self, batch: Any) -> Any:
            return pull(self, batch) + ops.convert_to_tensor(self.which) * size(self, batch)

    ours = wye.Objective("pull + t * size", pull=PULL, size=SIZE, t=wye.Schedule("step / 4"), **towers())
    ours.compile(keras.optimizers.Adam(0.01), **WAYS[way])
    seen = list[float]()

    class Looks(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append(ours.t)
            if len(seen) == AT:
                ours.t = wye.Schedule("step * 2")

    ours.fit(X, batch_size=BATCH, epochs=2, shuffle=False, verbose=0, callbacks=[Looks()], validation_data=(X,))
    assert seen == [*(step / 4 for step in range(1, AT + 1)), *(step * 2 for step in range(AT + 1, 11))]
    theirs = Moved(Moved.loss_at, **towers())
    theirs.compile(keras.optimizers.Adam(0.01))
    stepped(theirs, 10, lambda model, step: model.which.assign(step / 4 if step < AT else step * 2.0))
    same(weights(ours), weights(theirs))


# a Join inside of models of Keras

IMAGE, TARGET = array(11, COUNT, 6), array(12, COUNT, 2)


class Around(keras.Model):
    """A subclassed model with a Join inside."""

    def __init__(self, join: wye.Join, head: Any) -> None:
        super().__init__()
        self.join, self.head = join, head

    def call(self, x: Any) -> Any:
        return self.head(self.join(x))


def functional(join: wye.Join, head: Any) -> keras.Model:
    x = keras.Input((6,))
    return keras.Model(x, head(join(x)))


def sequential(join: wye.Join, head: Any) -> keras.Model:
    return keras.Sequential([join, head])


INSIDE: dict[str, tuple[Callable[[Any], None], Any]] = {
    "formula": (lambda join: setattr(join, "formula", "a(x) * b(x)"), lambda a, b: a * b),
    "number": (lambda join: setattr(join, "gain", 2.0), lambda a, b: a + 2 * b),
}


def error_by_hand(together: Any) -> Any:
    def loss(model: Any, batch: Any) -> Any:
        found = model.head(together(model.a(batch["x"]), model.b(batch["x"])))
        return ops.mean(ops.square(found - batch["y"]))

    return loss


@pytest.mark.parametrize("around", [Around, functional, sequential])
@pytest.mark.parametrize("change", INSIDE)
@pytest.mark.parametrize("way", WAYS)
def test_a_join_inside_of_a_model(around: Any, change: str, way: str) -> None:
    assign, after = INSIDE[change]
    join = wye.Join("a(x) + gain * b(x)", a=dense(1, 4), b=dense(2, 4), gain=0.5)
    ours = fitted(around(join, dense(3, 2)), IMAGE, TARGET, change=lambda: assign(join), loss="mse", **WAYS[way])
    layers = {"a": dense(1, 4), "b": dense(2, 4), "head": dense(3, 2)}
    theirs = Plain(lambda model, batch: pair_loss(model, batch, after), **layers)
    theirs.compile(keras.optimizers.Adam(0.01))
    stepped(theirs, 20, turned, x={"x": IMAGE, "y": TARGET})
    same(weights(ours), weights(theirs))
    same(slots(ours.optimizer), slots(theirs.optimizer), 1e-5)


def pair_loss(model: Any, batch: Any, after: Any) -> Any:
    which = ops.convert_to_tensor(model.which)
    before = error_by_hand(lambda a, b: a + 0.5 * b)(model, batch)
    return (1 - which) * before + which * error_by_hand(after)(model, batch)


def test_a_join_is_compiled_with_a_loss_of_keras() -> None:
    join = wye.Join("a(x) + gain * b(z)", a=dense(1, 2), b=dense(2, 2), gain=0.5)
    x = {"x": IMAGE, "z": DATA["text"]}
    fitted(join, x, TARGET, change=lambda: setattr(join, "formula", "a(x) * b(z)"), loss="mse", metrics=["mae"])

    def loss(model: Any, batch: Any) -> Any:
        a, b, which = model.a(batch["x"]), model.b(batch["z"]), ops.convert_to_tensor(model.which)
        errors = [ops.mean(ops.square(one - batch["y"])) for one in (a + 0.5 * b, a * b)]
        return (1 - which) * errors[0] + which * errors[1]

    theirs = Plain(loss, a=dense(1, 2), b=dense(2, 2))
    theirs.compile(keras.optimizers.Adam(0.01))
    stepped(theirs, 20, turned, x={**x, "y": TARGET})
    same(weights(join), weights(theirs))
    same(slots(join.optimizer), slots(theirs.optimizer), 1e-5)
    alike(join.predict(x, verbose=0), numbers(join(x)))
    assert join.evaluate(x, TARGET, verbose=0)[0] == pytest.approx(np.mean((numbers(join(x)) - TARGET) ** 2), rel=1e-5)


# over another model

LABEL: Any = DATA["label"]
FORMULA = "ce + beta * mean((depth[b, k] - far[b, k]) ** 2)"


def two_outputs(kind: str) -> keras.Model:
    image = keras.Input((6,))
    hidden = dense(1, 5, activation="tanh", name="hidden")(image)
    logits, depth = dense(2, 3, name="logits")(hidden), dense(3, 2, name="depth")(hidden)
    return keras.Model(image, {"logits": logits, "depth": depth} if kind == "dict" else [logits, depth])


@pytest.mark.parametrize("kind", ["dict", "list"])
@pytest.mark.parametrize("way", WAYS)
def test_over_a_model_of_several_outputs(kind: str, way: str) -> None:
    loss = wye.Objective(FORMULA, ce="cross_entropy(logits, label)", beta=0.5)
    ours = loss.over(two_outputs(kind))
    y = {"label": LABEL, "far": TARGET}
    ours.compile(keras.optimizers.Adam(0.01), **WAYS[way])
    settings: Any = {"batch_size": BATCH, "shuffle": False, "verbose": 0}
    changing = [Assigns(lambda: setattr(loss, "beta", 2.0))]
    history = ours.fit(IMAGE, y, epochs=4, callbacks=changing, validation_data=(IMAGE, y), **settings).history
    summand = "beta * mean((depth[b, k] - far[b, k]) ** 2)"
    assert history.keys() == {"loss", "ce", summand, "val_loss", "val_ce", f"val_{summand}"}

    def by_hand(model: Any, batch: Any) -> Any:
        hidden, which = model.hidden(batch["x"]), ops.convert_to_tensor(model.which)
        ce = ops.mean(keras.losses.sparse_categorical_crossentropy(batch["label"], model.out(hidden), from_logits=True))
        return ce + (0.5 + 1.5 * which) * ops.mean(ops.square(model.deep(hidden) - batch["far"]))

    theirs = Plain(by_hand, hidden=dense(1, 5, activation="tanh"), out=dense(2, 3), deep=dense(3, 2))
    theirs.compile(keras.optimizers.Adam(0.01))
    stepped(theirs, 20, turned, x={"x": IMAGE, **y})
    for name, layer in (("hidden", theirs.hidden), ("logits", theirs.out), ("depth", theirs.deep)):
        same(weights(ours.model.get_layer(name)), weights(layer), 1e-5)
    assert history["val_loss"][-1] == pytest.approx(
        float(theirs.evaluate({"x": IMAGE, **y}, verbose=0, batch_size=COUNT)), rel=1e-5
    )
    found = ours.predict(IMAGE, verbose=0)
    assert found.keys() == {"logits", "depth"} if kind == "dict" else len(found) == 2


def test_over_a_model_of_one_output_with_weights() -> None:
    x = keras.Input((6,))
    loss = wye.Objective("mean(sample_weight[b] * (y_pred[b, k] - y[b, k]) ** 2)")
    ours, w = loss.over(keras.Model(x, dense(1, 2)(x))), np.abs(array(13, COUNT))
    ours.compile(keras.optimizers.Adam(0.01))
    ours.fit(IMAGE, TARGET, sample_weight=w, batch_size=BATCH, epochs=4, shuffle=False, verbose=0)

    def by_hand(model: Any, batch: Any) -> Any:
        return ops.mean(batch["w"][:, None] * ops.square(model.net(batch["x"]) - batch["y"]))

    theirs = Plain(by_hand, net=dense(1, 2))
    theirs.compile(keras.optimizers.Adam(0.01))
    stepped(theirs, 20, x={"x": IMAGE, "y": TARGET, "w": w})
    same(weights(ours), weights(theirs))
