"""`Edges`: the edges of a graph, as a part of a formula."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from ..formula import edges as core
from .kernels import NARROW, WHOLE, constant, ops

Array = npt.NDArray[Any]


@keras.saving.register_keras_serializable("wye")
class Edges(keras.Layer, core.EdgeList):
    """The edges of a graph: where each comes from, where it goes, and what it weighs.

    An edge counts as often as it is listed, loops too, and it goes one way: an undirected graph lists both. In a
    formula its name stands for the graph; the model that it is given to holds and saves its variables. Weights that
    are a trainable Variable are trained.

    Args:
        index: sources and targets, whole numbers of shape (2, E).
        weight: real numbers of shape (E,); None: all are 1.
        num_nodes: how many nodes there are; None: one more than the largest in the index.
        coalesce: whether edges from one node to another become one, their weights added up.
        name: of the layer, as Keras knows it.

    Raises:
        ShapeError: the index has not two rows, or the weights are not one for each edge.
        RangeError: a node is negative, or not below `num_nodes`.
        PartError: the index holds no whole numbers, or the weights are no real ones.

    Example:
        >>> import keras, wye.keras as wye
        >>> graph = wye.Edges([[0, 1, 2], [1, 2, 0]], num_nodes=4)
        >>> loss = wye.Join("edge_cosine_loss(x, graph)", graph=graph)
        >>> round(float(loss(keras.ops.ones((4, 8)))))
        -3
    """

    def __init__(
        self,
        index: Any,
        weight: Any = None,
        num_nodes: int | None = None,
        coalesce: bool = False,
        *,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        pairs = _plain(index)
        if isinstance(index, list | tuple) and not pairs.size:
            pairs = pairs.astype(np.int64)  # an empty list says nothing of its dtype
        core.check_index(pairs.shape, pairs.dtype.kind in "iu", pairs.dtype)
        pairs = pairs.astype(np.int64)
        low, high = (int(pairs.min()), int(pairs.max())) if pairs.size else (0, -1)
        self.num_nodes = max(high + 1, 0) if num_nodes is None else num_nodes
        core.check_num_nodes(self.num_nodes)
        core.check_ends(low, high, self.num_nodes)
        weights = None if weight is None else _plain(weight)
        if weights is not None:
            core.check_weight(weights.shape, pairs.shape[1], weights.dtype.kind in "fiub", weights.dtype)
        if coalesce:
            pairs, weight = _coalesced(pairs, weights, self.num_nodes)
        self.index = constant("index", pairs, WHOLE)
        self.first = constant("first", _first(pairs, self.num_nodes), keras.config.floatx())
        self.weight = weight if weight is None or isinstance(weight, keras.Variable) else _weights(weight)
        self.built = True

    @classmethod
    def from_dense(cls, adj: Any, weighted: bool = False) -> Edges:
        """An edge from i to j for each adj[i, j] > 0, of weight 1; `weighted` keeps the entry as its weight.

        Args:
            adj: real numbers of shape (N, N).
            weighted: whether entries are weights.

        Example:
            >>> import wye.keras as wye
            >>> wye.Edges.from_dense([[0.0, 2.0], [0.0, 0.5]], weighted=True)
            Edges(2 edges, num_nodes=2, weighted)
        """
        matrix = _plain(adj)
        core.check_square(matrix.shape, "from_dense")
        source, target = (matrix > 0).nonzero()
        return cls(np.stack([source, target]), matrix[source, target] if weighted else None, matrix.shape[0])

    @classmethod
    def from_sparse(cls, matrix: Any, weighted: bool = False) -> Edges:
        """As `from_dense`, of a sparse matrix of SciPy; an entry that is stored twice is two edges.

        Example:
            >>> import scipy.sparse, wye.keras as wye
            >>> wye.Edges.from_sparse(scipy.sparse.eye(3))
            Edges(3 edges, num_nodes=3)
        """
        row, column, values, size = core.of_scipy(matrix)
        kept = values > 0
        return cls(np.stack([row, column])[:, kept], values[kept] if weighted else None, size)

    @classmethod
    def from_networkx(cls, graph: Any, weighted: bool = False) -> Edges:
        """The edges of a networkx graph, its nodes in the order in which it holds them.

        An undirected edge is listed in both directions and a loop once, as in the matrix of the graph. `weighted`
        takes the attribute `weight` of each, 1 where it has none.

        Example:
            >>> import networkx, wye.keras as wye
            >>> wye.Edges.from_networkx(networkx.path_graph(3))
            Edges(4 edges, num_nodes=3)
        """
        sources, targets, weights, size = core.of_networkx(graph, weighted)
        return cls([sources, targets], weights, size)

    def non_edges(self, per_node: int = 1, generator: Any = None) -> Edges:
        """Pairs of nodes that no edge joins, drawn at random: the `negatives` of a loss.

        For each node, `per_node` others are drawn uniformly; the pairs that are edges are left out.

        Args:
            per_node: how many are drawn.
            generator: a whole number or a `keras.random.SeedGenerator`; None: Keras's own.

        Example:
            >>> import wye.keras as wye
            >>> wye.Edges([[0, 1, 2], [1, 2, 0]]).non_edges(2, generator=0).num_nodes
            3
        """
        core.check_per_node(per_node)
        count = self.num_nodes
        if count < 2:
            return Edges([[], []], num_nodes=count)
        source = np.arange(count).repeat(per_node)
        draw: Any = keras.random.randint(source.shape, 0, count - 1, seed=generator)
        target = _plain(draw).astype(np.int64)
        target += target >= source  # any node but the source
        index = _plain(self.index).astype(np.int64)
        kept = ~np.isin(source * count + target, index[0] * count + index[1])
        return Edges(np.stack([source, target])[:, kept], num_nodes=count)

    def get_config(self) -> dict[str, Any]:
        weight = self.weight
        kind = None if weight is None else [weight.dtype, weight.trainable]
        return {"num_nodes": self.num_nodes, "edges": self.index.shape[1], "weight": kind, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Edges:  # pyright: ignore
        """Edges between the first node and itself; what they are is read with the weights."""
        count, kind = config["edges"], config["weight"]
        weight = None
        if kind is not None:
            made: Any = keras.Variable
            weight = made(ops.ones((count,), NARROW.get(kind[0], kind[0])), trainable=kind[1], autocast=False)
        return cls(np.zeros((2, count), np.int64), weight, config["num_nodes"], name=config["name"])

    def __repr__(self) -> str:
        words = [f"{self.index.shape[1]} edges", f"num_nodes={self.num_nodes}"]
        return f"Edges({', '.join([*words, *(['weighted'] if self.weight is not None else [])])})"


def _plain(values: Any) -> Array:
    """The values in NumPy."""
    return np.asarray(core.in_memory(values))


def _weights(weight: Any) -> Any:
    """Weights as floats, in a variable that no optimizer moves."""
    values = _plain(weight)
    dtype = str(values.dtype) if isinstance(weight, np.ndarray) or ops.is_tensor(weight) else ""
    dtype = NARROW.get(dtype, dtype) if values.dtype.kind == "f" and dtype else keras.config.floatx()
    return constant("weight", values, dtype)


def _coalesced(index: Array, weight: Array | None, num_nodes: int) -> tuple[Array, Array]:
    """Each pair of nodes once, with the sum of its weights."""
    pairs, place = np.unique(index[0] * num_nodes + index[1], return_inverse=True)
    total = np.bincount(place, weight, minlength=len(pairs)).astype(float)
    return np.stack([pairs // max(num_nodes, 1), pairs % max(num_nodes, 1)]), total


def _first(index: Array, num_nodes: int) -> Array:
    """For each edge 1 where it is the first that joins its two nodes, and no loop; else 0."""
    found = np.zeros(index.shape[1])
    found[np.unique(index[0] * num_nodes + index[1], return_index=True)[1]] = 1
    return found * (index[0] != index[1])
