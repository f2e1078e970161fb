"""The contrastive losses on each backend of Keras, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.test_conformance import QUIET

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "backend", ["jax", *(pytest.param(name, marks=pytest.mark.long) for name in ("tensorflow", "torch"))]
)
def test_stripes_are_as_numpy_and_the_plain_form_have_them(backend: str) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.unit.keras.tiles_run"],
        cwd=ROOT,
        env={**os.environ, **QUIET, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    for case, found in report["cases"].items():
        assert max(found["value"]) < 1e-5, case
        assert max(found["slopes"]) < 2e-4, case
    assert report["model"] < 1e-5
    assert report["below"]["told"] == ["the temperature of a contrastive loss is above 0, for it divides."] * 4
    assert all(report["below"]["nan"])
    if backend == "jax":
        assert report["second"].splitlines() == [
            "the tiles of a contrastive loss have no second derivative on this backend.",
            "  in:  the gradient of a gradient",
            "  got: more than 0 pairs of rows",
            "  fix: give it fewer rows at once, or write the loss as a formula: see docs/functions.md",
        ]
