"""What each term of a loss weighs, and which share of the gradient comes by way of it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..formula.formula import Formula
from ..formula.tree import Chain, Name, Node
from .slopes import Edge, edge_of, slopes

STANDARD = re.compile(r"_standard\([^()]*None\)")
"""A value less its mean over its deviation, along all axes: both are numbers that may have names."""


@dataclass(frozen=True)
class Shares:
    """Weights and shares by term; None where there is none, and why."""

    weights: dict[str, float | None]
    shares: dict[str, float | None]
    rest: float | None = None
    why: str = ""


def summands_of(formula: Formula, inputs: Sequence[str], terms: Iterable[str]) -> dict[str, int] | None:
    """How often each term stands on the top line, where that is a sum; minus counts down. None: it is no sum."""
    top = formula.program.values[0]
    if not isinstance(top, Chain) or top.rest[0][0] not in ("+", "-"):
        return None
    counts: dict[str, int] = {}
    signed: list[tuple[str, Node]] = [("+", top.first), *top.rest]
    for sign, node in signed:
        name = node.id if isinstance(node, Name) else ""
        if name and name not in inputs:
            counts[name] = counts.get(name, 0) + (1 if sign == "+" else -1)
    # What has no name of its own is a term with its sign and its number in it.
    return {name: counts.get(name, 1) for name in terms if name in counts or not name.isidentifier() or name in inputs}


def hidden_in(code: str, terms: Iterable[str]) -> frozenset[str]:
    """The terms that may be part of a value which is computed whole, so that autograd does not see them in it."""
    return frozenset(name for name in terms if name.isidentifier()) if STANDARD.search(code) else frozenset()


def shares_of(
    total: Tensor,
    terms: Mapping[str, Tensor],
    summands: Mapping[str, int] | None,
    places: Sequence[Edge],
    since: int,
    hidden: frozenset[str] = frozenset(),
) -> Shares:
    """Weights and shares of the terms of one call; `Terms` has the mathematics.

    Args:
        total: the value of the loss, on its graph.
        terms: its terms, on the same graph; those that require no gradient have none.
        summands: what the total is the sum of, and how often; None: that is found on the graph.
        places: the edges h that gradients are taken at.
        since: when the loss began, by `now()`.
        hidden: terms whose weight the graph does not tell.
    """
    edges = {name: edge_of(term) for name, term in terms.items() if term.requires_grad}
    whole = edge_of(total)
    passed = slopes(whole, places, set(edges.values()), since)
    weights: dict[str, float | None] = {}
    for name in terms:
        if name in hidden and name in edges:
            weights[name] = None
            continue
        count = None if summands is None else summands.get(name)
        found = passed.get(edges[name]) if name in edges else None
        plain = count is not None and (found is None or not name.isidentifier())
        weights[name] = float(count) if plain and count is not None else None if found is None else float(found)
    if not places:
        return Shares(weights, dict.fromkeys(terms), None, "nothing that the objective read requires a gradient")
    own = {edge: slopes(edge, places, set(edges.values()), since) for edge in {*edges.values()}}
    sizes = {name: size(own[edge].get(place) for place in places) for name, edge in edges.items()}
    rest = 0.0
    if summands is not None:
        parts = [abs(count) * sizes.get(name, 0.0) for name, count in summands.items()]
    else:
        factors = {
            edge: weight for name, edge in edges.items() if (weight := weights[name]) is not None and edge != whole
        }
        inside = {look for edge in factors for look in factors if look != edge and look in own[edge]}
        outer = {edge: factor for edge, factor in factors.items() if edge not in inside}
        parts = [abs(factor) * size(own[edge].get(place) for place in places) for edge, factor in outer.items()]
        rest = left_over(passed, own, outer, places, sum(parts))
    shared = sum(parts) + rest
    if not math.isfinite(shared):
        return Shares(weights, dict.fromkeys(terms), None, "a gradient is not finite")
    if shared == 0:
        return Shares(weights, dict.fromkeys(terms), None, "every gradient is zero")
    shares: dict[str, float | None] = {}
    for name in terms:
        weight = weights[name]
        part = 0.0 if name not in edges else None if weight is None else abs(weight) * sizes[name] / shared
        shares[name] = 1.0 if edges.get(name) == whole else part
    lost = [name for name in edges if weights[name] is None]
    why = f"autograd knows no way from `{lost[0]}` to the total" if lost else ""
    if lost and lost[0] in hidden:
        why = f"`{lost[0]}` may be part of a standardised value, which is computed whole"
    return Shares(weights, shares, rest / shared, why)


def left_over(
    passed: Mapping[Edge, Tensor],
    own: Mapping[Edge, Mapping[Edge, Tensor]],
    outer: Mapping[Edge, float],
    places: Sequence[Edge],
    shared: float,
) -> float:
    """The size of the gradient that comes by way of no term; what rounding leaves is none."""
    left: list[Tensor] = []
    for place in places:
        rest = passed.get(place)
        for edge, factor in outer.items():
            grad = own[edge].get(place)
            if grad is not None:
                rest = -factor * grad if rest is None else rest - factor * grad
        if rest is not None:
            left.append(rest)
    found = size(left)
    rounded = max((torch.finfo(one.dtype).eps for one in left), default=0.0) ** 0.5
    return found if not found <= rounded * shared else 0.0


def size(grads: Iterable[Tensor | None]) -> float:
    """The norm of gradients taken together."""
    return math.hypot(*(float(_norm(grad)) for grad in grads if grad is not None))


def _norm(grad: Tensor) -> Tensor:
    plain = grad.coalesce().values() if grad.is_sparse else grad
    wide = torch.float32 if plain.dtype in (torch.float16, torch.bfloat16) else None
    return torch.linalg.vector_norm(plain, dtype=wide)


__all__ = ["Shares", "hidden_in", "shares_of", "summands_of"]
