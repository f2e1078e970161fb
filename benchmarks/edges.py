"""The losses over the edges of a graph: time and memory beside a gather of their ends, and beside a double loop."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

import wye

from .memory import peak_memory
from .table import Row, megabytes, milliseconds
from .timing import Run, interleaved

NODES, EDGES, FEATURES = 10_000, 1_000_000, 128
GATHER, MEMORY, COMPILED, LOOP = 1 / 30, 1 / 100, 1 / 3.5, 1 / 1000
COLUMNS = {"cosine": (GATHER, MEMORY, COMPILED), "distance": (None, None, None)}


def gathered(x: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """The plain way: the rows at both ends of every edge."""
    unit = F.normalize(x, dim=1)
    return -(weight * (unit[index[0]] * unit[index[1]]).sum(1)).sum()


def gathered_apart(x: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    return (weight * (x[index[0]] - x[index[1]]).square().sum(1)).sum()


def looped(x: Tensor, adj: Tensor | list[list[float]]) -> Tensor:
    """The plainest way: two loops over the nodes, and a cosine for each pair that an edge joins."""
    total = x.new_zeros(())
    for i in range(len(x)):
        for j in range(len(x)):
            if adj[i][j] > 0:
                total = total - torch.cosine_similarity(x[i], x[j], 0)
    return total


def passing(loss: Callable[[Tensor], Tensor], x: Tensor) -> Run:
    """Forward and backward."""

    def run() -> None:
        x.grad = None
        loss(x).backward()

    return run


def rows() -> list[Row]:
    return [*large("cosine", gathered), *large("distance", gathered_apart), *small()]


def large(name: str, plain: Callable[[Tensor, Tensor, Tensor], Tensor]) -> list[Row]:
    index, weight = torch.randint(NODES, (2, EDGES)), torch.rand(EDGES)
    x = torch.randn(NODES, FEATURES, requires_grad=True)
    join = wye.Join(f"edge_{name}_loss(x, graph)", graph=wye.Edges(index, weight, num_nodes=NODES))
    compiled = torch.compile(plain)
    runs = {
        "wye": passing(join, x),
        "gather": passing(lambda x: plain(x, index, weight), x),
        "compiled": passing(lambda x: compiled(x, index, weight), x),
    }

    def clear() -> None:
        x.grad = None

    samples = interleaved(runs, seconds=30.0)
    peaks = {one: peak_memory(run, clear) for one, run in runs.items()}
    ours, (duration, memory, against) = milliseconds(samples.median("wye")), COLUMNS[name]
    title = f"edge_{name}_loss"

    def note(peer: str) -> str:
        theirs = f"{peer} {milliseconds(samples.median(peer))}, {megabytes(peaks[peer])}"
        return f"{theirs}; ours {ours}, {megabytes(peaks['wye'])}"

    return [
        Row(f"{title}, 1e4 nodes, 1e6 edges, time", samples.ratio("wye", "gather"), duration, note("gather")),
        Row(f"{title}, the same, memory", peaks["wye"] / peaks["gather"], memory, "peak above the start"),
        Row(f"{title}, over torch.compile, time", samples.ratio("wye", "compiled"), against, note("compiled")),
    ]


def small() -> list[Row]:
    """A thousand edges among as many nodes; the loop over a tensor takes so long that one pass of it must do."""
    nodes = 1000
    pairs = torch.randperm(nodes * nodes)[:nodes]
    index = torch.stack([pairs // nodes, pairs % nodes])
    adj = torch.zeros(nodes, nodes).index_put((index[0], index[1]), torch.ones(nodes))
    lists, x = adj.tolist(), torch.randn(nodes, FEATURES, requires_grad=True)
    join = wye.Join("edge_cosine_loss(x, graph)", graph=wye.Edges(index, num_nodes=nodes))
    runs = {"wye": passing(join, x), "lists": passing(lambda x: looped(x, lists), x)}
    samples = interleaved(runs, seconds=8.0)
    ours, start = samples.median("wye"), time.process_time()
    passing(lambda x: looped(x, adj), x)()
    loop = time.process_time() - start
    title = "edge_cosine_loss, 1e3 nodes and edges"
    return [
        Row(f"{title}, time", ours / loop, LOOP, f"a double loop {milliseconds(loop)}; ours {milliseconds(ours)}"),
        Row(
            f"{title}, over lists",
            samples.ratio("wye", "lists"),
            None,
            f"the same loop, the matrix as lists of Python {milliseconds(samples.median('lists'))}",
        ),
    ]
