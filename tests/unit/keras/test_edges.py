"""Edges and the losses over them on each backend of Keras, in a process of its own, beside plain loops."""

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
from tests.unit.plain_edges import plain_cosine, plain_distance

ROOT = Path(__file__).parents[3]
PAIRS = list(zip([0, 1, 2, 0, 3, 3, 2], [1, 2, 0, 1, 3, 4, 1], strict=True))
WEIGHT = [0.5, 1.0, -0.25, 2.0, 0.75, 1.5, 0.25]
APART = list(zip([0, 1, 5, 4], [4, 3, 2, 5], strict=True))
WAYS = {"tensorflow": {"graph", "compiled"}, "jax": {"compiled"}, "torch": set[str]()}
REFUSED = [
    "FormulaError: `edges` is not the edges of a graph.",
    "ShapeError: each node of the graph has one row.",
    "ShapeError: the negatives are pairs of the graph's own nodes.",
    "RangeError: there is no node -1.",
    "PartError: edges go from node to node by whole numbers.",
    "ShapeError: edges are two rows: sources and targets.",
    "ShapeError: each edge has one weight.",
    "InputError: `edges` is a graph, which a formula of symbols cannot hold.",
]


def wanted(text: str, x: Any, weight: Any) -> float:
    apart, mean = APART if ", n" in text else [], "mean" in text
    if "distance" in text:
        return plain_distance(x, PAIRS, weight, apart, mean, 2.0)
    return plain_cosine(x, PAIRS, weight, apart, mean, 0.3 if "push=0.3" in text else 0.0, -0.4)


def check_slope(slope: Any, text: str, x: Any, weight: Any) -> None:
    """Beside a difference quotient at each place; a zero row has no gradient of a cosine."""
    step, plain, rows = 1e-6, np.zeros_like(x), x.copy()
    for place in np.ndindex(*x.shape):
        if "cosine" in text and not x[place[0]].any():
            continue
        rows[place] = x[place] + step
        above = wanted(text, rows.tolist(), weight)
        rows[place] = x[place] - step
        plain[place] = (above - wanted(text, rows.tolist(), weight)) / (2 * step)
        rows[place] = x[place]
    np.testing.assert_allclose(slope, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "backend", ["jax", *(pytest.param(name, marks=pytest.mark.long) for name in ("tensorflow", "torch"))]
)
def test_a_backend_is_as_plain_loops_have_it(backend: str) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore:__array__ implementation", "-m", "tests.unit.keras.edges_run"],
        cwd=ROOT,
        env={**os.environ, **QUIET, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    report: dict[str, Any] = json.loads(run.stdout)
    x = np.cos(np.arange(24.0)).reshape(6, 4)
    x[4] = 0
    for given, weight in (("values", None), ("weighted", WEIGHT)):
        assert len(report[given]) == 12
        for text, found in report[given].items():
            assert found["value"].keys() == found["slope"].keys() == {"eager", *WAYS[backend]}
            for value in found["value"].values():
                np.testing.assert_allclose(value, wanted(text, x.tolist(), weight), rtol=1e-5, atol=1e-5)
            for slope in found["slope"].values():
                check_slope(slope, text, x, weight)
    assert report["empty"] == 0
    assert report["half"] == "float32"
    fitted = report["fitted"]
    assert fitted["losses"][-1] < fitted["losses"][0]
    assert fitted["moved"]
    assert fitted["trained"] == 3
    assert fitted["same"] < 1e-6
    assert fitted["read"] == [list(end) for end in zip(*PAIRS, strict=True)]
    assert report["refused"] == REFUSED
    sources = report["sources"]
    assert sources["dense"] == sources["sparse"] == [[[0, 1, 2], [1, 1, 0]], [2.0, 0.5, 3.0], 3]
    assert sources["tensor"] == [[[0, 1, 2], [1, 1, 0]], None, 3]
    assert sources["networkx"] == [[[0, 1, 1, 2], [1, 0, 2, 1]], None, 3]
    assert sources["coalesced"] == [[[0, 1, 2, 2, 3, 3], [1, 2, 0, 1, 3, 4]], [2.5, 1.0, -0.25, 0.25, 0.75, 1.5], 5]
    assert sources["empty"] == [[[], []], None, 3]
    assert sources["drawn again"]
    assert 170 <= sources["drawn"] <= 180
    assert sources["drawn edges"] == 0
