"""Losses over the edges of a graph in `keras.ops`: the two ends of every edge are gathered, and then compared.

They take memory for edges times features; each backend differentiates them as often as it can.
"""

from __future__ import annotations

from typing import Any

from ..formula import edges as core
from .edges import Edges
from .kernels import Array, Dtypes, ops
from .picks import beside

HALF = Dtypes("float16", "bfloat16")


def edge_cosine_loss(x: Array, edges: Any, negatives: Any, reduction: str, push: float, margin: float) -> Array:
    """-Σ w·cos over edges, `push` times the sum of cos over all other pairs, and what negatives have above a margin."""
    graph, x = _checked(x, edges)
    unit = _unit(x)
    cosine = _along(unit, graph)
    total = ops.negative(_reduced(cosine, graph, reduction))
    if push:
        first = ops.cast(graph.first, x.dtype)
        apart = ops.sum(ops.square(ops.sum(unit, 0))) - ops.sum(ops.square(unit)) - ops.sum(ops.multiply(cosine, first))
        nodes = graph.num_nodes
        count = ops.maximum(nodes * (nodes - 1) - ops.sum(first), 1) if reduction == "mean" else 1
        total = total + push * apart / count
    if negatives is None:
        return total
    others = _checked_negatives(graph, negatives)
    return total + _reduced(ops.relu(_along(unit, others) - margin), others, reduction)


def edge_distance_loss(x: Array, edges: Any, negatives: Any, reduction: str, margin: float) -> Array:
    """Σ w·‖x_i - x_j‖² over edges, and max(0, margin - ‖x_i - x_j‖)² over negatives."""
    graph, x = _checked(x, edges)
    total = _reduced(_apart(x, graph), graph, reduction)
    if negatives is None:
        return total
    others = _checked_negatives(graph, negatives)
    square = _apart(x, others)
    there = square > 0
    distance = ops.where(there, ops.sqrt(ops.where(there, square, ops.ones_like(square))), ops.zeros_like(square))
    return total + _reduced(ops.square(ops.relu(margin - distance)), others, reduction)


def _checked(x: Array, edges: Any) -> tuple[Edges, Array]:
    """The graph, and the rows of its nodes: in 16 bits a sum over edges would overflow, so they are 32."""
    if not isinstance(edges, Edges):
        raise core.no_edges(edges, "wye.keras")
    if len(x.shape) != 2 or x.shape[0] not in (None, edges.num_nodes):
        raise core.no_rows_of_nodes(tuple(x.shape), edges.num_nodes)
    return edges, ops.cast(x, "float32") if x.dtype in HALF else x


def _checked_negatives(graph: Edges, negatives: Any) -> Edges:
    if not isinstance(negatives, Edges):
        raise core.no_edges(negatives, "wye.keras")
    if negatives.num_nodes != graph.num_nodes:
        raise core.other_nodes(graph.num_nodes, negatives.num_nodes)
    return negatives


def _unit(x: Array) -> Array:
    """Unit rows; a zero row stays zero, and so does its gradient."""
    square = ops.sum(ops.square(x), 1, keepdims=True)
    there = square > 0
    inverse = ops.where(there, ops.rsqrt(ops.where(there, square, ops.ones_like(square))), ops.zeros_like(square))
    return x * inverse


def _ends(x: Array, edges: Edges) -> tuple[Array, Array]:
    """The rows at both ends of every edge."""
    source, target = (beside(x, end) for end in ops.unstack(ops.convert_to_tensor(edges.index), 2, 0))
    return ops.take(x, source, axis=0), ops.take(x, target, axis=0)


def _along(unit: Array, edges: Edges) -> Array:
    one, other = _ends(unit, edges)
    return ops.sum(one * other, 1)


def _apart(x: Array, edges: Edges) -> Array:
    one, other = _ends(x, edges)
    return ops.sum(ops.square(one - other), 1)


def _reduced(entry: Array, edges: Edges, reduction: str) -> Array:
    """The weighted sum or the mean over edges; of none 0."""
    total = ops.sum(entry if edges.weight is None else ops.multiply(entry, ops.cast(edges.weight, entry.dtype)))
    return total / max(int(edges.index.shape[1]), 1) if reduction == "mean" else total
