"""The values of a Join on Keras, against NumPy in float64; how it is given its inputs, and how it is changed."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import wye.keras as wye
from tests.keras.fresh import answered
from tests.keras.plain import BACKEND, alike, array, dense, line, numbers, tensor
from wye.errors import InputError
from wye.keras.parts import reserved

X, Y = array(1, 5, 4), array(2, 5, 3)


def pair() -> wye.Join:
    return wye.Join("gain * a(x) + b(y)", a=dense(1, 2), b=dense(2, 2), gain=0.5)


def wanted(join: wye.Join) -> Any:
    return 0.5 * line(join.a, X) + line(join.b, Y)


@pytest.mark.parametrize("name", "value part hold around numbers tables updates sources kinds outer finish".split())
def test_a_part_may_be_called_as_what_holds_it(name: str) -> None:
    loss, part = wye.Objective(f"sum(x * {name})", **{name: tensor(3, 4)}), array(3, 4)
    alike(loss(X)[0], (X * part).sum())
    alike(wye.When(f"x > sum({name})", "2 * x", **{name: tensor(3, 4)})(X[:, :1]),
          np.where(X[:, :1] > part.sum(), 2, 1) * X[:, :1])  # fmt: skip


# how inputs are given


@pytest.mark.parametrize("of", [lambda x: x, keras.ops.convert_to_tensor], ids=["numpy", "tensors"])
def test_inputs_by_position_by_name_as_a_list_and_as_a_dict(of: Any) -> None:
    join = pair()
    x, y = of(X), of(Y)
    found = [join(x, y), join(x, y=y), join(y=y, x=x), join([x, y]), join((x, y)), join({"y": y, "x": x, "more": y})]
    for value in found:
        alike(value, wanted(join))
        np.testing.assert_array_equal(numbers(value), numbers(found[0]))
    assert join.inputs == ("x", "y")
    assert len(join.trainable_variables) == 4


def test_a_dict_binds_what_is_read_alone() -> None:
    join = wye.Join("x + y")
    join.formula = "x * 2"
    alike(join({"x": X}), 2 * X)
    alike(join({"x": X, "y": None}), 2 * X)
    alike(join(X), 2 * X)
    alike(join(X, Y), 2 * X)


def test_an_input_that_is_a_dict_or_a_list() -> None:
    join = wye.Join("batch['image'] + batch['shift'][0]")
    alike(join({"image": X, "shift": (X,)}), 2 * X)
    alike(wye.Join("both[0] - both[1]")([X, 2 * X]), -X)


def test_inputs_that_are_numbers() -> None:
    join = wye.Join("a(x) * gain + shift", a=dense(1, 2))
    alike(join(X, 2.0, shift=1), line(join.a, X) * 2 + 1)
    alike(join(X, 3, True), line(join.a, X) * 3 + 1)


def test_an_empty_batch_is_a_batch() -> None:
    join = pair()
    join(X, Y)
    assert tuple(join(X[:0], Y[:0]).shape) == (0, 2)


def test_axes() -> None:
    join = wye.Join("mean(w[b] * (a(x)[b, k] - y[b, k]) ** 2)", a=dense(1, 3))
    w = np.abs(array(3, 5))
    found = join(x=X, y=Y, w=w)
    alike(found, np.mean(w[:, None] * (line(join.a, X) - Y) ** 2))


def test_several_values() -> None:
    low, high = wye.Join("min(x, y), max(x, y)")(X, X[::-1].copy())
    alike(low, np.minimum(X, X[::-1]))
    alike(high, np.maximum(X, X[::-1]))


@keras.saving.register_keras_serializable("tests")
class Drawn(keras.Layer):
    """A layer that draws, and counts its calls."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.drop, self.calls = keras.layers.Dropout(0.5, seed=3), 0

    def call(self, x: Any, training: bool = False) -> Any:
        self.calls += 1
        return self.drop(x, training=training)


def test_the_same_call_written_twice_is_one_value() -> None:
    net = Drawn()
    join = wye.Join("net(x) - net(x) + twin", net=net, twin="net(x) * 0")
    join(X)
    net.calls = 0
    alike(join(np.ones(100, "float32"), training=True), np.zeros(100))
    assert net.calls == 1
    join = wye.Join("net(x, draw=1) - net(x, draw=2) + 0 * net(x, draw=1)", net=net)
    assert np.abs(numbers(join(np.ones(100, "float32"), training=True))).sum() > 0
    alike(join(np.ones(100, "float32"), training=False), np.zeros(100))


# its parts


def test_parts_that_are_values() -> None:
    scale = keras.Variable(array(4, 4), name="scale")
    join = wye.Join("x * scale + shift + offset", scale=scale, shift=tensor(5, 4), offset=array(6, 4))
    alike(join(X), X * array(4, 4) + array(5, 4) + array(6, 4))
    assert [v.path for v in join.trainable_variables] == [scale.path]
    assert len(join.non_trainable_variables) == 2
    scale.assign(2 * array(4, 4))
    join.shift = array(7, 4)
    alike(join(X), X * 2 * array(4, 4) + array(7, 4) + array(6, 4))


def test_named_formulas() -> None:
    join = wye.Join("part + 1", part="a(x) * 2", a=dense(1, 2))
    alike(join(X), line(join.a, X) * 2 + 1)
    join.part = "a(x) * 3"
    alike(join(X), line(join.a, X) * 3 + 1)
    assert str(join.part) == "a(x) * 3"


def test_a_table() -> None:
    rows = array(8, 10, 4)
    join = wye.Join("x[b, d] * t[b, d]", t=wye.Table(rows, by="id"))
    index = np.array([9, 0, 3, 3, 1])
    alike(join(X, id=index), X * rows[index])
    assert join.inputs == ("x", "id")


def test_callables() -> None:
    join = wye.Join("twice(x) + a(x)", twice=lambda x: 2 * x, a=dense(1, 4))
    alike(join(X), 2 * X + line(join.a, X))
    join.twice = lambda x: 3 * x
    alike(join(X), 3 * X + line(join.a, X))


def test_a_callable_in_the_place_of_the_formula() -> None:
    def mixed(a: Any, gain: Any, x: Any, y: Any) -> Any:
        return a(x) * gain + y

    join = wye.Join(mixed, a=dense(1, 3), gain=0.5)
    for value in (join(X, Y), join(y=Y, x=X), join({"x": X, "y": Y})):
        alike(value, line(join.a, X) * 0.5 + Y)
    assert join.inputs == ("x", "y")
    assert "def mixed" in join.code
    join.gain = 2.0
    alike(join(X, Y), line(join.a, X) * 2 + Y)
    join.formula = "a(x) - y"
    alike(join(X, Y), line(join.a, X) - Y)
    join.formula = mixed
    alike(join(X, Y), line(join.a, X) * 2 + Y)


OPERATORS: dict[str, Any] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "max": np.maximum,
    "min": np.minimum,
    "mean": lambda a, b: (a + b) / 2,
    "concat": lambda a, b: np.concatenate([a, b], -1),
}


@pytest.mark.parametrize("operator", OPERATORS)
def test_of(operator: str) -> None:
    join = wye.Join.of(operator, dense(1, 2), dense(2, 2))
    alike(join(X), OPERATORS[operator](line(join.a, X), line(join.b, X)), 1e-4)


# how it is changed


def test_the_formula_is_switched_and_inputs_stay() -> None:
    join = wye.Join("a(x) + y", a=dense(1, 3))
    alike(join(X, Y), line(join.a, X) + Y)
    join.formula = "a(x) * y"
    alike(join(X, Y), line(join.a, X) * Y)
    join.formula = "a(x)"
    alike(join(X), line(join.a, X))
    with pytest.raises(InputError, match="which is no input"):
        join.formula = "a(x) + z"
    with pytest.raises(wye.FormulaError):
        join.formula = "a(x) +"
    assert str(join.formula) == "a(x)"
    alike(join(X, Y), line(join.a, X))
    assert join.inputs == ("x", "y")


def test_a_number_keeps_its_type_and_takes_effect() -> None:
    join = wye.Join("x * gain + steps", gain=0.5, steps=2)
    join.gain = 3.0
    join.steps = 5
    alike(join(X), X * 3 + 5)
    assert (join.gain, join.steps) == (3.0, 5)
    assert (type(join.gain), type(join.steps)) == (float, int)
    join.gain = 2**70
    alike(join(np.ones(1, "float32")), [2.0**70 + 5], 1e-6)


def test_a_number_never_widens_the_values_it_meets() -> None:
    join = wye.Join("x * gain + shift", gain=0.1, shift=3)
    for dtype in ("float16", "bfloat16", "float32"):
        made = wye.Join("x * gain + shift", gain=0.1, shift=3)
        assert keras.backend.standardize_dtype(made(keras.ops.ones(2, dtype)).dtype) in (dtype, "float32")
    assert keras.backend.standardize_dtype(join(keras.ops.ones(2, "float32")).dtype) == "float32"


def test_schedules_move() -> None:
    inner = wye.Join("a(x) * t", a=dense(1, 2), t=wye.Schedule("step / 5"))
    join = wye.Join("inner(x) + beta", inner=inner, beta=wye.Schedule("min(3, 2 * step)"))
    for step in range(4):
        assert join.beta == min(3, 2 * step)
        assert inner.t == pytest.approx(step / 5)
        alike(join(X), line(inner.a, X) * (step / 5) + min(3, 2 * step))
        join.advance()
    join.beta = wye.Schedule("step * 10")  # at the fourth step already
    alike(join(X), line(inner.a, X) * 0.8 + 40)


def test_layers_are_replaced() -> None:
    join = wye.Join("a(x)", a=dense(1, 2))
    join(X)
    join.a = dense(9, 2, 4)
    alike(join(X), line(join.a, X))
    assert {v.path for v in join.trainable_variables} == {join.a.kernel.path, join.a.bias.path}


# what it shows


def test_the_code_it_runs() -> None:
    code = wye.Join("a(x) + 1", a=dense(1, 2)).code
    assert "['a'](x)\n" in code
    assert code.splitlines()[-1].startswith("return")


def test_it_prints_what_was_typed() -> None:
    layer = dense(1, 2, name="first")
    join = wye.Join("a(x)+gain*part", a=layer, gain=0.5, part="x  **2", t=wye.Schedule("min(1,step/5)"))
    settings = "gain=0.5, part='x  **2', t=Schedule('min(1,step/5)')"
    assert repr(join) == f"Join('a(x)+gain*part', {settings}, a={layer!r})"
    assert repr(wye.Objective("mean(x) + 1")) == "Objective('mean(x) + 1')"


RESERVED = (
    "import json, wye.keras as w; from wye.keras.parts import reserved; print(json.dumps([*reserved(w.Objective)]))"
)


def public(names: Any) -> set[str]:
    return {name for name in names if not name.startswith("_")}


@pytest.mark.long
@pytest.mark.skipif(BACKEND != "jax", reason="once is enough, and JAX starts fastest")
@pytest.mark.parametrize("other", ["tensorflow", "torch"])
def test_the_same_names_are_refused_on_all_backends(other: str) -> None:
    assert public(reserved(wye.Objective)) == public(answered(RESERVED, backend=other))


@pytest.mark.parametrize("name", ["half", "to", "jax_state_sync", "distribute_strategy", "fit", "formula"])
def test_reserved_names(name: str) -> None:
    with pytest.raises(wye.PartError, match="belongs to the module"):
        wye.Join("x", **{name: 1.0})


def test_frozen() -> None:
    target = dense(1, 2, 4)
    join = wye.Join("a(x) + b(x)", a=wye.frozen(target), b=dense(2, 2))
    alike(join(X), line(target, X) + line(join.b, X))
    assert {id(v) for v in join.trainable_variables} == {id(v) for v in join.b.variables}
    assert {id(v) for v in join.variables} == {id(v) for v in (*target.variables, *join.b.variables)}
