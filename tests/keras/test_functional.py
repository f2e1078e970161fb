"""Joins in the functional API: symbols of unknown sizes, named axes, and shapes that are known to be wrong."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import wye.keras as wye
from tests.keras.plain import alike, array, dense, line, numbers


def test_unknown_sizes_and_several_inputs() -> None:
    x, y = keras.Input((None, 4)), keras.Input((None, 3))
    join = wye.Join("a(x) * gain + y", a=dense(1, 3), gain=0.5)
    model = keras.Model([x, y], join(x, y))
    assert tuple(model.output_shape) == (None, None, 3)
    for time in (2, 5):
        a, b = array(1, 6, time, 4), array(2, 6, time, 3)
        alike(model([a, b]), line(join.a, a) * 0.5 + b)
        alike(model.predict([a, b], verbose=0), line(join.a, a) * 0.5 + b)


def test_named_axes_of_unknown_sizes() -> None:
    q, k = keras.Input((None, 4), name="q"), keras.Input((None, 4), name="k")
    text = "s[b, i, j] = sum(q[b, i, d] * k[b, j, d], d) / 2\nsum(softmax(s, j) * k[b, j, d], j)"
    join = wye.Join(text)
    model = keras.Model({"q": q, "k": k}, join({"q": q, "k": k}))
    assert tuple(model.output_shape) == (None, None, 4)
    for i, j in ((2, 3), (5, 2)):
        a, b = array(1, 3, i, 4), array(2, 3, j, 4)
        scores = np.exp(np.einsum("bid,bjd->bij", a, b, dtype="float64") / 2)
        wanted = np.einsum("bij,bjd->bid", scores / scores.sum(-1, keepdims=True), b)
        alike(model({"q": a, "k": b}), wanted)
        alike(model.predict({"q": a, "k": b}, verbose=0), wanted)


def test_sizes_and_positions_of_unknown_axes() -> None:
    x = keras.Input((None, 2))
    model = keras.Model(x, wye.Join("sum(x[b, t, d] * t, t) / size(t)")(x))
    for time in (3, 6):
        a = array(1, 4, time, 2)
        alike(model(a), (a * np.arange(time)[:, None]).sum(1) / time)


def test_an_unknown_batch_axis_alone_and_a_join_shared_by_two_places() -> None:
    x, y = keras.Input((4,)), keras.Input((4,))
    join = wye.Join("a(x) ** 2 / (1 + a(x) ** 2)", a=dense(1, 3))
    model = keras.Model([x, y], join(x) - join(y))
    a, b = array(1, 5, 4), array(2, 5, 4)
    first, second = line(join.a, a) ** 2, line(join.a, b) ** 2
    alike(model([a, b]), first / (1 + first) - second / (1 + second))
    assert len(model.trainable_variables) == 2


def test_several_values_are_several_symbols() -> None:
    x = keras.Input((4,))
    low, high = wye.Join("min(a(x), 0), max(a(x), 0)", a=dense(1, 3))(x)
    model = keras.Model(x, [low, high])
    a = array(1, 5, 4)
    found = model(a)
    alike(found[0] + found[1], line(model.layers[1].a, a))
    assert numbers(found[0]).max() <= 0 <= numbers(found[1]).min()


def test_an_objective_on_symbols() -> None:
    x, label = keras.Input((4,)), keras.Input((), dtype="int32")
    objective = wye.Objective("ce", ce="cross_entropy(net(x), label)", net=dense(1, 3))
    total, terms = objective(x=x, label=label)
    model = keras.Model([x, label], {"total": total, **terms})
    a, y = array(1, 5, 4), np.array([0, 2, 1, 1, 0], "int32")
    logits = line(objective.net, a)
    logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
    alike(model([a, y])["ce"], -logits[np.arange(5), y].mean())


HELD = np.array([2, 0, 3, 0])
PICKS: dict[str, Any] = {
    "take(x, held)": lambda x: x[HELD],
    "take(x, held, axis=1)": lambda x: x[:, HELD],
    "x[b, d][held[j], d]": lambda x: x[HELD],
    "x[b, held[j]]": lambda x: x[:, HELD],
    "x[b, held[b]]": lambda x: x[np.arange(4), HELD],
    "cross_entropy(x, held, weight=w)": lambda x: (
        sum((np.log(np.exp(row).sum()) - row[place]) * (1 + place) for row, place in zip(x, HELD, strict=True)) / 9
    ),
}


@pytest.mark.parametrize("formula", PICKS)
def test_an_index_that_a_model_holds_picks_from_a_symbol(formula: str) -> None:
    a, held = array(1, 4, 4), {"held": HELD, **({"w": np.arange(1, 5, dtype="float32")} if "w" in formula else {})}
    join = wye.Join(formula, **held)
    x = keras.Input((4,))
    alike(keras.Model(x, join(x))(a), PICKS[formula](a.astype("float64")))
    loss = wye.Objective("mean(x ** 2)", x="pick(layer(z))", pick=join, layer=dense(1, 4))
    loss.compile(keras.optimizers.SGD(0.0))
    seen = loss.fit({"z": a}, batch_size=4, shuffle=False, verbose=0).history["loss"]  # built in a captured step
    alike(seen, [np.mean(PICKS[formula](line(loss.layer, a)) ** 2)])
    # an entry that an axis of a known size lacks is refused, one of an unknown size in the run
    with pytest.raises(wye.RangeError, match="index 4 is out of range"):
        wye.Join("x[b, held[j]]", held=HELD + 1)(x)
    late = keras.Model(x, wye.Join("take(x, held)", held=HELD + 1)(x))
    with pytest.raises(wye.RangeError, match="index 4 is out of range"):
        late(a)


BAD: list[tuple[Any, str]] = [
    (
        lambda x, y, _: wye.Join("x - y")(x, y),
        "`x` and `y` do not fit together.\n  in:  x - y\n       ^^^^^\n"
        "  got: x (None, 4), y (None, 3)\n  fix: give them one shape",
    ),
    (
        lambda x, _, column: wye.Join("mean((a(x) - c) ** 2)", a=dense(1, 3))(x, column),
        "`c` would be broadcast in silence.\n  in:  mean((a(x) - c) ** 2)\n             ^^^^^^^^\n"
        "  got: a(x) (None, 3), c (None, 1) -> ",
    ),
    (
        lambda x, y, _: wye.Join("x[b, k] * y[b, k]")(x, y),
        "the axis `k` has two sizes.\n  in:  x[b, k] * y[b, k]\n                 ^^^^^^^\n"
        "  got: 3 in `y`, 4 in `x`\n  fix: give values of one size along `k`, or name axes that differ",
    ),
    (
        lambda x, *_: wye.Join("x[b, k, d]")(x),
        "`x` has 2 axes, yet 3 are named.\n  in:  x[b, k, d]\n       ^^^^^^^^^^\n"
        "  got: x (None, 4)\n  fix: name each of them: x[b, k]",
    ),
    (
        lambda x, *_: wye.Join("x + y")(x),
        "the input `y` is missing.\n  in:  Join(x, y)\n  got: x\n  fix: give y=...",
    ),
    (
        lambda x, *_: wye.Objective("mean(x[b, k], k)")(x),
        "the value of an objective has no axes.\n  in:  mean(x[b, k], k)",
    ),
]


@pytest.mark.parametrize(("build", "message"), BAD)
def test_what_is_known_to_be_wrong_is_refused_when_the_model_is_built(build: Any, message: str) -> None:
    with pytest.raises(wye.WyeError) as caught:
        build(keras.Input((4,)), keras.Input((3,)), keras.Input((1,)))
    error = caught.value
    assert str(error).startswith(message)
    assert all((error.what, error.where, error.got, error.fix))


def test_shapes_that_turn_out_wrong_are_refused_in_the_run() -> None:
    x, y = keras.Input((None,)), keras.Input((None,))
    model = keras.Model([x, y], wye.Join("x[b, k] - y[b, k]")(x, y))
    alike(model([array(1, 2, 3), array(2, 2, 3)]), array(1, 2, 3) - array(2, 2, 3))
    with pytest.raises(wye.ShapeError, match="in:  x"):
        model([array(1, 2, 3), array(2, 2, 4)])


def test_evaluate_in_a_model() -> None:
    x = keras.Input((4,))
    model = keras.Model(x, wye.evaluate("mean(x[b, k] ** 2, k)", x=x))
    a = array(1, 5, 4)
    alike(model(a), np.mean(a**2, -1))
