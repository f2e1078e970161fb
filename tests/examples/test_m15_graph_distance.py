"""M15: the distance of neighbours in a graph, held against two loops over its nodes."""

from __future__ import annotations

import copy

import networkx as nx
import pytest
import torch
from torch import Tensor, nn

import wye
from examples import m15_graph_distance as example
from tests.examples.training import OPTIMIZERS, assert_close, assert_same_gradients, assert_same_weights, step


def plain(x: Tensor, adj: Tensor, weighted: bool = False) -> Tensor:
    total = torch.zeros((), dtype=x.dtype)
    for i in range(len(adj)):
        for j in range(len(adj)):
            if adj[i, j] > 0:
                cosine = (x[i] * x[j]).sum() / (x[i].norm() * x[j].norm())
                total = total - (adj[i, j] if weighted else 1) * cosine
    return total


def graphs() -> dict[str, nx.Graph]:
    return {
        "club": nx.karate_club_graph(),
        "one way": nx.DiGraph([(0, 1), (1, 2), (2, 0), (2, 3), (3, 3)]),
        "nothing": nx.empty_graph(4),
    }


def matrix(graph: nx.Graph) -> Tensor:
    return torch.from_numpy(nx.to_numpy_array(graph))


@pytest.mark.parametrize("name", graphs())
def test_dense_and_sparse_have_the_value_and_gradients_of_the_loops(name: str) -> None:
    graph = graphs()[name]
    adj = matrix(graph)
    x = torch.randn(len(adj), 3, dtype=torch.float64, requires_grad=True)
    wanted = plain(x, adj)
    for edges in (wye.Edges.from_networkx(graph), wye.Edges.from_dense(adj)):
        for got in (wye.evaluate(example.DENSE, x=x, adj=adj), wye.evaluate(example.SPARSE, x=x, graph=edges)):
            assert_close(got, wanted)
            if name != "nothing":
                assert_close(torch.autograd.grad(got, x)[0], torch.autograd.grad(wanted, x, retain_graph=True)[0])


@pytest.mark.parametrize("name", ["club", "one way"])
def test_weights_count(name: str) -> None:
    graph = graphs()[name]
    for number, (_, _, data) in enumerate(graph.edges(data=True)):
        data["weight"] = 0.5 + number % 3
    x = torch.randn(len(graph), 3, dtype=torch.float64)
    edges = wye.Edges.from_networkx(graph, weighted=True)
    assert_close(wye.evaluate(example.SPARSE, x=x, graph=edges), plain(x, matrix(graph), weighted=True))


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_weights_after_training(kind: str) -> None:
    net, graph = nn.Linear(5, 3).double(), nx.karate_club_graph()
    twin, adj = copy.deepcopy(net), matrix(graph)
    loss = wye.Objective("edge_cosine_loss(net(x), graph)", net=net, graph=wye.Edges.from_networkx(graph))
    ours, theirs = OPTIMIZERS[kind](net.parameters()), OPTIMIZERS[kind](twin.parameters())
    for _ in range(3):
        x = torch.randn(34, 5, dtype=torch.float64)
        step(ours, loss(x)[0])
        step(theirs, plain(twin(x), adj))
    assert_same_weights(net.parameters(), twin.parameters())
    assert_same_gradients(net.parameters(), twin.parameters())


def test_the_graph_tells_the_sides_of_the_club() -> None:
    assert example.sides_of_the_club(f"{example.SIDES} + {example.PULL}") >= 0.9
    assert example.sides_of_the_club(example.SIDES) <= 0.7


def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example.main()
    told = capsys.readouterr().out
    values = [line.split()[-1] for line in told.splitlines()[:5]]
    assert values[1] == values[2]
    assert float(values[3]) == pytest.approx(float(values[1]) / 2, abs=1e-4)
    scores = {line.strip().rpartition(" ")[0].strip(): line.split()[-1] for line in told.splitlines() if line}
    assert float(scores["untrained"]) < 0.6 < 0.7 < float(scores["the pull alone"])
    assert float(scores["and the push"]) > 0.7
    assert "ShapeError: each node of the graph has one row." in told
