"""The example of a graph on Keras, M15, held against two loops over its nodes."""

from __future__ import annotations

from typing import Any

import keras
import networkx as nx
import numpy as np
import pytest
from keras import ops

import wye.keras as wye
from examples.keras import m15_graph_distance as m15
from tests.keras.by_hand import Plain
from tests.keras.plain import alike, array, dense, numbers, same, weights
from tests.keras.test_examples_join import twin


def plain(x: Any, adj: Any, weighted: bool = False) -> tuple[float, Any]:
    """The loss and its gradient, pair by pair."""
    x = x.astype("float64")
    total, gradient = 0.0, np.zeros_like(x)
    for i in range(len(adj)):
        for j in range(len(adj)):
            if adj[i, j] > 0:
                w = adj[i, j] if weighted else 1.0
                long, other = np.sqrt((x[i] ** 2).sum()), np.sqrt((x[j] ** 2).sum())
                cosine = (x[i] * x[j]).sum() / (long * other)
                total -= w * cosine
                gradient[i] -= w * (x[j] / other - cosine * x[i] / long) / long
                gradient[j] -= w * (x[i] / long - cosine * x[j] / other) / other
    return total, gradient


def graphs() -> dict[str, nx.Graph]:
    return {
        "club": nx.karate_club_graph(),
        "one way": nx.DiGraph([(0, 1), (1, 2), (2, 0), (2, 3), (3, 3)]),
        "nothing": nx.empty_graph(4),
    }


def matrix(graph: nx.Graph) -> Any:
    return nx.to_numpy_array(graph).astype("float32")


@pytest.mark.parametrize("name", graphs())
def test_m15_dense_and_sparse_have_the_value_and_gradients_of_the_loops(name: str) -> None:
    graph = graphs()[name]
    adj, start = matrix(graph), array(1, len(graph), 3)
    total, gradient = plain(start, adj)
    ways: list[tuple[str, dict[str, Any]]] = [
        (m15.DENSE, {"adj": ops.convert_to_tensor(adj)}),
        (m15.SPARSE, {"graph": wye.Edges.from_networkx(graph)}),
        (m15.SPARSE, {"graph": wye.Edges.from_dense(adj)}),
    ]
    for formula, given in ways:
        alike(wye.evaluate(formula, x=ops.convert_to_tensor(start), **given), total)
        embed = m15.embedding(len(graph), 3)
        embed.build(())
        embed.embeddings.assign(start)
        loss = wye.Objective(formula, x="embed(node)", embed=embed, **given)
        loss.compile(keras.optimizers.SGD(1.0))
        alike(loss.train_on_batch({"node": np.arange(len(graph))}), total)
        alike(embed.embeddings, start - gradient)


@pytest.mark.parametrize("name", ["club", "one way"])
def test_m15_weights_count(name: str) -> None:
    graph = graphs()[name]
    for number, (_, _, data) in enumerate(graph.edges(data=True)):
        data["weight"] = 0.5 + number % 3
    x = array(1, len(graph), 3)
    edges = wye.Edges.from_networkx(graph, weighted=True)
    found = wye.evaluate(m15.SPARSE, x=ops.convert_to_tensor(x), graph=edges)
    alike(found, plain(x, matrix(graph), weighted=True)[0])


def by_hand(model: Any, batch: Any) -> Any:
    x = model.net(batch["x"])
    unit = x / ops.sqrt(ops.sum(ops.square(x), 1, keepdims=True))
    there = ops.convert_to_tensor(np.sign(matrix(nx.karate_club_graph())))
    return -ops.sum(there * ops.matmul(unit, ops.transpose(unit)))


def test_m15_weights_after_a_fit() -> None:
    graph = wye.Edges.from_networkx(nx.karate_club_graph())
    loss = wye.Objective("edge_cosine_loss(net(x), graph)", net=dense(2, 3, 5), graph=graph)
    hand = Plain(by_hand, net=twin(loss.net))
    x = array(3, 68, 5)  # two batches, each a row for each member
    for model in (loss, hand):
        model.compile(keras.optimizers.Adam(0.01))
        model.fit({"x": x}, batch_size=34, epochs=3, shuffle=False, verbose=0)
    same(weights(loss), weights(hand), 1e-4)


def test_m15_a_fit_moves_the_embeddings_and_saves_the_graph_with_them(tmp_path: Any) -> None:
    loss = m15.objective(np.array([0, 33]), np.array([0, 1]))
    m15.fit(loss, 34, steps=2)
    wye.save(loss, tmp_path / "club.keras")
    again, node = wye.load(tmp_path / "club.keras"), np.arange(34)
    np.testing.assert_array_equal(numbers(again(node)[0]), numbers(loss(node)[0]))
    np.testing.assert_array_equal(numbers(again.graph.index), numbers(loss.graph.index))


def test_m15_runs(capsys: pytest.CaptureFixture[str]) -> None:
    m15.main()
    told = capsys.readouterr().out
    values = [float(line.split()[-1]) for line in told.splitlines()[1:5]]
    club = nx.karate_club_graph()
    x = np.random.default_rng(0).normal(size=(34, 8)).astype("float32")
    wanted = [plain(x, matrix(club))[0], plain(x, np.triu(matrix(club)))[0], plain(x, matrix(club), weighted=True)[0]]
    assert values == pytest.approx([wanted[0], *wanted], abs=2e-3)
    alone, pulled = (float(line.split()[-2]) for line in told.splitlines() if line.endswith("right"))
    assert alone <= 0.7 < 0.9 <= pulled
    scores = {line.strip().rpartition(" ")[0].strip(): line.split()[-1] for line in told.splitlines() if line}
    assert float(scores["untrained"]) < 0.6 < 0.7 < float(scores["the pull alone"])
    assert float(scores["and the push"]) > 0.75
    assert "ShapeError: each node of the graph has one row." in told
