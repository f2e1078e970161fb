"""Every front gives the same values and gradients: each in a process of its own, for Keras has one backend in each."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.cases import CASES
from tests.conformance.flow_cases import FLOW_CASES
from wye.formula.functions import FUNCTIONS

ROOT = Path(__file__).parents[2]
QUIET = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "CUDA_VISIBLE_DEVICES": "",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true",  # as on JAX:
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",  # each case is compiled once and run once
}
BOTH = {"cases", "random", "nodes", "empty"}
ON_KERAS = {"symbols", "functional", "refusals"}


def test_every_function_has_a_case() -> None:
    called = {word for case in CASES for word in re.findall(r"(\w+)\(", case.text)}
    dice = {name for name, function in FUNCTIONS.items() if function.kind == "random"}  # they fall in flow alone
    edges = {name for name, function in FUNCTIONS.items() if "edges" in function.values}  # see unit/keras/test_edges
    assert not FUNCTIONS.keys() - dice - edges - called


def test_every_node_has_a_case() -> None:
    words = {case.name.partition(" ")[0].strip(",") for case in FLOW_CASES}
    assert words == {"Chain", "When", "Switch", "Repeat", "While", "RandomChoice"}


@pytest.mark.long
@pytest.mark.parametrize("name", ["front", "tensorflow", "jax", "torch"])
def test_a_front_conforms(name: str) -> None:
    environment = {**os.environ, **QUIET, "KERAS_BACKEND": "torch" if name == "front" else name}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.conformance.run", name],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout, run.stderr
    report: dict[str, Any] = json.loads(run.stdout)
    wrong = [f"{kind}: {one}" for kind, found in report.items() for one in found["wrong"]]
    assert not wrong, f"{len(wrong)} wrong, among them:\n\n" + "\n\n".join(wrong[:5])
    assert report.keys() == (BOTH if name == "front" else BOTH | ON_KERAS)
    assert report["cases"]["passed"] >= len(CASES)
    assert report["nodes"]["passed"] >= len(FLOW_CASES)
    assert run.returncode == 0, run.stderr
