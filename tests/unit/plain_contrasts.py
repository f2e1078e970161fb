"""The contrastive losses as plain loops over numbers of Python have them: the loss of each row, and how many count."""

from __future__ import annotations

import math
from collections.abc import Sequence

Rows = Sequence[Sequence[float]]
Numbers = Sequence[float]


def dot(one: Numbers, other: Numbers) -> float:
    return math.fsum(v * w for v, w in zip(one, other, strict=True))


def unit(row: Numbers) -> Numbers:
    length = math.sqrt(dot(row, row))
    return [v / length for v in row] if length else [0.0] * len(row)


def choice(logits: Numbers, belongs: Numbers) -> float:
    """Σ_j P_j (log Σ_k exp(l_k) - l_j)."""
    if not logits:
        return 0.0
    top = max(logits)
    log = top + math.log(math.fsum(math.exp(one - top) for one in logits))
    return math.fsum(p * (log - one) for p, one in zip(belongs, logits, strict=True))


def decision(logit: float, belongs: float) -> float:
    """-P log σ(l) - (1 - P) log σ(-l)."""
    return max(logit, 0.0) + math.log1p(math.exp(-abs(logit))) - belongs * logit


def belonging(
    rows: int, columns: int, label: Sequence[int] | None, other: Sequence[int] | None, target: Rows | None, each: bool
) -> list[list[float]]:
    """P: by place, by label or as it is given."""
    if target is not None:
        return [list(row) for row in target]
    if label is None or other is None:
        return [[float(i == j) for j in range(columns)] for i in range(rows)]
    found: list[list[float]] = []
    for one in label:
        same = [float(one == another) for another in other]
        found.append(same if each else [v / max(sum(same), 1.0) for v in same])
    return found


def plain(
    name: str,
    a: Rows,
    b: Rows,
    temperature: float,
    bias: float = 0.0,
    label: Sequence[int] | None = None,
    key_label: Sequence[int] | None = None,
    target: Rows | None = None,
    normalize: bool = True,
) -> tuple[list[float], int]:
    """Of `sup_con` the rows are `a`."""
    a, b = ([unit(row) if normalize else row for row in side] for side in (a, b))
    if name in ("nt_xent", "sup_con"):
        views = [*a, *b] if name == "nt_xent" else a
        return against_itself(views, label if label is not None else [*range(len(a))] * 2, temperature, name)
    logits = [[dot(one, other) / temperature + bias for other in b] for one in a]
    other = label if key_label is None else key_label
    p = belonging(len(a), len(b), label, other, target, name == "siglip_loss")
    if name == "siglip_loss":
        return [math.fsum(map(decision, *pair)) for pair in zip(logits, p, strict=True)], len(a)
    found = [choice(*pair) for pair in zip(logits, p, strict=True)]
    if name == "info_nce":
        return found, len(a) if label is None else sum(map(any, p))
    down = [choice([row[j] for row in logits], [row[j] for row in p]) for j in range(len(b))]
    return [(row + column) / 2 for row, column in zip(found, down, strict=True)], len(a)


def against_itself(x: Rows, label: Sequence[int], temperature: float, name: str) -> tuple[list[float], int]:
    found: list[float] = []
    kept = 0
    for i, one in enumerate(x):
        others = [j for j in range(len(x)) if j != i]
        mine = [float(label[j] == label[i]) for j in others]
        kept += any(mine)
        logits = [dot(one, x[j]) / temperature for j in others]
        found.append(choice(logits, [v / max(sum(mine), 1.0) for v in mine]))
    if name == "sup_con":
        return found, kept
    half = len(x) // 2
    return [(found[i] + found[i + half]) / 2 for i in range(half)], half
