"""Losses over the edges of a graph, each by one sparse product.

With S = A + Aᵀ, A the weights of the edges: over unit rows u the sum of the cosines is ½⟨u, S u⟩, with the gradient
S u; over any rows the sum of the squared distances is ⟨x, (D - S) x⟩, with the gradient 2 (D - S) x, D the row sums of
S on the diagonal. So the product that gives the value gives the gradient, and nothing is as large as edges times
features. `embedding_bag` is that product: it adds up the rows of each node's neighbours.

Second derivatives, forward mode and the transforms of `torch.func` go over the edges one by one, which takes memory
for edges times features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function, forward_ad

from ..formula import edges as core
from .edges import Edges, Sides, sides_of

PIECE = 2**20
"""How many numbers of the edges' ends are held at once where each edge has a gradient of its own."""
Form = Callable[[Tensor, Tensor | None, Tensor, Sides], tuple[Tensor, Tensor]]


def edge_cosine_loss(x: Tensor, edges: Any, negatives: Any, reduction: str, push: float, margin: float) -> Tensor:
    """-Σ w·cos over edges, `push` times the sum of cos over all other pairs, and what negatives have above a margin."""
    graph, x = _checked(x, edges)
    mean, count = reduction == "mean", graph.index.shape[1]
    weight, sides = _weights(graph, x), sides_of(graph)
    if push:
        share = push / _other_pairs(graph, sides) if mean else push
        ones = weight if weight is not None else torch.ones_like(sides.first, dtype=x.dtype)
        # What the push has on edges is taken off again by their weights: all stays one product.
        weight = (ones / max(count, 1) if mean else ones) + share * sides.first.to(x.dtype)
        total = _over_edges("cosine", x, weight, graph, sides) + share * _all_pairs(x)
    else:
        total = _over_edges("cosine", x, weight, graph, sides)
        total = total / max(count, 1) if mean else total
    if negatives is None:
        return total
    others = _checked_negatives(graph, negatives)
    unit = _unit(x)[0]
    cosine = (unit.index_select(0, others.index[0]) * unit.index_select(0, others.index[1])).sum(1)
    return total + _reduced((cosine - margin).relu(), others, reduction)


def edge_distance_loss(x: Tensor, edges: Any, negatives: Any, reduction: str, margin: float) -> Tensor:
    """Σ w·‖x_i - x_j‖² over edges, and max(0, margin - ‖x_i - x_j‖)² over negatives."""
    graph, x = _checked(x, edges)
    total = _over_edges("distance", x, _weights(graph, x), graph, sides_of(graph))
    total = total / max(graph.index.shape[1], 1) if reduction == "mean" else total
    if negatives is None:
        return total
    others = _checked_negatives(graph, negatives)
    gap = x.index_select(0, others.index[0]) - x.index_select(0, others.index[1])
    return total + _reduced((margin - torch.linalg.vector_norm(gap, 2, 1)).relu() ** 2, others, reduction)


def _checked(x: Tensor, edges: Any) -> tuple[Edges, Tensor]:
    """The graph, and the rows of its nodes: in 16 bits a sum over edges would overflow, so they are 32."""
    if not isinstance(edges, Edges):
        raise core.no_edges(edges, "wye")
    if x.dim() != 2 or x.shape[0] != edges.num_nodes:
        raise core.no_rows_of_nodes(tuple(x.shape), edges.num_nodes)
    return edges, x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _checked_negatives(graph: Edges, negatives: Any) -> Edges:
    if not isinstance(negatives, Edges):
        raise core.no_edges(negatives, "wye")
    if negatives.num_nodes != graph.num_nodes:
        raise core.other_nodes(graph.num_nodes, negatives.num_nodes)
    return negatives


def _weights(edges: Edges, x: Tensor) -> Tensor | None:
    return None if edges.weight is None else edges.weight.to(x.dtype)


def _other_pairs(graph: Edges, sides: Sides) -> Any:
    """How many ordered pairs of two nodes no edge joins, at least 1."""
    every = graph.num_nodes * (graph.num_nodes - 1)
    if graph.neighbours is None:  # a captured graph sorts edges that are new to it, and cannot count them
        return (every - sides.first.sum()).clamp(min=1)
    return max(every - graph.pairs, 1)


def _reduced(entry: Tensor, others: Edges, reduction: str) -> Tensor:
    total = (entry if others.weight is None else entry * others.weight.to(entry.dtype)).sum()
    return total / max(others.index.shape[1], 1) if reduction == "mean" else total


def _unit(x: Tensor) -> tuple[Tensor, Tensor]:
    """Unit rows, and one over the lengths; both are 0 for a zero row, and so are its derivatives."""
    square = x.square().sum(1, keepdim=True)
    inverse = torch.where(square > 0, torch.where(square > 0, square, 1).rsqrt(), 0)
    return x * inverse, inverse


def _all_pairs(x: Tensor) -> Tensor:
    """Σ cos over all ordered pairs of two nodes: ‖Σ u‖² - Σ ‖u‖²."""
    unit = _unit(x)[0]
    return unit.sum(0).square().sum() - unit.square().sum()


def _over_edges(by: str, x: Tensor, weight: Tensor | None, graph: Edges, sides: Sides) -> Tensor:
    if torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0:  # pyright: ignore[reportPrivateUsage]
        return PLAIN[by](x, weight, graph.index)
    return cast(Tensor, _OverEdges.apply(by, x, weight, graph.index, *sides))


# one by one


def _plain_cosine(x: Tensor, weight: Tensor | None, index: Tensor) -> Tensor:
    unit = _unit(x)[0]
    cosine = (unit.index_select(0, index[0]) * unit.index_select(0, index[1])).sum(1)
    return -(cosine if weight is None else cosine * weight).sum()


def _plain_distance(x: Tensor, weight: Tensor | None, index: Tensor) -> Tensor:
    square = (x.index_select(0, index[0]) - x.index_select(0, index[1])).square().sum(1)
    return (square if weight is None else square * weight).sum()


# by one product


def _product(x: Tensor, weight: Tensor | None, sides: Sides) -> Tensor:
    """S x: for each node the weighted sum of its neighbours' rows."""
    if not x.shape[1]:
        return torch.zeros_like(x)  # which embedding_bag refuses
    weights = None if weight is None else weight.index_select(0, sides.which)
    return F.embedding_bag(
        sides.neighbours, x, sides.starts, mode="sum", per_sample_weights=weights, include_last_offset=True
    )


def _cosine(x: Tensor, weight: Tensor | None, index: Tensor, sides: Sides) -> tuple[Tensor, Tensor]:
    unit, inverse = _unit(x)
    pull = _product(unit, weight, sides)
    along = (unit * pull).sum(1, keepdim=True)
    return 0 - 0.5 * along.sum(), pull.addcmul_(unit, along, value=-1).mul_(-inverse)


def _distance(x: Tensor, weight: Tensor | None, index: Tensor, sides: Sides) -> tuple[Tensor, Tensor]:
    """In 64 bits and around the mean, for near nodes far from 0 the squares would cancel."""
    wide = x if x.device.type == "mps" else x.double()
    wide = wide - wide.mean(0) if len(x) else wide
    if weight is None:
        degree = sides.starts.diff().to(wide.dtype)
    else:
        weight = weight.to(wide.dtype)
        degree = wide.new_zeros(len(x)).index_add_(0, index[0], weight).index_add_(0, index[1], weight)
    apart = torch.addcmul(_product(wide, weight, sides).neg_(), wide, degree[:, None])
    return (wide * apart).sum().to(x.dtype), apart.mul_(2).to(x.dtype)


def _entries(by: str, x: Tensor, index: Tensor) -> Tensor:
    """What each edge has for a weight of 1: the gradient of the weights, in pieces."""
    rows = _unit(x)[0] if by == "cosine" else x
    found: list[Tensor] = []
    for piece in index.split(max(1, PIECE // max(x.shape[1], 1)), 1):
        one, other = rows.index_select(0, piece[0]), rows.index_select(0, piece[1])
        found.append((one * other).sum(1).neg_() if by == "cosine" else (one - other).square_().sum(1))
    return torch.cat(found)


PLAIN = {"cosine": _plain_cosine, "distance": _plain_distance}
FORMS: dict[str, Form] = {"cosine": _cosine, "distance": _distance}


class _OverEdges(Function):
    """The sum over edges, with the gradient formed beside the value."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, by: str, x: Tensor, weight: Tensor | None, index: Tensor, *sides: Tensor
    ) -> Tensor:
        total, slope = FORMS[by](x, weight, index, Sides(*sides))
        each = _entries(by, x, index) if ctx.needs_input_grad[2] else None
        ctx.by = by
        ctx.save_for_backward(x, weight, index, slope if ctx.needs_input_grad[1] else None, each)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight, index, slope, each = ctx.saved_tensors
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():  # somebody will differentiate this again
            wanted = [one for one, needs in ((x, slope), (weight, each)) if needs is not None]
            with torch.enable_grad():
                found = iter(torch.autograd.grad(PLAIN[ctx.by](x, weight, index), wanted, grad, create_graph=True))
            slopes = [None if one is None else next(found) for one in (slope, each)]
        else:
            slopes = [None if one is None else one * grad for one in (slope, each)]
        return None, *slopes, None, *[None] * len(Sides._fields)
