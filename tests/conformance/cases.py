"""Formulas whose value and gradients every front must give: each function of the language, and what surrounds them.

All floats are whole multiples of 1/64, so that they are the same in float32, and lie far enough from every kink for a
difference quotient. Where a gradient is a matter of choice (at kinks, ties, cuts and zeros) it is written down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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


SMOOTH = """\
abs(x)|exp(x)|expm1(x)|log(p)|log1p(p)|sqrt(p)|relu(x)|sigmoid(x)|tanh(x)|softplus(x)|sin(x)|cos(x)|-x|x + y|x - y|x * y
x / p|x ** 2|p ** 2.5|x ** 3|p ** y|2 ** x|3 - x|0.375 / p|x @ e|clamp(x, -0.5, 1)|clamp(x, low=y)
clamp(x, high=0.4375)|clamp(0.375, x, p + 4)|where(x > y, x, 2 * y)|where(m, x, 0)|where(m, 1, 0) * x|max(x, y)|min(x, y, 0.3125)
max(x, 0.125)|cast(x, dtype="float32") * y|cast(n, dtype="bool") * x|cast(x, dtype="int64") + x|n * x|m * x|u * x|u + u|n / 2
sum(x)|sum(x, axis=1)|sum(x[b, k], k)|sum(x, axis=0, keepdims=True) + 0 * x|sum(x, where=m)|sum(x[b, k], b, where=m[b, k])
mean(x)|mean(x, axis=0)|mean(q[b, t, k], b, k)|mean(x, where=m)|mean(x[b, k], k, where=m[b, k])|mean(x, keepdims=True) * x
max(x)|max(x, axis=1)|max(x[b, k], b)|max(x, where=m)|max(x[b, k], k, where=m[b, k])|min(x)|min(q[b, t, k], b, t)|min(x, where=m)
norm(x)|norm(x, axis=1)|norm(x[b, k], b)|norm(x, where=m)|var(x)|var(x, axis=1)|var(x[b, k], b)|var(x, where=m)
logsumexp(x)|logsumexp(x, axis=1)|logsumexp(x[b, k], b)|logsumexp(x[b, k], k, where=m[b, k])|weighted_mean(x, p)
weighted_mean(x[b, k], w[b], b)|softmax(x)|softmax(x, axis=0)|softmax(x[b, k], b)|softmax(x[b, k], k, where=m[b, k])
log_softmax(x)|log_softmax(x[b, k], b)|unit(x)|unit(x[b, k], b)|dot(x, y)|dot(x[b, k], y[b, k], b)|cosine(x, y)
cosine(x[b, k], v[k], k)|distance(x, y)|distance(x[b, k], v[k], k)|take(e, i)|take(x, i, axis=1)|concat(x, y)|concat(x, p, axis=0)
stack(x, y)|stack(x, y, axis=-1)|last(q)|last(x, axis=0)|expand_as(v, x) * x|size(x, axis=1) * x|x[b, k] / size(b)
any(x > 2, axis=1) * w|all(m) + sum(x)|any(x[b, k] > 1, k) * w[b]|all(x[b, k] > -2, b) * v[k]|any(x[b, k] > 1, k, where=m[b, k]) * w[b]
all(x[b, k] > 0, k, where=m[b, k]) * w[b]|(x > y and m) * x|(x > y or not m) * x|(x == x) * y|(x != y) * y|(x <= 0.625) * x
(0 < x < 2) * x|mse(x, y)|mse(x, y, reduction="sum")|mse(x, y, reduction="none")|mse(x[b, k], y[b, k])|cross_entropy(x, i)
cross_entropy(x, i, reduction="none")|cross_entropy(x, i, label_smoothing=0.125)|cross_entropy(c, l)|cross_entropy(c, l, reduction="sum")
cross_entropy(x, i, ignore_index=2)|cross_entropy(c, l, reduction="none")|cross_entropy(x, softmax(y))|cross_entropy(q[b, t, k], j[b, t])
cross_entropy(q[b, t, k], j[b, t], reduction="none")|cross_entropy(x, softmax(y), label_smoothing=0.25)
mean(w[b] * (x[b, k] - y[b, k]) ** 2)|sum(x[b, k] * y[a, k], k)|sum(x[b, k] * e[k, t], k)|sum(x[b, k] * y[a, k] * w[a], a, k)
g[a, b] = sum(x[a, k] * y[b, k], k)|mean(x[b, k] * y[a, k] / 3, k)|sum(x[b, k] * e[k, t] * q[b, t, k], k)|sum(q[..., k] * v[k], k)|sum(v[k] * q[..., k], k)|g[b, ...] = sum(q[..., k] * x[b, k], k)|sum(q[..., k] * q[..., k], k)|sum(c[..., f] * s[a, f] * k[a], f, a)
sum(w[b] * (x[b, k] - y[b, k]))|(x[b, k] - mean(x[b, k], b)) / sqrt(var(x[b, k], b) + 0.125)|x[b, k] * w[b]|s[a, b] - s[b, a]
s[b, b]|s[b, 1]|x[b, i[b]]|q[b, t, j[b, t]]|e[j[b, t], d]|e[i[b], 0]|x[b, size(k) - 1] + sum(x[b, k], k)|sum(s[a, b], where=a <= b)
where(k0 == i[b], x[b, k0], 0)|mean(abs(a - b) * s[a, b])|gap[a, b] = distance(x[a, k], y[b, k], k)|z * x|x + z|z"""


def _lines(text: str) -> str:
    """`name[axes] = value` as two lines, the second of which is the value."""
    name, equals, _ = text.partition(" = ")
    return f"{text}\n{name.partition('[')[0]}" if equals and "(" not in name else text


CASES = [Case(_lines(text.replace("k0", "f"))) for text in SMOOTH.replace("\n", "|").split("|")]

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
    Case("n % 3", {}),
    Case("n + n * 2", {}),
    Case("max(n, axis=0)", {}),
    Case("sum(u)", {}),
    Case("mean(x, where=x > 9)", {"x": 0}),
    Case("exp(logsumexp(x[b, f], f, where=o[b]))"),
]
