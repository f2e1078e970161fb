"""Both fronts export the same names with the same signatures; what one of them lacks is listed here, with the reason.

The lists are the ones of `docs/keras.md`: a name that is on neither of them fails, and so does one that is there again.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.test_conformance import QUIET

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "keras.md").read_text()

KERAS_LACKS = {
    "Balance": "its weightings are those of torchjd, and it goes by torch's graph",
    "EarlyExit": "not built there yet",
    "Takes": "not built there yet",
    "Watch": "hooks torch's gradients and optimizers",
    "watch": "hooks torch's gradients and optimizers",
    "seed": "dice are seeded by keras.utils.set_random_seed",
    "tick": "dice move with each call in training",
    "register": "keras.saving.register_keras_serializable does it",
    "Objective.summands": "for `Balance`",
    "Objective.follow": "a fit moves schedules itself",
    "RandomChoice.weights": "the variables of a layer bear that name; here it is `chances`",
}
TORCH_LACKS = {
    "BackendError": "torch is no backend of anything",
    "Objective.over": "a loop of one's own calls `on`",
    "RandomChoice.chances": "see `weights`",
}
BEHAVES = {
    "load(path, parts={})": "a layer that Keras does not know is registered there; tables alone are given back",
    "jit_compile=True": "XLA on TensorFlow calls nothing on the host, so it reads no memory map",
}
"""What both have, and what is otherwise in it."""
ASKED_BY_WATCH = {"catch_up", "decided_by", "decider_names", "since", "stage_names", "ways_apart"}
"""Methods of torch's nodes for `watch` and for the weights that rest, which Keras has not."""
MORE = {"name": ["KEYWORD_ONLY", "None"]}
"""The one parameter that layers of Keras take more."""

READ = """
import inspect, json, types
import keras
from torch import nn
import wye, wye.keras

OF_FRAMEWORKS = {"forward", "autograph_info__", *dir(nn.Module()), *dir(keras.Model())} - {"weights"}

def shown(function):
    found = inspect.signature(function).parameters.values()
    return {p.name: [p.kind.name, "" if p.default is p.empty else repr(p.default)] for p in found}

def members(cls):
    own = [base for base in cls.__mro__ if base.__module__.startswith("wye")]
    names = {name for base in own for name in vars(base)}
    return {name: getattr(cls, name) for name in names if not name.startswith("_") and name not in OF_FRAMEWORKS}

def of(front, names):
    found = {}
    for name in names:
        value = getattr(front, name)
        shared = isinstance(value, type) and issubclass(value, BaseException)
        found[name] = shown(value) if callable(value) and not shared else None
        if isinstance(value, type) and not shared:
            for member, inner in members(value).items():
                found[f"{name}.{member}"] = shown(inner) if callable(inner) else None
    return found

def face(front):
    public = getattr(front, "__all__", [name for name in vars(front) if not name.startswith("_")])
    return [name for name in public if name != "annotations" and not isinstance(getattr(front, name), types.ModuleType)]

print(json.dumps([
    of(wye, [name for name in wye.__all__ if name != "losses"]), of(wye.keras, face(wye.keras)),
    of(wye.losses, face(wye.losses)), of(wye.keras.losses, face(wye.keras.losses)),
]))
"""
Front = dict[str, dict[str, list[str]] | None]


@pytest.fixture(scope="module")
def fronts() -> list[Front]:
    """Torch's names, those of Keras, and the losses of each: for each its parameters, with their kinds and defaults."""
    environment = {**os.environ, **QUIET, "KERAS_BACKEND": "torch"}
    run = subprocess.run([sys.executable, "-c", READ], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def problems(torch: Front, keras: Front, keras_lacks: Any = KERAS_LACKS, torch_lacks: Any = TORCH_LACKS) -> list[str]:
    """What is not as the lists say."""
    told = [f"Keras lacks {name}" for name in torch.keys() - keras.keys() if not listed(name, keras_lacks)]
    told += [f"torch lacks {name}" for name in keras.keys() - torch.keys() if not listed(name, torch_lacks)]
    told += [f"Keras has {name}" for name in keras_lacks if name in keras or name not in torch]
    told += [f"torch has {name}" for name in torch_lacks if name in torch or name not in keras]
    for name in torch.keys() & keras.keys():
        mine, other = torch[name], dict(keras[name] or {})
        if other.get("name") == MORE["name"] and "name" not in (mine or {}):
            del other["name"]
        if list((mine or {}).items()) != order(other, mine or {}):
            told.append(f"{name}: torch {mine}, Keras {other}")
    return sorted(told)


def listed(name: str, lacks: Any) -> bool:
    """Whether it is listed, or its class is."""
    kind, _, member = name.partition(".")
    return name in lacks or kind in lacks or member in ASKED_BY_WATCH


def order(parameters: dict[str, list[str]], like: dict[str, list[str]]) -> list[tuple[str, list[str]]]:
    """The parameters in their order; keywords alone have none, and stand as in the other signature."""
    place = {name: number for number, name in enumerate(like)}
    known = list(parameters.items())
    keywords = iter(sorted((one for one in known if alone(one)), key=lambda one: place.get(one[0], len(place))))
    return [next(keywords) if alone(one) else one for one in known]


def alone(one: tuple[str, list[str]]) -> bool:
    return one[1][0] == "KEYWORD_ONLY"


def test_both_fronts_have_the_same_face(fronts: list[Front]) -> None:
    torch, keras, _, _ = fronts
    assert len(torch) > 40
    assert problems(torch, keras) == []


def test_both_fronts_have_the_same_losses(fronts: list[Front]) -> None:
    _, _, torch, keras = fronts
    assert {"mse", "cross_entropy", "pair", "pair_margin"} <= torch.keys()
    assert problems(torch, keras, {}, {}) == []


@pytest.mark.parametrize(
    ("torch", "keras", "told"),
    [
        ({"a": None}, {}, "Keras lacks a"),
        ({}, {"a": None}, "torch lacks a"),
        ({"a": {"x": ["KEYWORD_ONLY", "1"]}}, {"a": {"x": ["KEYWORD_ONLY", "2"]}}, "a: torch"),
        ({"a": {"x": ["VAR_POSITIONAL", ""]}}, {"a": {"y": ["VAR_POSITIONAL", ""]}}, "a: torch"),
        ({"a": {}}, {"a": {"name": ["POSITIONAL_OR_KEYWORD", "None"]}}, "a: torch"),
    ],
)
def test_a_difference_is_told(torch: Front, keras: Front, told: str) -> None:
    (one,) = problems(torch, keras, {}, {})
    assert one.startswith(told)


def test_a_list_that_is_out_of_date_is_told() -> None:
    assert problems({"a": None}, {"a": None}, {"a": "gone"}, {}) == ["Keras has a"]
    assert problems({}, {}, {}, {"b": "gone"}) == ["torch has b"]
    assert problems({"a": {}}, {"a": {"name": ["KEYWORD_ONLY", "None"]}}, {}, {}) == []


@pytest.mark.parametrize("words", BEHAVES)
def test_the_page_tells_what_is_otherwise(words: str) -> None:
    assert any(f"`{words}`" in row for row in PAGE.partition("## What differs")[2].splitlines()), words


@pytest.mark.parametrize("name", [*KERAS_LACKS, *TORCH_LACKS])
def test_the_page_tells_what_is_lacking(name: str) -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    word = re.escape(name.rpartition(".")[2])
    assert any(re.search(rf"`(?:wye\.|\.)?{word}(?:\(.*?\))?`", row) for row in rows), name
