"""A wrong call of a Join on Keras is told in the words of the torch front, to the letter; both run in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import torch

import wye as on_torch
import wye.keras as wye
from tests.keras.plain import BACKEND, dense


class Front:
    """What a case needs, on one front."""

    def __init__(self, wye: Any, layer: Callable[[], Any], tensor: Callable[..., Any], kind: type) -> None:
        self.wye, self.layer, self.tensor, self.kind = wye, layer, tensor, kind

    def ones(self, *shape: int) -> Any:
        return self.tensor(np.ones(shape, "float32"))

    def ids(self, *values: int) -> Any:
        return self.tensor(np.array(values))

    def join(self, formula: Any, **parts: Any) -> Any:
        return self.wye.Join(formula, **parts)

    def loss(self, formula: Any, **parts: Any) -> Any:
        return self.wye.Objective(formula, **parts)

    def switched(self, text: str) -> None:
        self.join("a(x) + y", a=self.layer()).formula = text

    def assigned(self, name: str, value: object) -> None:
        setattr(self.join("a(x) * gain + part", a=self.layer(), gain=1.0, part="x * 0"), name, value)

    def table(self, *shape: int, by: str = "id") -> Any:
        return self.wye.Table(self.ones(*shape), by=by)

    def weighed(self, **inputs: Any) -> Any:
        return self.join("w[b] * x[b]", w=self.table(4))(**inputs)

    def filled(self, value: object) -> None:
        self.join("w[b] * x[b]", w=self.table(4)).w = value


ON_KERAS = Front(wye, lambda: dense(1, 3), keras.ops.convert_to_tensor, keras.Layer)
ON_TORCH = Front(on_torch, lambda: torch.nn.Linear(4, 3), torch.as_tensor, torch.nn.Module)

CALLS = """
join("a(x) + y", a=layer())(ones(5, 4))
join("a(x) + y", a=layer())()
join("a(x) + y", a=layer())(ones(1, 4), ones(1, 3), ones(1))
join("a(x) + y", a=layer())(ones(1, 4), ones(1), x=ones(1))
join("a(x) + label", a=layer())(ones(1), labels=ones(1))
join("a(x) + y", a=layer())(ones(1), q=ones(1))
join("a + b", a=1.0, b=2.0)(ones(1))
join("x * 2")("text")
join("x * 2")(None)
join("x * 2")({"image": ones(1)})
join("x - y")(ones(5, 1), ones(5))
join("x - y")(ones(5, 4), ones(1, 4))
join("x - y")(ones(5, 4), ones(4))
join("x - y")(ones(5, 4), ones(5))
join("x[b, k] - y[b, k]")(ones(5, 4), ones(5, 3))
join("x[b, k]")(ones(5, 4, 3))
join("a(x)[0]", a=layer())(ones(5, 4))
join("u, v = a(x)\\nu + v", a=lambda x: (x, x, x))(ones(5, 4))
join("a(x)[3]", a=lambda x: (x, x, x))(ones(5, 4))
join("a(x)['logit']", a=lambda x: {"logits": x, "hidden": x})(ones(5, 4))
join("a(x) * 2", a=lambda x: {"logits": x, "hidden": x})(ones(5, 4))
join("a(x) * 2", a=lambda x: (x, x))(ones(5, 4))
join("p[b, y[b]]")(ones(2, 3), ids(0, 3))
join("p[b, y[b]]")(ones(2, 3), ids(-1, 0))
join("take(x, i, axis=0)")(ones(3, 3), ids(7))
join("mean(x[b, k], j)")(ones(5, 4))
join("nope(x)")(ones(1))
join("x +")
join("x ++ (")
join("a(x) if x else y", a=layer())
join("x * 9 ** (64 ** 64)")
switched("a(x) + z")
switched("a(x) +")
assigned("part", "x + z")
assigned("gain", layer())
assigned("gain", "x")
assigned("a", 1.0)
assigned("part", 2.0)
assigned("gain", 10 ** 400)
table()
table(3, by="no name")
weighed(id=ids(0, 4), x=ones(2))
weighed(id=ids(0, -1), x=ones(2))
weighed(id=ones(2), x=ones(2))
weighed(id=ids(0, 1, 2), x=ones(2))
filled(ones(3))
filled(table(4, by="who"))
filled(2.0)
join("x", strict=1.0)
join("a(x)", a=kind)
join("a(x)", a=[1, 2])
join("a(x)", a=object())
join("x", forward=1.0)
join("x", half=0.5)
join("x", step=0.5)
join("x", coin=0.5)
join("x", **{"a b": 0.5})
wye.Join.of("^", layer(), layer())
wye.Join.of("plus", layer(), layer())
wye.Join.of("+", layer())
wye.Schedule("gain / 5")
wye.frozen(1.0)
loss("x")(ones(5))
loss("x[b, k]")(ones(5, 4))
loss("mean(x), max(x)")(ones(5))
loss("mean(x)", on_nonfinite="stop")
loss("mean(x) + mean(y)").on({"x": ones(5)})
loss("mean(x) + mean(y)").on({"x": ones(5), "y": ones(5)}, {"y": ones(4)})
loss("mean(x) + mean(y)").on([ones(5)])
loss("ce + nan * beta", ce="mean(x)", nan="mean(log(x) - log(x))", beta=2.0, on_nonfinite="raise")(0 * ones(5))
""".strip().splitlines()


def told(front: Front, call: str) -> tuple[str, str]:
    names = {name: getattr(front, name) for name in dir(front) if not name.startswith("_")}
    with pytest.raises(wye.WyeError) as caught:
        eval(call, names)
    error = caught.value
    assert all((error.what, error.where, error.got, error.fix)), f"a part is missing: {error}"
    return type(error).__name__, str(error)


# What one front has and the other has not is named by its own words.
OWN_WORDS = (
    ("a KerasTensor", "a Tensor"),
    ("a layer, a Variable, a tensor, a number, a formula, a Schedule, a Table, Edges or a callable",
     "a module, a Parameter, a tensor, a number, a formula, a Schedule, a Table, Edges or a callable"),
    ("only a layer can be frozen", "only a module can be frozen"),
    ("the class Layer", "the class Module"),
    ("a=Layer", "a=Module"),
    ("Dense", "Linear"),
)  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_the_message_is_that_of_the_torch_front(call: str) -> None:
    kind, message = told(ON_KERAS, call)
    for own, other in OWN_WORDS:
        message = message.replace(own, other)
    assert (kind, message) == told(ON_TORCH, call)


# what Keras alone can be given


def test_a_module_of_torch_is_refused_with_its_cure() -> None:
    with pytest.raises(wye.PartError) as caught:
        wye.Join("a(x)", a=torch.nn.Linear(4, 3))
    assert str(caught.value) == (
        "`a` is no layer of Keras.\n  in:  a=...\n  got: Linear\n"
        "  fix: wrap it, for Keras on torch: a=keras.layers.TorchModuleWrapper(a)"
    )
    if BACKEND == "torch":
        inner = torch.nn.Linear(4, 3)
        join = wye.Join("a(x)", a=keras.layers.TorchModuleWrapper(inner))
        x = torch.ones(2, 4)
        torch.testing.assert_close(join(x), inner(x))
        assert len(join.trainable_variables) == 2


def test_a_symbol_is_no_part() -> None:
    with pytest.raises(wye.PartError) as caught:
        wye.Join("x * a", a=keras.Input((4,)))
    assert str(caught.value) == (
        "`a` is a symbol, which has no value.\n  in:  a=...\n  got: a KerasTensor\n"
        "  fix: let the formula read it as an input: give a=... in the call"
    )
