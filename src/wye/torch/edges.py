"""`Edges`: the edges of a graph, as a part of a formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self, cast

import torch
from torch import Tensor, nn

from ..formula import edges as core

DERIVED = ("neighbours", "starts", "which", "keys", "first")


class Sides(NamedTuple):
    """Both ends of every edge, sorted by the node that they lie at.

    Args:
        neighbours: the other ends, of shape (2E,).
        starts: where those of each node begin, of shape (N + 1,).
        which: the edge that each belongs to, of shape (2E,).
        keys: source · N + target of the edges without repetition, sorted.
        first: for each edge, whether it is the first that joins its two nodes, and no loop; of shape (E,).
    """

    neighbours: Tensor
    starts: Tensor
    which: Tensor
    keys: Tensor
    first: Tensor


class Edges(nn.Module, core.EdgeList):
    """The edges of a graph: where each comes from, where it goes, and what it weighs.

    An edge counts as often as it is listed, loops too, and it goes one way: an undirected graph lists both. In a
    formula its name stands for the graph; the module that it is given to holds its tensors, which move and are saved
    with that. Weights that are a Parameter are trained.

    Args:
        index: sources and targets, whole numbers of shape (2, E).
        weight: real numbers of shape (E,); None: all are 1.
        num_nodes: how many nodes there are; None: one more than the largest in the index.
        coalesce: whether edges from one node to another become one, their weights added up.

    Raises:
        ShapeError: the index has not two rows, or the weights are not one for each edge.
        RangeError: a node is negative, or not below `num_nodes`.
        PartError: the index holds no whole numbers, or the weights are no real ones.

    Example:
        >>> import torch, wye
        >>> graph = wye.Edges([[0, 1, 2], [1, 2, 0]], num_nodes=4)
        >>> loss = wye.Join("edge_cosine_loss(x, graph)", graph=graph)
        >>> float(loss(torch.ones(4, 8)).round())
        -3.0
    """

    index: Tensor
    weight: Tensor | None
    neighbours: Tensor | None

    def __init__(self, index: Any, weight: Any = None, num_nodes: int | None = None, coalesce: bool = False) -> None:
        super().__init__()
        pairs = torch.as_tensor(index)
        if not isinstance(index, Tensor) and not pairs.numel():
            pairs = pairs.long()  # an empty list says nothing of its dtype
        whole = not (pairs.is_floating_point() or pairs.is_complex() or pairs.dtype is torch.bool)
        core.check_index(tuple(pairs.shape), whole, str(pairs.dtype).removeprefix("torch."))
        pairs = pairs.long()
        low, high = (int(pairs.min()), int(pairs.max())) if pairs.numel() else (0, -1)
        self.num_nodes = max(high + 1, 0) if num_nodes is None else num_nodes
        core.check_num_nodes(self.num_nodes)
        core.check_ends(low, high, self.num_nodes)
        weights = None if weight is None else _real(torch.as_tensor(weight, device=pairs.device), pairs.shape[1])
        self._hold(*(_coalesced(pairs, weights, self.num_nodes) if coalesce else (pairs, weights)))

    def _hold(self, index: Tensor, weight: Tensor | None) -> None:
        self.register_buffer("index", index)
        if isinstance(weight, nn.Parameter):
            self.weight = weight
        else:
            self.register_buffer("weight", weight)
        for name in DERIVED:
            self.register_buffer(name, None, persistent=False)
        self.pairs = 0

    @classmethod
    def from_dense(cls, adj: Any, weighted: bool = False) -> Edges:
        """An edge from i to j for each adj[i, j] > 0, of weight 1; `weighted` keeps the entry as its weight.

        Args:
            adj: real numbers of shape (N, N).
            weighted: whether entries are weights. Gradients reach those.

        Example:
            >>> import torch, wye
            >>> wye.Edges.from_dense([[0.0, 2.0], [0.0, 0.5]], weighted=True).weight
            tensor([2.0000, 0.5000])
        """
        matrix = torch.as_tensor(adj)
        core.check_square(tuple(matrix.shape), "from_dense")
        index = (matrix > 0).nonzero().t().contiguous()
        return cls(index, matrix[index[0], index[1]] if weighted else None, matrix.shape[0])

    @classmethod
    def from_sparse(cls, matrix: Any, weighted: bool = False) -> Edges:
        """As `from_dense`, of a sparse matrix of torch (COO, CSR, CSC) or of SciPy (any).

        An entry that is stored twice is two edges.

        Example:
            >>> import torch, wye
            >>> wye.Edges.from_sparse(torch.eye(3).to_sparse()).index
            tensor([[0, 1, 2],
                    [0, 1, 2]])
        """
        if isinstance(matrix, Tensor) and matrix.layout is not torch.strided:
            core.check_square(tuple(matrix.shape), "from_sparse")
            entries = matrix if matrix.layout is torch.sparse_coo else matrix.to_sparse_coo()
            index, values, size = entries._indices(), entries._values(), int(matrix.shape[0])
        else:
            row, column, data, size = core.of_scipy(matrix)
            index, values = torch.stack([torch.as_tensor(row), torch.as_tensor(column)]), torch.as_tensor(data)
        kept = values > 0
        return cls(index[:, kept], values[kept] if weighted else None, size)

    @classmethod
    def from_networkx(cls, graph: Any, weighted: bool = False) -> Edges:
        """The edges of a networkx graph, its nodes in the order in which it holds them.

        An undirected edge is listed in both directions and a loop once, as in the matrix of the graph. `weighted`
        takes the attribute `weight` of each, 1 where it has none.

        Example:
            >>> import networkx, wye
            >>> wye.Edges.from_networkx(networkx.path_graph(3)).index
            tensor([[0, 1, 1, 2],
                    [1, 0, 2, 1]])
        """
        sources, targets, weights, size = core.of_networkx(graph, weighted)
        return cls([sources, targets], weights, size)

    def non_edges(self, per_node: int = 1, generator: torch.Generator | None = None) -> Edges:
        """Pairs of nodes that no edge joins, drawn at random: the `negatives` of a loss.

        For each node, `per_node` others are drawn uniformly; the pairs that are edges are left out.

        Args:
            per_node: how many are drawn.
            generator: of the draw, on the device of the edges; None: torch's own.

        Example:
            >>> import torch, wye
            >>> graph = wye.Edges([[0, 1, 2], [1, 2, 0]])
            >>> graph.non_edges(2, torch.Generator().manual_seed(0)).index
            tensor([[0, 1, 2, 2],
                    [2, 0, 1, 1]])
        """
        core.check_per_node(per_node)
        keys, device = sides_of(self).keys, self.index.device
        if self.num_nodes < 2:
            return Edges(self.index[:, :0], num_nodes=self.num_nodes)
        source = torch.arange(self.num_nodes, device=device).repeat_interleave(per_node)
        target = torch.randint(self.num_nodes - 1, source.shape, generator=generator, device=device)
        target = target + (target >= source)  # any node but the source
        drawn = source * self.num_nodes + target
        kept = torch.ones_like(drawn, dtype=torch.bool)
        if keys.numel():
            kept = keys[torch.searchsorted(keys, drawn).clamp(max=keys.numel() - 1)] != drawn
        return Edges(torch.stack([source, target])[:, kept], num_nodes=self.num_nodes)

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        for name in DERIVED:
            setattr(self, name, None)
        if not self.index.is_meta:
            ends = (int(self.index.min()), int(self.index.max())) if self.index.numel() else (0, -1)
            core.check_ends(*ends, self.num_nodes)
            sides_of(self)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        return self

    def extra_repr(self) -> str:
        words = [f"{self.index.shape[1]} edges", f"num_nodes={self.num_nodes}"]
        return ", ".join([*words, *(["weighted"] if self.weight is not None else [])])


def held(index: Tensor, weight: Tensor | None, num_nodes: int) -> Edges:
    """Edges out of tensors whose values are still to come."""
    made = Edges(index.new_zeros(2, 0, device="cpu"), num_nodes=num_nodes)
    made.index = index
    if isinstance(weight, nn.Parameter):
        del made.weight
    made.weight = weight
    return made


def sides_of(edges: Edges) -> Sides:
    """Both ends of every edge, sorted by node: once, and then kept."""
    if edges.neighbours is None:
        found = _sides(edges.index, edges.num_nodes)
        if torch.compiler.is_compiling() or edges.index.is_meta:
            return found
        for name, value in zip(DERIVED, found, strict=True):
            setattr(edges, name, value)
        edges.pairs = int(found.first.sum())
    return Sides(*(cast(Tensor, getattr(edges, name)) for name in DERIVED))


def _real(weight: Tensor, count: int) -> Tensor:
    """Weights as floats; a Parameter stays one."""
    dtype = str(weight.dtype).removeprefix("torch.")
    core.check_weight(tuple(weight.shape), count, not weight.is_complex(), dtype)
    return weight if weight.is_floating_point() else weight.to(torch.get_default_dtype())


def _coalesced(index: Tensor, weight: Tensor | None, num_nodes: int) -> tuple[Tensor, Tensor]:
    """Each pair of nodes once, with the sum of its weights."""
    pairs, place = torch.unique(index[0] * num_nodes + index[1], return_inverse=True)
    weights = torch.ones(index.shape[1], device=index.device) if weight is None else weight
    total = weights.new_zeros(len(pairs)).index_add(0, place, weights)
    return torch.stack([pairs // max(num_nodes, 1), pairs % max(num_nodes, 1)]), total


def _sides(index: Tensor, num_nodes: int) -> Sides:
    source, target = index
    count = source.shape[0]
    dtype = torch.int32 if max(num_nodes, 2 * count) < 2**31 else torch.int64
    nodes, order = torch.sort(torch.cat([source, target]), stable=True)
    neighbours = torch.cat([target, source])[order].to(dtype)
    starts = torch.searchsorted(nodes, torch.arange(num_nodes + 1, device=nodes.device)).to(dtype)
    keys, place = torch.sort(source * num_nodes + target, stable=True)
    new = torch.ones_like(keys, dtype=torch.bool)
    new[1:] = keys[1:] != keys[:-1]
    first = torch.zeros_like(new).scatter(0, place, new) & (source != target)
    return Sides(neighbours, starts, (order % max(count, 1)).to(dtype), keys[new], first)
