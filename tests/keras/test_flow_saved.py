"""A flow in a `.keras` file: read in a fresh process it gives the same bits, and nothing that it loads is code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import wye.keras as wye
from tests.keras.fresh import answered
from tests.keras.plain import array, dense, numbers

READ = """
import json, sys
import numpy as np
import wye.keras as wye
given = dict(np.load(sys.argv[2]))
found = []
for path in sys.argv[3:]:
    net = wye.load(path)
    x = given["x"]
    sides = {name: given[name] for name in net.wants}
    value = net(x, **sides)
    found.append([str(net), np.asarray(value.detach() if hasattr(value, "detach") else value).tobytes().hex()])
    net.save(path + "again.keras")
print(json.dumps(found))
"""
GIVEN: dict[str, Any] = {
    "x": array(1, 5, 4),
    "c": np.array([1, -1, 0.5, 2, -2], "float32"),
    "k": np.array([0, 1, 2, 1, 0], "int32"),
    "table": array(2, 4),
}


def when(**more: Any) -> Any:
    return wye.When("c > 0", dense(1, 4), **more)


NETS: dict[str, Callable[[], Any]] = {
    "Chain": lambda: wye.Chain(dense(1, 4), "tanh(x)", deep=when(), last=dense(2, 3)),
    "Chain, shared": lambda: wye.Chain("x[b, d] * table[d]", when(), shared=("table",)),
    "When": lambda: wye.Chain(wye.When("norm(x) > bound and gap > 0", dense(1, 4), bound=0.5, gap="c + 1")),
    "When of two": lambda: wye.Chain(wye.When("score(x)[k] > 0", dense(1, 4), dense(2, 4), score=dense(3, 1))),
    "When per batch": lambda: wye.Chain(wye.When("mean(x) > 0", dense(1, 4), per="batch")),
    "When, a truth": lambda: wye.Chain(wye.When(True, dense(1, 4))),
    "When of a coin": lambda: wye.Chain(wye.When("coin(0.5)", dense(1, 4), eval=True)),
    "Switch": lambda: wye.Chain(wye.Switch("k", dense(1, 4), None, "2 * x")),
    "Repeat": lambda: wye.Chain(wye.Repeat(dense(1, 4), "clamp(k, 0, 3)")),
    "Repeat, a number": lambda: wye.Chain(wye.Repeat(dense(1, 4), 2)),
    "Repeat of a list": lambda: wye.Chain(wye.Repeat([dense(1, 4), dense(2, 4)], "k")),
    "Repeat of a die": lambda: wye.Chain(wye.Repeat(dense(1, 4), "die(0, 3)", eval=2)),
    "While": lambda: wye.Chain(wye.While("norm(x) < bound", dense(1, 4), max_steps=5, bound=2.0)),
    "RandomChoice": lambda: wye.Chain(wye.RandomChoice(dense(1, 4), dense(2, 4), weights=(1, 3))),
    "nested": lambda: wye.Chain(wye.Switch("k", wye.While("norm(x) < 2", when(), max_steps=3), None, when())),
    "a layer in several nodes": lambda: several(dense(1, 4)),
}


def several(layer: Any) -> Any:
    return wye.Chain(layer, wye.When("c > 0", layer, wye.Chain(layer, "x + 1")), wye.Repeat([layer, layer], "k"))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any, Any]]:
    """Each net in a file, with what it gave, and what a fresh process made of the file."""
    folder = tmp_path_factory.mktemp("nets")
    given = folder / "given.npz"
    np.savez(given, **GIVEN)
    paths, values = list[Path](), list[Any]()
    for place, build in enumerate(NETS.values()):
        net = build()
        values.append((str(net), numbers(net(GIVEN["x"], **{name: GIVEN[name] for name in net.wants})).tobytes().hex()))
        paths.append(folder / f"net{place}.keras")
        wye.save(net, paths[-1])
    found = answered(READ, "read", str(given), *map(str, paths))
    return dict(zip(NETS, zip(paths, values, found, strict=True), strict=True))


@pytest.mark.long
@pytest.mark.parametrize("net", NETS)
def test_a_fresh_process_gives_the_same_bits(saved: Any, net: str) -> None:
    path, (text, value), (again, found) = saved[net]
    assert found == value
    assert again == text
    first, second = wye.load(path), wye.load(f"{path}again.keras")
    for one, other in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(numbers(one), numbers(other))


@pytest.mark.long
def test_a_shared_layer_is_one_again(saved: Any) -> None:
    net = wye.load(saved["a layer in several nodes"][0])
    assert len(net.trainable_variables) == 2
    first, choice, rounds = net
    assert first is choice.then is choice.otherwise[0] is getattr(rounds, "0") is getattr(rounds, "1")


def test_dice_go_on_where_they_were(tmp_path: Path) -> None:
    net = wye.Chain(wye.RandomChoice("x", "2 * x", "3 * x"))
    x = np.ones((1, 1), "float32")
    for _ in range(5):
        net(x, training=True)
    wye.save(net, tmp_path / "net.keras")
    again = wye.load(tmp_path / "net.keras")
    assert int(again[0].dice.steps) == 5
    ours, theirs = ([float(numbers(one(x, training=True))[0, 0]) for _ in range(20)] for one in (net, again))
    assert ours == theirs
    assert len({*ours}) == 3


def test_what_was_assigned_is_kept(tmp_path: Path) -> None:
    net = wye.Chain(wye.When("norm(x) > bound", "2 * x", bound=0.5), wye.RandomChoice("x", "3 * x"))
    net(np.ones((1, 1), "float32"))
    net[0].condition, net[0].bound, net[1].chances = "norm(x) < bound", 7.0, (0, 1)
    wye.save(net, tmp_path / "net.keras")
    again = wye.load(tmp_path / "net.keras")
    assert str(again[0].condition) == "norm(x) < bound"
    assert (again[0].bound, again[1].chances) == (7.0, (0.0, 1.0))
    assert float(numbers(again(np.ones((1, 1), "float32")))[0, 0]) == 6


def test_a_functional_model_keeps_its_nodes(tmp_path: Path) -> None:
    x, c = keras.Input((4,), name="x"), keras.Input((), name="c")
    model = keras.Model({"x": x, "c": c}, when()(x, c=c))
    given = {name: GIVEN[name] for name in ("x", "c")}
    model.save(tmp_path / "model.keras")
    again: Any = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(numbers(again(given)), numbers(model(given)))


@pytest.mark.parametrize(
    ("net", "name"),
    [
        (lambda: wye.When(named, "2 * x"), "condition"),
        (lambda: wye.Repeat("2 * x", named), "times"),
        (lambda: wye.Switch(named, "2 * x"), "index"),
        (lambda: wye.When("ask(x) > 0", "2 * x", ask=named), "ask"),
        (lambda: wye.When(True, named), "function"),
    ],
)
def test_a_callable_is_refused_by_name(net: Callable[[], Any], name: str, tmp_path: Path) -> None:
    chain = wye.Chain(net())
    chain(np.ones((2, 1), "float32"))
    with pytest.raises(wye.PartError) as caught:
        wye.save(chain, tmp_path / "net.keras")
    fix = "write it as a formula, or as a keras.Layer registered with keras.saving.register_keras_serializable"
    assert str(caught.value) == (
        f"`{name}` is a callable, which no file holds.\n  in:  {name}=...\n  got: named\n  fix: {fix}"
    )


def named(x: Any) -> Any:
    return 0 * x
