"""The losses over the edges of a graph as two plain loops over its nodes have them, in Python alone."""

from __future__ import annotations

import math
from collections.abc import Sequence

Rows = Sequence[Sequence[float]]
Pairs = Sequence[tuple[int, int]]


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    lengths = math.sqrt(sum(v * v for v in one)) * math.sqrt(sum(v * v for v in other))
    return sum(v * w for v, w in zip(one, other, strict=True)) / lengths if lengths else 0.0


def distance(one: Sequence[float], other: Sequence[float]) -> float:
    return math.sqrt(sum((v - w) ** 2 for v, w in zip(one, other, strict=True)))


def over(entries: Sequence[float], mean: bool) -> float:
    return sum(entries) / max(len(entries), 1) if mean else sum(entries)


def plain_cosine(
    x: Rows,
    edges: Pairs,
    weight: Sequence[float] | None = None,
    negatives: Pairs = (),
    mean: bool = False,
    push: float = 0.0,
    margin: float = 0.0,
) -> float:
    weights = weight if weight is not None else [1.0] * len(edges)
    pull = over([-w * cosine(x[i], x[j]) for (i, j), w in zip(edges, weights, strict=True)], mean)
    apart: list[float] = []
    for i in range(len(x)):
        for j in range(len(x)):
            if i != j and (i, j) not in edges:
                apart.append(cosine(x[i], x[j]))
    above = [max(0.0, cosine(x[i], x[j]) - margin) for i, j in negatives]
    return pull + push * over(apart, mean) + over(above, mean)


def plain_distance(
    x: Rows,
    edges: Pairs,
    weight: Sequence[float] | None = None,
    negatives: Pairs = (),
    mean: bool = False,
    margin: float = 1.0,
) -> float:
    weights = weight if weight is not None else [1.0] * len(edges)
    pull = over([w * distance(x[i], x[j]) ** 2 for (i, j), w in zip(edges, weights, strict=True)], mean)
    return pull + over([max(0.0, margin - distance(x[i], x[j])) ** 2 for i, j in negatives], mean)
