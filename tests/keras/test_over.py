"""`objective.over(model)`: what is given goes to the objective whole, and what nobody reads is refused."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import wye.keras as wye
from tests.keras.plain import array, dense, numbers, same

X, Y = array(1, 8, 4), array(2, 8, 1)


def net(key: str = "out") -> keras.Model:
    image = keras.Input((4,), name="image")
    return keras.Model(image, {key: dense(3, 3)(image)})


def test_layers_of_the_objective_are_built_and_trained() -> None:
    head = dense(4, 1)
    model = wye.Objective("mean((head(out) - y) ** 2)", head=head).over(net())
    inner = model.model.layers[-1]
    model.compile(keras.optimizers.SGD(0.1))
    first, bias = numbers(inner.kernel), numbers(inner.bias)
    model.fit(X, Y, batch_size=8, verbose=0)
    fresh = dense(4, 1)
    fresh.build((None, 3))
    kernel, start = numbers(fresh.kernel), numbers(fresh.bias)
    hidden = X @ first + bias
    slope = 2 * (hidden @ kernel + start - Y) / Y.size
    same(
        [numbers(head.kernel), numbers(head.bias)], [kernel - 0.1 * hidden.T @ slope, start - 0.1 * slope.sum(0)], 1e-5
    )
    same([numbers(inner.kernel)], [first - 0.1 * X.T @ (slope @ kernel.T)], 1e-5)


def test_layers_of_the_objective_hear_of_training() -> None:
    drop = keras.layers.Dropout(0.5, seed=1)
    model = wye.Objective("mean(drop(one)[b, k] == 0) + 0 * mean(out)", drop=drop).over(net())
    model.compile(keras.optimizers.SGD(0.0))
    data = (X, {"one": np.ones((8, 200), "float32")})
    history = model.fit(*data, verbose=0, validation_data=data).history
    assert 0.4 < history["loss"][0] < 0.6
    assert history["val_loss"] == [0.0]


def test_schedules_inside_the_model_move() -> None:
    join = wye.Join("gain * a(x)", a=dense(3, 1), gain=wye.Schedule("step + 1"))
    image = keras.Input((4,))
    model = wye.Objective("mean((out - y) ** 2)").over(keras.Model(image, {"out": join(image)}))
    model.compile("sgd")
    model.fit(X, Y, batch_size=2, verbose=0)
    assert join.gain == 5.0


def test_weights_stay_apart_from_targets_with_names() -> None:
    model = wye.Objective("mean(sample_weight[b] * (out[b, k] - far[b, k]) ** 2)").over(net())
    model.compile(keras.optimizers.SGD(0.0))
    far, weight = array(5, 8, 3), np.abs(array(6, 8))
    hidden = X @ numbers(model.model.layers[-1].kernel) + numbers(model.model.layers[-1].bias)
    loss = float(np.mean(weight[:, None] * (hidden - far) ** 2))
    history = model.fit(X, {"far": far}, sample_weight=weight, batch_size=8, verbose=0).history
    assert history["loss"] == [pytest.approx(loss, rel=1e-5)]
    assert model.evaluate(X, {"far": far}, sample_weight=weight, verbose=0) == pytest.approx(loss, rel=1e-5)
    assert model.train_on_batch(X, {"far": far}, sample_weight=weight) == pytest.approx(loss, rel=1e-5)
    with pytest.raises(wye.InputError, match="`sample_weight` is one tensor"):
        model.fit(X, {"far": far}, sample_weight={"far": weight}, verbose=0)


UNREAD = (
    "`{0}` is given, which the objective does not read.\n  in:  Objective.fit(...)\n  got: inputs out\n"
    "  fix: read `{0}` in the formula, or leave it out"
)
REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "weights": ({"sample_weight": Y[:, 0]}, {}, UNREAD.format("sample_weight")),
    "a target": ({"y": Y}, {}, UNREAD.format("y")),
    "two of one name": (
        {"y": {"out": Y}},
        {},
        "two mappings hold different values for the input `out`.\n  in:  Objective.on(...)\n  got: out\n"
        "  fix: leave it out of all but one",
    ),
    "a loss": (
        {},
        {"loss": "mse"},
        "`loss` is given beside a formula.\n  in:  compile(..., loss=...)\n  got: loss\n"
        "  fix: leave it out: the value of the formula is the loss, and its terms are metrics",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_would_be_passed_over_is_refused(case: str) -> None:
    given, settings, message = REFUSED[case]
    model = wye.Objective("mean(out ** 2)").over(net())
    model.compile("sgd", **settings)
    with pytest.raises(wye.InputError) as caught:
        model.fit(X, verbose=0, **{"y": {"other": Y}, **given})
    assert str(caught.value) == message


def test_an_objective_takes_no_other_loss_or_metric_or_weights() -> None:
    for settings in ({"loss": "mse"}, {"metrics": ["mae"]}):
        model = wye.Objective("mean(a(x) ** 2)", a=dense(1, 1))
        model.compile("sgd", **settings)
        with pytest.raises(wye.InputError, match=f"`{next(iter(settings))}` is given beside a formula"):
            model.fit({"x": X}, verbose=0)
    model = wye.Objective("mean(a(x) ** 2)", a=dense(1, 1))
    model.compile("sgd")
    with pytest.raises(wye.InputError, match="`sample_weight` is given, which the objective does not read"):
        model.fit(X, sample_weight=Y[:, 0], verbose=0)
    with pytest.raises(wye.InputError, match="`class_weight` is given, which the objective does not read"):
        model.fit({"x": X}, class_weight={0: 1.0}, verbose=0)
