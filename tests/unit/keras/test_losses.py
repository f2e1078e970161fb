"""The named losses on each backend of Keras, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conformance.test_conformance import QUIET
from tests.unit.plain_pairs import plain

ROOT = Path(__file__).parents[3]
LABEL = [1, 0, 0, 1, 0, 1]
WAYS = {"tensorflow": {"graph", "compiled"}, "jax": {"compiled"}, "torch": set[str]()}


@pytest.mark.parametrize(
    "backend", ["jax", *(pytest.param(name, marks=pytest.mark.long) for name in ("tensorflow", "torch"))]
)
def test_what_they_do_on_a_backend(backend: str) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.unit.keras.losses_run"],
        cwd=ROOT,
        env={**os.environ, **QUIET, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    report: dict[str, Any] = json.loads(run.stdout)
    a, b = (np.arange(-9, 9).reshape(6, 3) / 8).tolist(), np.cos(np.arange(18.0)).reshape(6, 3).tolist()
    for name in ("pair", "pair_margin"):
        found = report[name]
        losses, in_a, in_b = plain(name, a, b, LABEL, 0.25, (0.7, 0.3))
        assert found["rows"].keys() == {"eager", *WAYS[backend]}
        for rows in (*found["rows"].values(), found["truths"]):
            np.testing.assert_allclose(rows, losses, rtol=1e-5, atol=1e-6)
        for mean in (*found["mean"].values(), found["model"]):
            np.testing.assert_allclose(mean, sum(losses) / 6, rtol=1e-5)
        for slopes in found["slopes"].values():
            np.testing.assert_allclose(slopes, np.array([in_a, in_b]) / 6, rtol=1e-5, atol=1e-6)
        assert found["wrong"] == dict.fromkeys(WAYS[backend], [False] * 5 + [True])
        of_range, of_floats, of_shape = found["refused"]
        assert of_range.startswith("labels are 0 and 1.\n  in:  ")
        assert "got: 0 to 2\n  fix: say which are 1" in of_range
        assert of_floats.startswith("labels are whole numbers or truth values: 0 and 1.\n  in:  ")
        assert "got: a (6, 3), b (6, 3), label (6, 1)\n  fix: name the axes" in of_shape
    for name, found in report["safe"].items():
        assert found["empty"] == 0, name
        assert found["slopes"], name
        assert found["dtypes"] == ["bfloat16", "float16"], name
        for dtype, step in (("bfloat16", 2**-8), ("float16", 2**-11)):  # rounded once
            np.testing.assert_allclose(*found[dtype], rtol=step, atol=1e-6, err_msg=name)
        assert "\n  got: " in found["refused"], name
    # Facts: JAX takes the last entry for an index that is too large.
    assert report["ids"]["clamped"]
    assert report["ids"]["told"] == ["the index 3 is out of range."] * 3
    assert report["ids"]["nan"] == [[False] * 5 + [True]] * 3 * len(WAYS[backend])
