"""The losses of pairs by a plain loop over numbers of Python, with their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Rows = Sequence[Sequence[float]]


def plain(
    name: str, a: Rows, b: Rows, label: Sequence[Any], margin: float, weights: Sequence[float] = (1, 1)
) -> tuple[list[float], list[list[float]], list[list[float]]]:
    """The loss of each pair, and the gradients of their sum in both values."""
    losses: list[float] = []
    slopes: list[float] = []
    for one, other, is_pair in zip(a, b, label, strict=True):
        s = 0.0
        for x, y in zip(one, other, strict=True):
            s += x * y
        if is_pair and name == "pair":
            loss, slope = 1 - s, -1.0
        elif is_pair:
            loss, slope = (margin - s, -1.0) if s < margin else (0.0, 0.0)
        else:
            loss, slope = (s + margin, 1.0) if s > -margin else (0.0, 0.0)
        weight = weights[1 if is_pair else 0]
        losses.append(weight * loss)
        slopes.append(weight * slope)
    in_a = [[slope * y for y in row] for slope, row in zip(slopes, b, strict=True)]
    in_b = [[slope * x for x in row] for slope, row in zip(slopes, a, strict=True)]
    return losses, in_a, in_b
