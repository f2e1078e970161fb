"""What the edges of a graph may be made of, on every front, and in what words the rest is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import FormulaError, KernelError, PartError, RangeError, ShapeError

Listed = tuple[list[int], list[int], list[float] | None, int]
"""Sources, targets, weights, and how many nodes there are."""


class EdgeList:
    """What the `Edges` of every front is, so that the core knows one when it is given.

    Attributes:
        index: sources and targets, of shape (2, E).
        weight: of shape (E,); None: all 1.
        num_nodes: how many nodes there are.
    """

    index: Any
    weight: Any
    num_nodes: int


def check_index(shape: Sequence[object], whole: bool, dtype: object) -> None:
    """The index holds two rows of whole numbers.

    Raises:
        ShapeError: it has another shape.
        PartError: it holds no whole numbers.
    """
    if len(shape) != 2 or shape[0] != 2:
        fix = "give the sources in one row and the targets in the other: [[0, 1], [1, 2]]; of pairs, its transpose"
        raise ShapeError("edges are two rows: sources and targets.", "Edges(index, ...)", f"shape {tuple(shape)}", fix)
    if not whole:
        fix = "give whole numbers: the places of the nodes, from 0"
        raise PartError(
            "edges go from node to node by whole numbers.", "Edges(index, ...)", f"an index of {dtype}", fix
        )


def check_ends(low: int, high: int, num_nodes: int) -> None:
    """All nodes of the index are there.

    Raises:
        RangeError: one is not.
    """
    if low < 0 or high >= num_nodes:
        bad = low if low < 0 else high
        got = f"nodes from {low} to {high}, of {num_nodes}"
        fix = "count nodes from 0" if low < 0 else f"write num_nodes={high + 1}, or leave such edges out"
        raise RangeError(f"there is no node {bad}.", "Edges(index, ...)", got, fix)


def check_weight(shape: Sequence[object], count: object, real: bool, dtype: object) -> None:
    """The weights are real numbers, one for each edge.

    Raises:
        ShapeError: they are more or fewer.
        PartError: they are no real numbers.
    """
    if len(shape) != 1 or shape[0] != count:
        got, fix = f"weights {tuple(shape)}, {count} edges", f"give weights of shape ({count},)"
        raise ShapeError("each edge has one weight.", "Edges(..., weight=...)", got, fix)
    if not real:
        fix = "give real numbers"
        raise PartError("a weight is a real number.", "Edges(..., weight=...)", f"weights of {dtype}", fix)


def check_num_nodes(num_nodes: object) -> None:
    if isinstance(num_nodes, bool) or not isinstance(num_nodes, int) or num_nodes < 0:
        where, got = f"Edges(..., num_nodes={num_nodes!r})", type(num_nodes).__name__
        raise PartError("a graph has a whole number of nodes, 0 or more.", where, got, "write num_nodes=len(x)")


def check_square(shape: Sequence[object], name: str) -> None:
    """A matrix of a graph has one row and one column for each node.

    Raises:
        ShapeError: it has not.
    """
    if len(shape) != 2 or shape[0] != shape[1]:
        fix = "give adj[i, j], with the sources i and the targets j of one set of nodes"
        raise ShapeError("the matrix of a graph is square.", f"Edges.{name}(...)", f"shape {tuple(shape)}", fix)


def check_per_node(per_node: object) -> None:
    if isinstance(per_node, bool) or not isinstance(per_node, int) or per_node < 1:
        where, got = f"non_edges(per_node={per_node!r})", type(per_node).__name__
        raise PartError("a whole number of nodes is drawn for each, 1 or more.", where, got, "write per_node=5")


def in_memory(values: Any) -> Any:
    """What NumPy can read: the value of a variable, and a tensor without its past, on the CPU."""
    values = getattr(values, "value", values)
    return values.detach().cpu() if hasattr(values, "detach") else values


def of_networkx(graph: Any, weighted: bool) -> Listed:
    """The edges of a networkx graph, its nodes in the order in which it holds them.

    An undirected edge counts in both directions and a loop once, as in its matrix; parallel edges count each.

    Raises:
        PartError: it is no such graph.
    """
    if not all(hasattr(graph, name) for name in ("adj", "nodes", "edges", "is_directed")):
        fix = "give a networkx graph; of a matrix write Edges.from_dense or Edges.from_sparse"
        raise PartError("this is no graph of networkx.", "Edges.from_networkx(...)", type(graph).__name__, fix)
    place = {node: number for number, node in enumerate(graph.nodes)}
    found = [(place[one], place[other], data.get("weight", 1)) for one, other, data in graph.edges(data=True)]
    if not graph.is_directed():
        found += [(other, one, weight) for one, other, weight in found if one != other]
    found.sort(key=lambda edge: edge[:2])
    weights = [float(weight) for _, _, weight in found] if weighted else None
    return [edge[0] for edge in found], [edge[1] for edge in found], weights, len(place)


def of_scipy(matrix: Any) -> tuple[Any, Any, Any, int]:
    """The rows, columns and values that a sparse matrix of SciPy holds, and how many nodes it has.

    Raises:
        PartError: it is no such matrix.
    """
    if not callable(getattr(matrix, "tocoo", None)):
        fix = "give a sparse matrix; of a dense one write Edges.from_dense(adj)"
        raise PartError("this is no sparse matrix.", "Edges.from_sparse(...)", type(matrix).__name__, fix)
    check_square(matrix.shape, "from_sparse")
    entries = matrix.tocoo()
    return entries.row, entries.col, entries.data, int(matrix.shape[0])


def no_edges(value: object, front: str) -> KernelError:
    """What stands in the place of a graph is none, or one of another front."""
    other = isinstance(value, EdgeList)
    got = (
        f"{type(value).__name__} of another framework"
        if other
        else f"{'None' if value is None else type(value).__name__}"
    )
    what = "the edges of a graph are given as `Edges`."
    fix = f"give {front}.Edges(index, num_nodes=...), or {front}.Edges.from_dense(adj)"
    return KernelError(what, got, fix, FormulaError)


def no_rows_of_nodes(shape: Sequence[object], num_nodes: int) -> KernelError:
    """The values of the nodes are not one row for each."""
    fix = "give x of shape (nodes, features)"
    if len(shape) == 2:
        fix += f", or build the graph with num_nodes={shape[0]}"
    got = f"shape {tuple(shape)}, a graph of {num_nodes} nodes"
    return KernelError("each node of the graph has one row.", got, fix)


def other_nodes(num_nodes: int, negatives: int) -> KernelError:
    """The negatives are pairs of other nodes than the graph has."""
    got = f"{negatives} nodes, a graph of {num_nodes}"
    return KernelError(
        "the negatives are pairs of the graph's own nodes.", got, "draw them from it: edges.non_edges(5)"
    )
