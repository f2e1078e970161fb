"""The examples of joining on Keras, M1 to M4, held against the same models written by hand in `keras.ops`."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import wye.keras as wye
from examples.keras import m01_two_losses as m01
from examples.keras import m02_two_networks as m02
from examples.keras import m03_two_modules as m03
from examples.keras import m04_intermediate_values as m04
from tests.keras.by_hand import Plain, of
from tests.keras.plain import alike, array, numbers, same, weights

JOINED: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": ops.power,
    "max": ops.maximum,
    "min": ops.minimum,
    "mean": lambda first, second: (first + second) / 2,
}


def twin(layer: Any) -> Any:
    """Another layer of the same kind, with the same weights."""
    other = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    other.set_weights(layer.get_weights())
    return other


def cross_entropy(logits: Any, label: Any) -> Any:
    return -ops.mean(ops.sum(ops.log_softmax(logits) * ops.one_hot(label, 10), -1))


# M1


def images(count: int = 12) -> dict[str, Any]:
    random = np.random.default_rng(1)
    return {"image": random.uniform(size=(count, 64)).astype("float32"), "label": random.integers(0, 10, count)}


def two_losses(model: Any, batch: Any) -> tuple[Any, Any]:
    hidden = ops.relu(model.see(batch["image"]))
    return cross_entropy(model.classify(hidden), batch["label"]), ops.mean(
        ops.square(model.draw(hidden) - batch["image"])
    )


def losses_by_hand(ours: Any, name: str) -> Plain:
    ours(images())
    layers = {part: twin(getattr(ours, part)) for part in ("see", "classify", "draw")}
    made = Plain(lambda model, batch: JOINED[model.operator](*two_losses(model, batch)), **layers)
    made.operator = name
    return made


def test_m01_covers_all_operators() -> None:
    assert set(m01.OPERATORS) == set(JOINED)


@pytest.mark.parametrize("name", JOINED)
@pytest.mark.parametrize("switched", [False, True])
def test_m01_value_and_gradients(name: str, switched: bool) -> None:
    ours = m01.two_losses("+" if switched else name)
    if switched:
        ours.formula = m01.joined(name)
    theirs = losses_by_hand(ours, name)
    tensors = {part: ops.convert_to_tensor(value) for part, value in images().items()}
    first, second = (float(numbers(one)) for one in two_losses(theirs, tensors))
    total, terms = ours(images())
    alike(total, JOINED[name](first, second))
    alike([float(terms["loss1"]), float(terms["loss2"])], [first, second])
    for model in (ours, theirs):  # a step of SGD moves each weight by its gradient
        model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
        model.train_on_batch(images())
    same(weights(ours), weights(theirs))


def test_m01_the_operator_is_switched_while_a_compiled_fit_goes_on() -> None:
    ours = m01.two_losses("+")
    theirs = losses_by_hand(ours, "+")
    ours.compile(keras.optimizers.Adam(0.01))
    theirs.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    for name in ("+", "*", "max"):
        ours.formula, theirs.operator = m01.joined(name), name
        for model in (ours, theirs):
            model.fit(images(24), batch_size=8, epochs=2, shuffle=False, verbose=0)
    same(weights(ours), weights(theirs), 1e-5)
    assert int(ours.optimizer.iterations) == 18


def test_m01_slopes_are_those_of_finite_differences() -> None:
    for name, join in JOINED.items():
        value, first, second = m01.slopes(m01.joined(name), 3.0, 2.0)
        join = {"max": max, "min": min, "**": operator.pow}.get(name, join)
        wanted = [join(3.0, 2.0), (join(3.001, 2.0) - join(2.999, 2.0)) / 0.002]
        wanted.append((join(3.0, 2.001) - join(3.0, 1.999)) / 0.002)
        np.testing.assert_allclose([value, first, second], wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("attempt", ["loss1 plus loss2", "loss1 ^ loss2", "loss1 + ", "loss1 + los2"])
def test_m01_a_formula_that_is_none_leaves_the_old_one(attempt: str) -> None:
    loss = m01.two_losses("*")
    with pytest.raises(wye.WyeError):
        loss.formula = attempt
    assert str(loss.formula) == "loss1 * loss2"


@pytest.mark.parametrize("name", ["plus", "", "^", "add"])
def test_operators_that_do_not_exist_are_refused_when_built(name: str) -> None:
    with pytest.raises(wye.FormulaError, match="is not an operator"):
        m01.two_losses(name)
    with pytest.raises(wye.FormulaError, match="is not an operator"):
        m02.two_networks(name)
    with pytest.raises(wye.FormulaError, match="is not an operator"):
        m03.two_modules(name)


def test_m01_runs(capsys: pytest.CaptureFixture[str]) -> None:
    m01.main()
    told = capsys.readouterr().out
    assert "loss1 * loss2                  6.000     2.000     3.000" in told
    assert "loss1 / loss2                  1.500     0.500    -0.750" in told
    assert "Adam has counted 120 steps" in told
    assert told.count("FormulaError") == 3
    assert "The formula is still max(loss1, loss2)." in told


# M2


def some_digits(count: int = 60) -> tuple[Any, Any]:
    image, target = m02.digits()
    return image[:count], target[:count]


def test_m02_is_of_the_shape_asked_for() -> None:
    image, target = m02.digits()
    assert image.shape == (1797, 784)
    assert target.shape == (1797, 10)
    assert (
        image.reshape(-1, 28, 28)[:, 2:-2, 2:-2][:, ::3, ::3].reshape(-1, 64) * 16 == m01.digits()["image"] * 16
    ).all()
    net = m02.two_networks("+")
    net(image[:2])
    for part in (net.a, net.b):
        assert [tuple(weight.shape) for weight in part.weights] == [(784, 64), (64,), (64, 10), (10,)]


@pytest.mark.parametrize(("name", "join"), [("+", keras.layers.Add), ("*", keras.layers.Multiply)])
def test_m02_fit_is_that_of_the_functional_api(name: str, join: Any) -> None:
    x, y = some_digits()
    ours = m02.two_networks(name)
    ours(x[:1])
    image = keras.Input((784,))
    theirs = keras.Model(image, join()([twin(ours.a)(image), twin(ours.b)(image)]))
    theirs.compile(optimizer="adam", loss="mse")
    errors = [
        model.fit(x, y, batch_size=20, epochs=2, shuffle=False, verbose=0).history["loss"] for model in (ours, theirs)
    ]
    same([np.array(errors[0])], [np.array(errors[1])], 1e-5)
    same(weights(ours), weights(theirs), 1e-5)


def test_m02_switched_in_the_middle_of_a_fit() -> None:
    x, y = some_digits()
    ours = m02.two_networks("*")
    ours(x[:1])
    apart = {"a": twin(ours.a), "b": twin(ours.b)}
    ours.fit(
        x, y, batch_size=20, epochs=4, shuffle=False, verbose=0, callbacks=[m02.switched_at(ours, 2, "a(x) + b(x)")]
    )

    def by_hand(model: Any, batch: Any) -> Any:
        first, second = model.a(batch["x"]), model.b(batch["x"])
        return ops.mean(ops.square(ops.where(model.which < 2, first * second, first + second) - batch["y"]))

    theirs = Plain(by_hand, **apart)
    theirs.compile("adam")
    for step in range(12):
        theirs.which.assign(step // 3)
        theirs.train_on_batch(of({"x": x, "y": y}, step % 3 * 20, step % 3 * 20 + 20))
    same(weights(ours), weights(theirs), 1e-5)
    assert int(ours.optimizer.iterations) == 12
    assert str(ours.formula) == "a(x) + b(x)"


def test_m02_runs(capsys: pytest.CaptureFixture[str]) -> None:
    m02.main()
    told = capsys.readouterr().out
    hits = [int(line.split()[-1].rstrip("%")) for line in told.splitlines() if "right on new images" in line]
    assert len(hits) == 3
    assert min(hits) >= 70
    assert "Adam has counted 168 steps" in told


# M3


@pytest.mark.parametrize("name", m03.OPERATORS)
def test_m03_value_and_gradients(name: str) -> None:
    x, y = array(1, 16, 10), array(2, 16, 1)
    ours = m03.two_modules(name)
    found = ours(x)

    def by_hand(model: Any, batch: Any) -> Any:
        return ops.mean(ops.square(JOINED[name](model.a(batch["x"]), model.b(batch["x"])) - batch["y"]))

    theirs = Plain(by_hand, a=twin(ours.a), b=twin(ours.b))
    alike(found, numbers(JOINED[name](theirs.a(x), theirs.b(x))))
    before = weights(ours)
    ours.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    theirs.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    ours.train_on_batch(x, y)
    theirs.train_on_batch({"x": x, "y": y})
    same(weights(ours), weights(theirs), 1e-5)
    assert all((one != other).any() for one, other in zip(weights(ours), before, strict=True))


@pytest.mark.long
def test_m03_runs(capsys: pytest.CaptureFixture[str]) -> None:
    m03.main()
    told = capsys.readouterr().out
    for formula in ("a(x) + b(x)", "a(x) * b(x)", "a(x) / b(x)", "max(a(x), b(x))"):
        assert formula in told
    assert "moved by 0.00" not in told
    assert all(float(line.split("error ")[1].split(";")[0]) < 0.8 for line in told.splitlines() if "; weights" in line)
    assert "`plus` is not an operator" in told


# M4


def guesses(model: Any, image: Any, stopped: bool) -> tuple[Any, Any]:
    early = ops.relu(model.encode(image))
    late = ops.relu(model.deepen(early))
    return model.classify(early + late), model.probe(ops.stop_gradient(early) if stopped else early)


@pytest.mark.parametrize("stopped", [True, False])
def test_m04_value_and_weights_after_training(stopped: bool) -> None:
    net = m04.network()
    if not stopped:
        net.formula = m04.FORMULA.replace("stop(early)", "early")
    net(images()["image"])

    def by_hand(model: Any, batch: Any) -> Any:
        logits, guess = guesses(model, batch["image"], stopped)
        return cross_entropy(logits, batch["label"]) + cross_entropy(guess, batch["label"])

    theirs = Plain(by_hand, **{part: twin(getattr(net, part)) for part in ("encode", "deepen", "classify", "probe")})
    for got, wanted in zip(net(images()["image"]), guesses(theirs, images()["image"], stopped), strict=True):
        alike(got, numbers(wanted))
    ours = m04.objective(net)
    for model in (ours, theirs):
        model.compile(keras.optimizers.Adam(0.01))
        model.fit(images(24), batch_size=8, epochs=2, shuffle=False, verbose=0)
    same(weights(ours), weights(theirs), 1e-5)


def test_m04_the_gradient_is_stopped() -> None:
    net = m04.network()
    net(images()["image"])
    assert not m04.reaches_the_encoder(net, images())
    net.formula = m04.FORMULA.replace("stop(early)", "early")
    assert m04.reaches_the_encoder(net, images())


def test_m04_runs(capsys: pytest.CaptureFixture[str]) -> None:
    m04.main()
    told = capsys.readouterr().out
    hits = next(line for line in told.splitlines() if line.startswith("Right on new images"))
    assert all(int(word.rstrip("%")) >= 75 for word in hits.split() if word.endswith("%"))
    assert "probe(stop(early))\n  the probe's own loss does not reach the encoder" in told
    assert "probe(early)\n  the probe's own loss reaches the encoder" in told
    assert "encode(image) - encode(image) is zero" in told
    assert "encode(image, draw=1) - encode(image, draw=2) is not zero" in told
