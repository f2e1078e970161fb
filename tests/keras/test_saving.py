"""A `.keras` file read in a fresh process gives the same model, to the bit; on another backend, to 1e-6."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import wye.keras as wye
from tests.keras.by_hand import stepped
from tests.keras.fresh import ROOT
from tests.keras.kept import MODELS
from tests.keras.plain import BACKEND, alike, array, dense, numbers, slots, weights
from tests.keras.read_saved import arrays, told

OTHERS = [name for name in ("tensorflow", "jax", "torch") if name != BACKEND]


def read_in(backend: str, folder: Path) -> dict[str, Any]:
    let = "ignore:__array__ implementation doesn't accept:DeprecationWarning"  # as in pyproject.toml
    command = [sys.executable, "-W", "error", "-W", let, "-m", "tests.keras.read_saved", str(folder)]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads((folder / f"{backend}.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of MODELS as files, with their inputs; `wanted.NAME.npz` is what they gave here."""
    place = tmp_path_factory.mktemp("kept")
    reports: dict[str, Any] = {}
    for name, make in MODELS.items():
        model, given = make()
        np.savez(place / f"{name}.npz", **given)
        tensors = {key: keras.ops.convert_to_tensor(value) for key, value in given.items()}
        np.savez(place / f"wanted.{name}.npz", *arrays(model(tensors.get("the_input", tensors))))
        wye.save(model, place / f"{name}.keras")
        reports[name] = told(model)
    (place / "wanted.json").write_text(json.dumps(reports))
    return place


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    """What a fresh process on this backend says of each."""
    return read_in(BACKEND, folder)


def outputs(folder: Path, name: str) -> list[Any]:
    with np.load(folder / f"{name}.npz") as held:
        return [held[key] for key in held.files]


@pytest.mark.parametrize("name", MODELS)
def test_the_same_to_the_bit_in_a_fresh_process(name: str, folder: Path, found: dict[str, Any]) -> None:
    report = found[name]
    assert "error" not in report, report["error"]
    for one, other in zip(outputs(folder, f"{name}.{BACKEND}"), outputs(folder, f"wanted.{name}"), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert report == json.loads((folder / "wanted.json").read_text())[name]


@pytest.mark.long
@pytest.mark.parametrize("backend", OTHERS)
def test_other_backends_read_it(backend: str, folder: Path) -> None:
    reports = read_in(backend, folder)
    wanted = json.loads((folder / "wanted.json").read_text())
    errors = {name: report["error"] for name, report in reports.items() if "error" in report}
    assert not errors
    assert reports.keys() == MODELS.keys()
    for name, report in reports.items():
        assert {**report, "slots": 0} == {**wanted[name], "slots": 0}
        for one, other in zip(outputs(folder, f"{name}.{backend}"), outputs(folder, f"wanted.{name}"), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)
        for one, other in zip(report.get("slots", []), wanted[name].get("slots", []), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-8)


def test_a_loaded_objective_trains_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    model, x = MODELS["objective"]()
    wye.save(model, tmp_path / "a.keras")
    again = wye.load(tmp_path / "a.keras")
    assert again.t == model.t == 10
    for one in (model, again):
        stepped(one, 5, x=x)
    for one, other in zip([*weights(model), *slots(model.optimizer)], [*weights(again), *slots(again.optimizer)],
                          strict=True):  # fmt: skip
        np.testing.assert_array_equal(one, other)
    assert again.t == 15
    again.formula = "pull"
    assert again.evaluate(x, verbose=0, return_dict=True).keys() == {"loss", "pull"}


def test_shared_layers_stay_one(tmp_path: Path) -> None:
    for name in ("shared", "shared_twice", "frozen"):
        model, given = MODELS[name]()
        wye.save(model, tmp_path / f"{name}.keras")
        again = wye.load(tmp_path / f"{name}.keras")
        assert len(again.trainable_variables) == len(model.trainable_variables)
        again.trainable_variables[0].assign(0 * numbers(again.trainable_variables[0]))
        model.trainable_variables[0].assign(0 * numbers(model.trainable_variables[0]))
        alike(again(given), numbers(model(given)), 0)
    assert again.a is again.still.module


def test_numbers_keep_their_types_and_what_they_were_assigned(tmp_path: Path) -> None:
    model, given = MODELS["numbers"]()
    wye.save(model, tmp_path / "a.keras")
    again = wye.load(tmp_path / "a.keras")
    assert (again.gain, again.steps, again.flag, again.t) == (0.7, 2, True, 0.375)
    assert [type(one) for one in (again.gain, again.steps, again.flag)] == [float, int, bool]
    alike(again(given), given["x"] * 0.7 + 2 + 0.375 + given["x"] ** 2)
    again.gain = 1.0
    again.advance()
    alike(again(given), given["x"] + 2 + 0.5 + given["x"] ** 2)


# what is refused


def test_callables_are_refused_by_name(tmp_path: Path) -> None:
    def twice(x: Any) -> Any:
        return 2 * x

    fix = "write it as a formula, or as a keras.Layer registered with keras.saving.register_keras_serializable"
    for model, name in (
        (wye.Join("f(x)", f=twice), "f"),
        (wye.Join(twice), "formula"),
        (wye.Objective("mean(net(x))", net=wye.Join("g(x)", g=twice)), "g"),
    ):
        model(array(1, 2))
        with pytest.raises(wye.PartError) as caught:
            wye.save(model, tmp_path / "a.keras")
        assert str(caught.value) == (
            f"`{name}` is a callable, which no file holds.\n  in:  {name}=...\n  got: twice\n  fix: {fix}"
        )
    assert not (tmp_path / "a.keras").exists()


def edited(path: Path, change: Any) -> Path:
    """The same file with another configuration."""
    target = path.with_name("edited.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for item in old.namelist():
            data = old.read(item)
            new.writestr(item, json.dumps(change(json.loads(data))) if item == "config.json" else data)
    return target


def saved(path: Path) -> Path:
    join = wye.Join("a(x)", a=dense(1, 2))
    join(array(1, 2, 4))
    wye.save(join, path / "a.keras")
    return path / "a.keras"


def test_a_class_that_is_not_known_is_refused(tmp_path: Path) -> None:
    def change(config: Any) -> Any:
        layer = config["config"]["parts"]["a"]["layer"]
        layer |= {"module": "subprocess", "class_name": "Popen", "registered_name": "Popen"}
        layer["config"] = {"args": ["touch", str(tmp_path / "ran")]}
        return config

    with pytest.raises((TypeError, ValueError)):
        wye.load(edited(saved(tmp_path), change))
    assert not (tmp_path / "ran").exists()


def test_a_lambda_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    join = wye.Join("a(x)", a=keras.layers.Lambda(lambda x: x * 2, output_shape=(4,)))
    join(array(1, 2, 4))
    wye.save(join, tmp_path / "a.keras")
    with pytest.raises(ValueError, match="Lambda"):
        wye.load(tmp_path / "a.keras")


def test_a_formula_of_a_file_is_checked_as_any(tmp_path: Path) -> None:
    def change(config: Any) -> Any:
        config["config"]["formula"] = "__import__('os').system('touch ran')"
        return config

    with pytest.raises((wye.FormulaError, TypeError, ValueError)) as caught:
        wye.load(edited(saved(tmp_path), change))
    assert "__import__" in str(caught.value)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="File not found"):
        wye.load(tmp_path / "nothing.keras")
    with pytest.raises(ValueError, match="keras"):
        wye.save(wye.Join("x"), tmp_path / "a.bin")


def test_what_cannot_be_saved_leaves_the_old_file_whole(tmp_path: Path) -> None:
    old = saved(tmp_path).read_bytes()
    join = wye.Join("f(x)", f=lambda x: x)
    join(array(1, 2))
    with pytest.raises(wye.PartError):
        wye.save(join, tmp_path / "a.keras")
    assert (tmp_path / "a.keras").read_bytes() == old
    assert [path.name for path in tmp_path.iterdir()] == ["a.keras"]


@pytest.mark.parametrize("name", ["objective", "layers", "shared"])
def test_weights_alone(name: str, tmp_path: Path) -> None:
    model, given = MODELS[name]()
    model.save_weights(tmp_path / "a.weights.h5")
    wanted = arrays(model(given))
    for variable in model.trainable_variables:
        variable.assign(0 * numbers(variable))
    model.load_weights(tmp_path / "a.weights.h5")
    for one, other in zip(arrays(model(given)), wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_copy_is_the_same_model(tmp_path: Path) -> None:
    join, given = MODELS["layers"]()
    copy = type(join).from_config(join.get_config())
    copy(**given)
    copy.set_weights(join.get_weights())
    alike(copy(**given), numbers(join(**given)), 0)
    clone = keras.models.clone_model(join)
    assert str(clone.formula) == str(join.formula)
