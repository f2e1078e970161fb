"""What each term of a loss weighs, and which share of the gradient comes by way of it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

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
    whole, looks = edge_of(total), set(edges.values())
    passed = slopes(whole, places, looks, since)
    found = {name: passed.get(edge) for name, edge in edges.items()}
    weights = {name: _weight(name, summands, found.get(name), hidden & edges.keys()) for name in terms}
    if not places:
        return Shares(weights, dict.fromkeys(terms), None, "nothing that the objective read requires a gradient")
    sizes: dict[Edge, float] = {}
    within: dict[Edge, set[Edge]] = {}
    for edge in looks:  # one at a time: a gradient may be large
        own = slopes(edge, places, looks, since)
        sizes[edge], within[edge] = size(own.get(place) for place in places), {look for look in looks if look in own}
    if summands is not None:
        parts = [abs(count) * sizes[edges[name]] for name, count in summands.items() if name in edges]
    else:
        factors = {edge: one for name, edge in edges.items() if (one := weights[name]) is not None and edge != whole}
        inside = {look for edge in factors for look in within[edge] if look != edge}
        outer = {edge: factor for edge, factor in factors.items() if edge not in inside}
        parts = [abs(factor) * sizes[edge] for edge, factor in outer.items()]
        # A total that is a term itself, and holds no other, leaves nothing over.
        alone = not outer and whole in sizes
        parts += [sizes[whole], 0.0] if alone else [left_over(passed, outer, places, since, sum(parts))]
    shared = sum(parts)
    if not math.isfinite(shared) or shared == 0:
        why = "every gradient is zero" if shared == 0 else "a gradient is not finite"
        return Shares(weights, dict.fromkeys(terms), None, why)
    shares = {name: 1.0 if edges.get(name) == whole else None for name in terms}
    for name, weight in weights.items():
        part = 0.0 if name not in edges else math.nan if weight is None else abs(weight) * sizes[edges[name]] / shared
        shares[name] = part if shares[name] is None and math.isfinite(part) else shares[name]
    why = next((_lost(name, hidden) for name in edges if weights[name] is None), "")
    return Shares(weights, shares, 0.0 if summands is not None else parts[-1] / shared, why)


def _weight(
    name: str, summands: Mapping[str, int] | None, found: Tensor | None, hidden: frozenset[str] | set[str]
) -> float | None:
    """From the graph; what stands on the top line under its own text weighs 1, in the graph or not."""
    if name in hidden:
        return None
    if summands is not None and name in summands and (found is None or not name.isidentifier()):
        return float(summands[name])
    return None if found is None else float(found)


def _lost(name: str, hidden: frozenset[str]) -> str:
    if name in hidden:
        return f"`{name}` may be part of a standardised value, which is computed whole"
    return f"autograd knows no way from `{name}` to the total"


def left_over(
    passed: Mapping[Edge, Tensor], outer: Mapping[Edge, float], places: Sequence[Edge], since: int, shared: float
) -> float:
    """The size of the gradient that comes by way of no term; what rounding leaves is none."""
    left = {place: passed[place] for place in places if place in passed}
    for edge, factor in outer.items():
        for place, grad in slopes(edge, places, (), since).items():
            left[place] = left[place] - factor * grad if place in left else -factor * grad
    found = size(left.values())
    rounded = max((torch.finfo(one.dtype).eps for one in left.values()), default=0.0) ** 0.5
    return found if not found <= rounded * shared else 0.0


def size(grads: Iterable[Tensor | None]) -> float:
    """The norm of gradients taken together."""
    return math.hypot(*(float(_norm(grad)) for grad in grads if grad is not None))


def _norm(grad: Tensor) -> Tensor:
    plain = grad.coalesce().values() if grad.is_sparse else grad
    wide = torch.float32 if plain.dtype in (torch.float16, torch.bfloat16) else None
    return torch.linalg.vector_norm(plain, dtype=wide)


__all__ = ["Shares", "hidden_in", "shares_of"]
