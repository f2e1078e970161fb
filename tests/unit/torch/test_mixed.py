"""Keras in torch and torch in Keras: the cases of `mixed_run.py`, in a process whose Keras runs on torch."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.test_conformance import QUIET

ROOT = Path(__file__).parents[3]
RUN = Path(__file__).with_name("mixed_run.py")
CASES = [
    one.name
    for one in ast.parse(RUN.read_text()).body
    if isinstance(one, ast.FunctionDef) and one.name.startswith("case_")
]


def printed(backend: str, *command: str) -> object:
    """What a process prints last, read as JSON."""
    run = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, **QUIET, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def found() -> dict[str, str]:
    """What went wrong in each case; Keras takes seconds to start."""
    told = printed("torch", "-m", "tests.unit.torch.mixed_run")
    assert isinstance(told, dict)
    return told


@pytest.mark.parametrize("name", CASES)
def test_on_the_torch_backend(name: str, found: dict[str, str]) -> None:
    assert not found[name], found[name]


def test_every_case_ran(found: dict[str, str]) -> None:
    assert list(found) == CASES


def test_a_layer_of_another_backend_is_refused() -> None:
    code = """
import json, keras, wye
layer = keras.layers.Dense(2)
layer.build((None, 4))
told = []
for make in (lambda: wye.Join("a(x)", a=layer), lambda: wye.Chain(layer)):
    try:
        make()
    except wye.PartError as error:
        told.append(str(error))
print(json.dumps(told))
"""
    first, second = printed("jax", "-c", code)  # type: ignore[misc]
    fix = "  fix: set KERAS_BACKEND=torch before Keras is imported, or use wye.keras"
    assert first == f"`a` is a layer of Keras on jax.\n  in:  Join(a=...)\n  got: Dense\n{fix}"
    assert second == f"`layer` is a layer of Keras on jax.\n  in:  Chain(...)\n  got: Dense\n{fix}"


def test_the_torch_front_loads_no_keras() -> None:
    code = """
import json, sys, torch, wye
net = wye.Chain(torch.nn.Linear(2, 2), wye.When("norm(x) > 1", wye.Join("a(x)", a=torch.nn.Linear(2, 2))))
net(torch.ones(3, 2))
print(json.dumps("keras" in sys.modules))
"""
    assert printed("torch", "-c", code) is False
