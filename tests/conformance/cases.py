"""Formulas whose value and gradients every front must give: each function of the language, and what surrounds them.

Those that a difference quotient can tell stand in `formulas.txt`, one on a line.

All floats are whole multiples of 1/64, so that they are the same in float32, and lie far enough from every kink for a
difference quotient. Where a gradient is a matter of choice (at kinks, ties, cuts and zeros) it is written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

VALUES: dict[str, Array] = {
    "x": np.array([[0.5, -1.25, 2.125, 0.75], [-0.375, 1.625, -2.25, 0.25], [3.125, -0.625, 1.125, -1.75]]),
    "y": np.array([[1.0, 0.375, -0.75, 2.375], [-1.375, 0.4375, 0.625, -0.25], [0.875, -2.125, 1.75, 1.25]]),
    "p": np.array([[0.875, 1.25, 2.125, 0.75], [1.625, 0.6875, 3.125, 0.9375], [2.25, 0.8125, 1.125, 1.75]]),
    "w": np.array([0.5, 2.125, 1.25]),
    "v": np.array([1.625, -0.625, 0.75, 2.125]),
    "z": np.array(0.75),
    "e": np.array([[0.25, -1.0], [1.5, 0.75], [-0.5, 2.0], [1.25, -0.125]]),
    "q": np.arange(-12, 12).reshape(3, 2, 4) * 0.28125 + 0.140625,
    "s": np.array([[0.5, -1.25, 2.0], [0.75, 1.5, -0.25], [-2.25, 0.375, 1.0]]),
    "i": np.array([2, 0, 3]),
    "h": np.array([0, 1, 1]),
    "j": np.array([[0, 1], [3, 3], [2, 0]]),
    "n": np.array([[7, -3, 0, 5], [2, 8, -6, 1], [4, -1, 9, 3]]),
    "m": np.array([[True, False, True, True], [False, True, False, True], [True, True, True, False]]),
    "o": np.array([True, False, True]),
    "u": np.array([[200, 100, 50, 7]] * 3, np.uint8),
    "t": np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]),
    "r": np.array([[0.0, 0.0], [3.0, 4.0]]),
    "k": np.array([-2.0, 0.0, 2.0]),
    "l": np.array([[1, 0, -100], [2, 2, 1]]),
    "c": np.arange(-9, 9).reshape(2, 3, 3) * 0.28125 + 0.140625,
}


@dataclass(frozen=True)
class Case:
    """A formula over the values above, and the gradients of its plain sum where no difference quotient could tell."""

    text: str
    gradients: Mapping[str, object] = field(default_factory=dict[str, object])


def _lines(text: str) -> str:
    """`name[axes] = value` as two lines, the second of which is the value."""
    name, equals, _ = text.partition(" = ")
    return f"{text}\n{name.partition('[')[0]}" if equals and "(" not in name else text


FORMULAS = Path(__file__).with_name("formulas.txt").read_text(encoding="utf-8").splitlines()
CASES = [Case(_lines(text)) for text in FORMULAS]

CASES += [
    Case("x % 0.875", {"x": 1}),
    Case("x % p", {"x": 1, "p": -np.floor(VALUES["x"] / VALUES["p"])}),
    Case("sign(x)", {"x": 0}),
    Case("round(2 * k + 0.5)", {"k": 0}),
    Case("floor(k + 0.5)", {"k": 0}),
    Case("x * stop(x)", {"x": VALUES["x"]}),
    Case("abs(k)", {"k": [-1, 0, 1]}),
    Case("relu(k)", {"k": [0, 0, 1]}),
    Case("max(t, axis=1)", {"t": [[0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]]}),
    Case("min(t[a, b], b)", {"t": [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]]}),
    Case("max(k, 0)", {"k": [0, 0.5, 1]}),
    Case("min(k, -k)", {"k": [1, 0, -1]}),
    Case("clamp(k, 0, 2)", {"k": [0, 1, 1]}),
    Case("norm(r, axis=1)", {"r": [[0, 0], [0.6, 0.8]]}),
    Case("norm(0 * x)", {"x": 0}),
    Case("distance(r, 0 * r)", {"r": [[0, 0], [0.6, 0.8]]}),
    Case("unit(r)", {"r": [[1, 1], [0.032, -0.024]]}),
    Case("where(r > 0, sqrt(where(r > 0, r, 1)), 0)", {"r": [[0, 0], [1 / 12**0.5, 0.25]]}),
    Case("weighted_mean(x, 0 * p)", {"x": 0, "p": 0}),
    Case(
        "pair(t[a, b], 0 * t[a, b] + 1, t[a, 0] < 0, margin=-6, reduction='sum')",
        {"t": [[1, 1, 1], [0, 0, 0]]},
    ),
    Case(
        "pair_margin(t[a, b], 0 * t[a, b] + 1, t[a, 0] > 0, margin=7, reduction='sum')",
        {"t": [[0, 0, 0], [-1, -1, -1]]},
    ),
    Case("n % 3", {}),
    Case("n + n * 2", {}),
    Case("max(n, axis=0)", {}),
    Case("sum(u)", {}),
    Case("mean(x, where=x > 9)", {"x": 0}),
    Case("exp(logsumexp(x[b, f], f, where=o[b]))"),
]
