"""Weights of a file under another forward, by the names of stages and parts; and what a file says that it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import wye.keras as wye
from tests.keras.kept import MODELS
from tests.keras.plain import alike, array, dense, line, numbers

X = array(1, 5, 3)


def looped() -> Any:
    mid = wye.Join("relu(mid(x)) * gain", mid=dense(2, 4), gain=0.5)
    net = wye.Chain(first=dense(1, 4), loop=wye.While("norm(x) < 10", mid, max_steps=9), last=dense(3, 2))
    net(X)
    return net


def counted(**more: Any) -> Any:
    mid = wye.Join("relu(mid(x)) * gain", mid=dense(5, 4), gain=1.0)
    net = wye.Chain(**{"first": dense(4, 4), "loop": wye.Repeat(mid, 2), "last": dense(6, 2)} | more)
    net(X)
    return net


def called(model: Any, given: dict[str, Any]) -> None:
    """Builds all of a model."""
    tensors = {name: keras.ops.convert_to_tensor(value) for name, value in given.items()}
    model(tensors.get("the_input", tensors))


def test_another_network_over_the_same_parts(tmp_path: Path) -> None:
    net, other = looped(), counted()
    wye.save(net, tmp_path / "net.keras")
    report = wye.load_weights(other, tmp_path / "net.keras")
    assert report.whole
    assert report.matched == (
        "first.kernel", "first.bias", "loop.block.gain", "loop.block.mid.kernel", "loop.block.mid.bias", "last.kernel",
        "last.bias",
    )  # fmt: skip
    wanted = line(net.first, X)
    for _ in range(2):
        wanted = np.maximum(line(net.loop.block.mid, wanted), 0) * 0.5
    alike(other(X), line(net.last, wanted))
    assert other.loop.block.gain == 0.5
    assert other.loop.times == 2


def test_strict_refuses_and_changes_nothing(tmp_path: Path) -> None:
    wye.save(looped(), tmp_path / "net.keras")
    other = counted(last=dense(6, 5), more=wye.Join("2 * x + w", w=keras.Variable(array(2, 5), name="w")))
    before = [numbers(one) for one in other.variables]
    with pytest.raises(wye.FileError) as caught:
        wye.load_weights(other, tmp_path / "net.keras")
    assert str(caught.value).splitlines()[2:-1] == [
        "  got: 5 matched",
        "       1 missing, left as they were",
        "         more.w",
        "       2 of another shape, left as they were",
        "         last.kernel: (4, 2) in the file, (4, 5) in the model",
        "         last.bias: (2,) in the file, (5,) in the model",
    ]
    for one, old in zip(other.variables, before, strict=True):
        np.testing.assert_array_equal(numbers(one), old)
    report = wye.load_weights(other, tmp_path / "net.keras", strict=False)
    assert len(report.matched) == 5
    assert list(report.misshapen) == ["last.kernel", "last.bias"]


@pytest.mark.parametrize("name", MODELS)
def test_the_weights_of_every_model_go_into_another_one(name: str, tmp_path: Path) -> None:
    model, given = MODELS[name]()
    called(model, given)
    wye.save(model, tmp_path / "a.keras")
    other = wye.load(tmp_path / "a.keras")
    for variable in other.trainable_variables:
        variable.assign(0 * numbers(variable))
    assert wye.load_weights(other, tmp_path / "a.keras").whole
    for one, two in zip(model.trainable_variables, other.trainable_variables, strict=True):
        np.testing.assert_array_equal(numbers(one), numbers(two))


def test_within_a_running_fit(tmp_path: Path) -> None:
    """On JAX a fit holds the variables itself meanwhile."""
    net, seen = wye.Chain(first=dense(1, 4, 3), last=dense(2, 2, 4)), list[Any]()
    net(X)
    loss = wye.Objective("mean((net(x) - 1) ** 2)", net=net)
    wye.save(net, tmp_path / "first.keras")
    kernel = numbers(net.first.kernel)

    def step(batch: int, logs: Any) -> None:
        if batch == 0:
            for name, model in (("whole", loss), ("inner", net)):
                wye.save(model, tmp_path / f"{name}.keras")
            seen.append(numbers(net.first.kernel))
        if batch == 1:
            assert wye.load_weights(net, tmp_path / "first.keras").whole

    loss.compile(keras.optimizers.SGD(0.5))
    call = keras.callbacks.LambdaCallback(on_train_batch_end=step)
    loss.fit({"x": np.concatenate([X, X, 0 * X])}, batch_size=5, shuffle=False, verbose=0, callbacks=[call])
    assert (seen[0] != kernel).any()
    np.testing.assert_array_equal(numbers(wye.load(tmp_path / "whole.keras").net.first.kernel), seen[0])
    np.testing.assert_array_equal(numbers(wye.load(tmp_path / "inner.keras").first.kernel), seen[0])
    np.testing.assert_array_equal(numbers(net.first.kernel), kernel)  # nothing moves where x is 0


def test_a_model_that_is_not_built(tmp_path: Path) -> None:
    wye.save(looped(), tmp_path / "net.keras")
    net = wye.Chain(first=keras.layers.Dense(4))
    with pytest.raises(wye.InputError) as caught:
        wye.load_weights(net, tmp_path / "net.keras")
    assert str(caught.value) == (
        "a model has no weights before it is built.\n"
        f"  in:  load_weights(...)\n  got: {net.name}, not built\n  fix: call it on one batch"
    )


SHOWN = """\
net.keras: a Chain; 8 tensors of 40 numbers, 164 bytes

formula             text
loop.condition      norm(x) < 10
loop.block.formula  relu(mid(x)) * gain

key                    shape  dtype    read by
first.kernel           3 x 4  float32  every sample
first.bias             4      float32  every sample
loop.block.gain        ()     FLOAT  loop.block, by While norm(x) < 10
loop.block.mid.kernel  4 x 4  float32  loop.block, by While norm(x) < 10
loop.block.mid.bias    4      float32  loop.block, by While norm(x) < 10
last.kernel            4 x 2  float32  every sample
last.bias              2      float32  every sample"""


def test_what_a_file_holds(tmp_path: Path) -> None:
    net = looped()
    wye.save(net, tmp_path / "net.keras")
    held = wye.inspect(tmp_path / "net.keras")
    dtype = held.tensors["loop.block.gain"].dtype
    sizes = sum(np.asarray(numbers(one)).nbytes for one in net.variables)
    shown = SHOWN.replace("FLOAT  ", dtype + "  ").replace("8 tensors", "7 tensors").replace("40 numbers", "47 numbers")
    assert str(held).replace(f"{tmp_path}/", "") == shown.replace("164 bytes", f"{sizes} bytes")


def test_every_variable_of_every_model_is_told(tmp_path: Path) -> None:
    for name, make in MODELS.items():
        model, given = make()
        called(model, given)
        wye.save(model, tmp_path / "a.keras")
        held = wye.inspect(tmp_path / "a.keras")
        shapes = sorted(tuple(one.shape) for one in held.tensors.values())
        metrics = {id(one) for metric in getattr(model, "metrics", []) for one in metric.variables}
        assert shapes == sorted({id(v): tuple(v.shape) for v in model.variables if id(v) not in metrics}.values()), name


def test_a_dead_part_is_read_by_nobody(tmp_path: Path) -> None:
    one = dense(2, 4)
    net = wye.Chain(wye.When("c > 0", one, wye.Chain(one, "x + 1")), wye.Join("a(x)", a=dense(1, 4), b=dense(3, 4, 4)))
    net(x=array(1, 5, 4), c=array(2, 5))
    wye.save(net, tmp_path / "a.keras")
    held = wye.inspect(tmp_path / "a.keras")
    assert held.tensors["0.then.kernel"].read_by == "0.then, by When c > 0 | 0.otherwise, by When c > 0"
    assert held.tensors["1.b.kernel"].read_by == "nobody: a(x) of 1 does not read b"
    assert held.shared == {"0.otherwise.0": "0.then"}
