"""The losses over the edges of a graph, from the matrix of all pairs, one edge after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...errors import FormulaError, KernelError, ShapeError
from .. import edges as core
from ..functions import Function
from ..tree import Name, Node
from .arguments import Arguments
from .values import Array, Named, Site, Term, derived, floating


@dataclass(frozen=True)
class Graph:
    """The edges of a graph in NumPy."""

    index: Array
    weight: Array
    num_nodes: int

    def over(self, pairs: Array, mean: bool) -> float:
        """The weighted sum or the mean of what all pairs have, over the edges."""
        found = sum(w * pairs[i, j] for i, j, w in zip(*self.index, self.weight, strict=True))
        return float(found / max(len(self.weight), 1) if mean else found)


def over_edges(function: Function, arguments: Arguments, site: Site, x: Term, given: Mapping[str, object]) -> Named:
    """The value of `edge_cosine_loss` or `edge_distance_loss`."""
    options = {**function.options, **arguments.options}
    mean = options["reduction"] == "mean"
    graph = _graph(arguments.values[1], given, site)
    rows = _rows(function, x, graph, site)
    negatives = arguments.extra.get("negatives")
    others = None if negatives is None else _graph(negatives, given, site)
    if others is not None and others.num_nodes != graph.num_nodes:
        raise _at(core.other_nodes(graph.num_nodes, others.num_nodes), site)
    margin = float(options["margin"])  # type: ignore[arg-type]
    if function.name == "edge_distance_loss":
        square = ((rows[:, None] - rows[None]) ** 2).sum(-1)
        total = graph.over(square, mean)
        total += others.over(np.maximum(0, margin - np.sqrt(square)) ** 2, mean) if others else 0
    else:
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        unit = rows / np.where(length > 0, length, 1)
        cosine = unit @ unit.T
        total = -graph.over(cosine, mean) + float(options["push"]) * _apart(cosine, graph, mean)  # type: ignore[arg-type]
        total += others.over(np.maximum(0, cosine - margin), mean) if others else 0
    return derived(np.asarray(total), None, [x.value])


def _apart(cosine: Array, graph: Graph, mean: bool) -> float:
    """The sum or the mean over all pairs of two nodes that no edge joins."""
    joined = set(zip(*graph.index.tolist(), strict=True))
    nodes = range(graph.num_nodes)
    found = [cosine[i, j] for i in nodes for j in nodes if i != j and (i, j) not in joined]
    return float(sum(found) / max(len(found), 1) if mean else sum(found))


def _graph(node: Node, given: Mapping[str, object], site: Site) -> Graph:
    value = given.get(node.id) if isinstance(node, Name) else None
    if not isinstance(value, core.EdgeList):
        text = site.at(node).words
        fix = f"build them and give them: {text.split('[')[0]}=wye.Edges.from_dense(adj)"
        raise site.at(node).error(f"`{text}` is not the edges of a graph.", type(value).__name__, fix)
    index = _array(value.index).astype(np.int64)
    weight = np.ones(index.shape[1]) if value.weight is None else floating(_array(value.weight))
    return Graph(index, weight, value.num_nodes)


def _array(value: object) -> Array:
    """What an array, or a tensor of any framework, holds."""
    return np.asarray(core.in_memory(value))


def _rows(function: Function, x: Term, graph: Graph, site: Site) -> Array:
    if x.value.axes or x.value.array.ndim == 0:
        fix = (
            "leave the brackets out"
            if x.value.axes
            else f"write {function.name}(x, edges), with a row of x for each node"
        )
        got = f"axes [{', '.join(x.value.axes)}]" if x.value.axes else "a number"
        what = f"`{function.name}` takes all nodes at once: x of shape (nodes, features)."
        raise site.at(x.node).error(what, got, fix, ShapeError)
    if x.value.array.ndim != 2 or len(x.value.array) != graph.num_nodes:
        raise _at(core.no_rows_of_nodes(x.value.shape, graph.num_nodes), site)
    return floating(x.value.array)


def _at(error: KernelError, site: Site) -> FormulaError:
    return site.error(error.what, error.got, error.fix, error.kind)
