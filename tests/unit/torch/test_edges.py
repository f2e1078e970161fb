"""Edges are listed from whatever holds a graph, and move and are saved with the module that has them."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import scipy.sparse
import torch
from torch import Tensor, nn

import wye

INDEX = [[0, 1, 2, 0, 3, 3, 2], [1, 2, 0, 1, 3, 4, 1]]


def listed(edges: wye.Edges) -> list[tuple[int, int]]:
    return [(int(i), int(j)) for i, j in edges.index.t()]


def of_matrix(adj: Tensor) -> list[tuple[int, int]]:
    return [(i, j) for i in range(len(adj)) for j in range(len(adj)) if adj[i, j] > 0]


# what they are made of


def test_they_are_listed_as_they_are_given() -> None:
    edges = wye.Edges(INDEX, num_nodes=6)
    assert listed(edges) == list(zip(*INDEX, strict=True))
    assert edges.weight is None
    assert edges.num_nodes == 6
    assert wye.Edges(INDEX).num_nodes == 5
    assert repr(edges) == "Edges(7 edges, num_nodes=6)"
    assert repr(wye.Edges(INDEX, [1] * 7)) == "Edges(7 edges, num_nodes=5, weighted)"


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_whole_numbers_of_any_kind_are_nodes(dtype: torch.dtype) -> None:
    assert listed(wye.Edges(torch.tensor(INDEX, dtype=dtype))) == list(zip(*INDEX, strict=True))
    assert listed(wye.Edges(np.array(INDEX, np.int32))) == list(zip(*INDEX, strict=True))


def test_no_edges_are_a_graph() -> None:
    for index in ([[], []], torch.zeros(2, 0, dtype=torch.int64)):
        edges = wye.Edges(index, num_nodes=3)
        assert edges.index.shape == (2, 0)
        assert len(listed(edges.non_edges(4))) == 12
    assert wye.Edges([[], []]).num_nodes == 0
    assert listed(wye.Edges([[], []], num_nodes=1).non_edges()) == []


def test_coalescing_adds_weights_up() -> None:
    weights: dict[tuple[int, int], float] = {}
    given = [0.5, 1.0, 2.0, 0.25, 4.0, 8.0, 16.0]
    for pair, weight in zip(zip(*INDEX, strict=True), given, strict=True):
        weights[pair] = weights.get(pair, 0.0) + weight
    edges = wye.Edges(INDEX, given, coalesce=True)
    assert dict(zip(listed(edges), edges.weight.tolist(), strict=True)) == weights
    counted = wye.Edges(INDEX, coalesce=True)
    assert dict(zip(listed(counted), counted.weight.tolist(), strict=True))[0, 1] == 2.0
    assert len(listed(counted)) == 6


def test_coalescing_passes_gradients_on() -> None:
    weight = torch.rand(7, requires_grad=True)
    edges = wye.Edges(INDEX, weight, coalesce=True)
    (edges.weight * torch.arange(6.0)).sum().backward()
    place = sorted(set(zip(*INDEX, strict=True)))
    assert weight.grad.tolist() == [float(place.index(pair)) for pair in zip(*INDEX, strict=True)]


def test_from_dense_keeps_what_is_above_0() -> None:
    adj = torch.tensor([[0.0, 2.0, -1.0], [0.0, 0.5, 0.0], [3.0, 0.0, 0.0]])
    assert listed(wye.Edges.from_dense(adj)) == [(0, 1), (1, 1), (2, 0)]
    assert wye.Edges.from_dense(adj).weight is None
    weighted = wye.Edges.from_dense(adj, weighted=True)
    assert weighted.weight.tolist() == [2.0, 0.5, 3.0]
    assert weighted.num_nodes == 3
    assert listed(wye.Edges.from_dense(adj > 0)) == listed(weighted)
    assert wye.Edges.from_dense(adj.long(), weighted=True).weight.dtype is torch.float32


def test_gradients_reach_the_matrix_that_the_weights_come_from() -> None:
    adj = torch.rand(4, 4, dtype=torch.float64, requires_grad=True)
    x = torch.randn(4, 3, dtype=torch.float64)
    wye.losses.edge_cosine_loss(x, wye.Edges.from_dense(adj, weighted=True)).backward()
    assert torch.allclose(adj.grad, -torch.nn.functional.cosine_similarity(x[:, None], x[None], -1))


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta", "ignore:Sparse invariant checks")
@pytest.mark.parametrize("weighted", [False, True])
def test_sparse_matrices_give_what_the_dense_one_gives(weighted: bool) -> None:
    adj = torch.tensor([[0.0, 2.0, -1.0], [0.0, 0.5, 0.0], [3.0, 0.0, 0.0]])
    wanted = wye.Edges.from_dense(adj, weighted)
    array = adj.numpy()
    for matrix in (
        adj.to_sparse(),
        adj.to_sparse_csr(),
        adj.to_sparse_csc(),
        scipy.sparse.coo_array(array),
        scipy.sparse.csr_matrix(array),
        scipy.sparse.csc_array(array),
        scipy.sparse.lil_array(array),
    ):
        edges = wye.Edges.from_sparse(matrix, weighted)
        weights = edges.weight.tolist() if weighted else [None] * 3
        known = wanted.weight.tolist() if weighted else [None] * 3
        assert sorted(zip(listed(edges), weights, strict=True)) == list(zip(listed(wanted), known, strict=True))
        assert edges.num_nodes == 3


def test_an_entry_that_is_stored_twice_is_two_edges() -> None:
    coo = torch.sparse_coo_tensor([[0, 0], [1, 1]], [1.0, 2.0], (2, 2), check_invariants=True)
    assert listed(wye.Edges.from_sparse(coo)) == [(0, 1), (0, 1)]
    of_scipy = scipy.sparse.coo_array(([1.0, 2.0], ([0, 0], [1, 1])), (2, 2))
    assert wye.Edges.from_sparse(of_scipy, weighted=True).weight.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("kind", [nx.Graph, nx.DiGraph, nx.MultiGraph, nx.MultiDiGraph])
def test_a_networkx_graph_gives_what_its_matrix_gives(kind: type[nx.Graph]) -> None:
    graph = kind()
    graph.add_nodes_from("cabd")
    graph.add_edge("a", "b", weight=2.0)
    graph.add_edge("b", "c")
    graph.add_edge("c", "c", weight=0.5)
    matrix = torch.from_numpy(nx.to_numpy_array(graph))
    edges = wye.Edges.from_networkx(graph, weighted=True)
    assert listed(edges) == of_matrix(matrix)
    assert edges.weight.tolist() == [float(matrix[i, j]) for i, j in listed(edges)]
    assert wye.Edges.from_networkx(graph).weight is None
    assert edges.num_nodes == 4


def test_parallel_edges_of_networkx_count_each() -> None:
    graph = nx.MultiDiGraph([(0, 1), (0, 1)])
    assert listed(wye.Edges.from_networkx(graph)) == [(0, 1), (0, 1)]


def test_nothing_is_imported_to_recognise_a_graph() -> None:
    code = "import sys, wye; wye.Edges([[0], [1]]); print([n for n in ('networkx', 'scipy') if n in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# pairs that are no edges


def test_non_edges_are_none_of_the_edges_and_no_loops() -> None:
    edges = wye.Edges(INDEX, num_nodes=6)
    drawn = listed(edges.non_edges(50, torch.Generator().manual_seed(1)))
    known = set(zip(*INDEX, strict=True))
    rest = {(i, j) for i in range(6) for j in range(6) if i != j and (i, j) not in known}
    assert set(drawn) == rest  # so many that each pair comes up
    counts = [sum(i == node for i, _ in drawn) for node in range(6)]
    assert counts[4] == counts[5] == 50  # nodes without an edge of their own lose none


def test_non_edges_follow_the_generator() -> None:
    edges = wye.Edges(INDEX, num_nodes=60)
    one, other, third = (edges.non_edges(2, torch.Generator().manual_seed(seed)).index for seed in (3, 3, 4))
    assert torch.equal(one, other)
    assert one.shape != third.shape or not torch.equal(one, third)
    torch.manual_seed(5)
    first = edges.non_edges(2).index
    torch.manual_seed(5)
    assert torch.equal(first, edges.non_edges(2).index)


# as a part


def test_the_module_has_its_tensors() -> None:
    join = wye.Join("edge_cosine_loss(x, graph)", graph=wye.Edges(INDEX, [0.5] * 7))
    assert list(join.state_dict()) == ["graph.index", "graph.weight"]
    assert list(join.parameters()) == []
    assert join.double().graph.weight.dtype is torch.float64
    assert join.graph.index.dtype is torch.int64
    assert join.to("meta").graph.index.is_meta


def test_weights_that_are_a_parameter_are_trained() -> None:
    weight = nn.Parameter(torch.ones(7))
    join = wye.Join("edge_cosine_loss(x, graph)", graph=wye.Edges(INDEX, weight))
    assert [name for name, _ in join.named_parameters()] == ["graph.weight"]
    optimizer = torch.optim.SGD(join.parameters(), lr=1.0)
    x = torch.randn(5, 3)
    join(x).backward()
    optimizer.step()
    wanted = [1 + float(torch.cosine_similarity(x[i], x[j], 0)) for i, j in zip(*INDEX, strict=True)]
    assert torch.allclose(weight.detach(), torch.tensor(wanted), atol=1e-6)


def test_loading_takes_other_edges() -> None:
    x = torch.randn(5, 3)
    one = wye.Join("edge_cosine_loss(x, graph)", graph=wye.Edges(INDEX))
    other = wye.Join("edge_cosine_loss(x, graph)", graph=wye.Edges([[0] * 7, [1] * 7], num_nodes=5))
    assert one(x) != other(x)
    other.load_state_dict(one.state_dict())
    assert one(x) == other(x)
    wrong = {"graph.index": torch.tensor([[0] * 7, [9] * 7])}
    with pytest.raises(wye.RangeError, match="no node 9"):
        other.load_state_dict(wrong)


def test_copies_and_files_have_the_same_loss(tmp_path: Path) -> None:
    x = torch.randn(5, 3)
    for weight in (None, torch.rand(7), nn.Parameter(torch.rand(7))):
        loss = wye.Objective("edge_cosine_loss(x, graph, push=0.1)", graph=wye.Edges(INDEX, weight))
        wye.save(loss, tmp_path / "loss.safetensors")
        read = wye.load(tmp_path / "loss.safetensors")
        assert len(list(read.parameters())) == len(list(loss.parameters()))
        for copied in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss)), read):
            assert copied(x)[0].detach() == loss(x)[0].detach()
            assert copied.graph.num_nodes == 5


def test_other_edges_may_be_assigned() -> None:
    x = torch.randn(5, 3)
    join = wye.Join("edge_cosine_loss(x, graph)", graph=wye.Edges(INDEX))
    join.graph = wye.Edges([[0], [1]], num_nodes=5)
    assert torch.allclose(join(x), -torch.cosine_similarity(x[0], x[1], 0))
    with pytest.raises(wye.PartError, match="`graph` is a graph, not a number"):
        join.graph = 3.0


def test_they_may_be_given_with_the_call() -> None:
    x = torch.randn(5, 3)
    join = wye.Join("edge_cosine_loss(x, graph)")
    assert join.inputs == ("x", "graph")
    assert join(x, wye.Edges(INDEX)) == wye.Join("edge_cosine_loss(x, graph)", graph=wye.Edges(INDEX))(x)
    assert join(x.round().int(), graph=wye.Edges(INDEX)).dtype is torch.float32


def test_a_watched_run_has_the_graph_in_it() -> None:
    net = nn.Linear(3, 2)
    loss = wye.Objective(
        "edge_cosine_loss(net(x), graph)", net=net, graph=wye.Edges(INDEX, nn.Parameter(torch.ones(7)))
    )
    optimizer = torch.optim.SGD(loss.parameters(), lr=0.1)
    seen = wye.watch(loss, optimizer)
    for _ in range(2):
        optimizer.zero_grad()
        loss(torch.randn(5, 3))[0].backward()
        optimizer.step()
    assert "graph.weight" in seen.weights
    assert seen.weights["graph.weight"].by_decay == 0
    assert "net" in seen.table()
