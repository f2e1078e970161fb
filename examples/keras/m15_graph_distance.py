"""The distance of neighbours in a graph, on Keras: nodes that an edge joins are to point the same way.

For every pair with `adj[i, j] > 0`, minus the cosine of the two nodes' embeddings, summed; each ordered pair counts.
The matrix is dense, with named axes, or the graph is given as its edges, which may have weights and a direction.

Two graphs of networkx: in the karate club two members say which side they are on, and the graph tells the side of the
others; in Les Misérables some of the meetings are hidden, and the embeddings find them again. A batch of `fit` is all
nodes in order, for the rows of the embeddings are the nodes of the graph.
"""

from __future__ import annotations

from typing import Any

import keras
import networkx as nx
import numpy as np

import wye.keras as wye

DENSE = """\
cosine[i, j] = sum(unit(x[i, d], d) * unit(x[j, d], d), d)
-sum(cosine, where=adj[i, j] > 0)"""
SPARSE = "edge_cosine_loss(x, graph)"
SIDES = "cross_entropy(side(take(x, known)), label)"
PULL = "beta * edge_cosine_loss(x, graph, reduction='mean', push=1)"


def embedding(nodes: int, width: int) -> keras.layers.Embedding:
    """A vector for each node, that points anywhere."""
    return keras.layers.Embedding(nodes, width, embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0))


def objective(known: Any, label: Any, formula: str = f"{SIDES} + {PULL}") -> wye.Objective:
    """Embeddings of the karate club, the side that each tells, and the graph, which is saved with them."""
    club = nx.karate_club_graph()
    parts: dict[str, Any] = {"x": "embed(node)", "embed": embedding(len(club), 8), "side": keras.layers.Dense(2)}
    if "graph" in formula:
        parts |= {"graph": wye.Edges.from_networkx(club), "beta": 1.0}
    return wye.Objective(formula, known=known, label=label, **parts)


def fit(loss: wye.Objective, nodes: int, steps: int = 100) -> None:
    loss.compile(keras.optimizers.Adam(0.05))
    loss.fit({"node": np.tile(np.arange(nodes), steps)}, batch_size=nodes, shuffle=False, verbose=0)


def sides_of_the_club(formula: str, seed: int = 0) -> float:
    """The share of members whose side is told rightly, when the two masters alone have said theirs."""
    keras.utils.set_random_seed(seed)
    club = nx.karate_club_graph()
    side = np.array([int(club.nodes[node]["club"] == "Officer") for node in club])
    known = np.array([0, 33])
    loss = objective(known, side[known], formula)
    fit(loss, len(club))
    told = keras.ops.convert_to_numpy(loss.side(loss.embed(np.arange(len(club))))).argmax(1)
    return float(np.delete(told == side, known).mean())


def meetings_found(formula: str, hidden: float = 0.2, seed: int = 0) -> float:
    """How often a meeting that was hidden scores above a pair that never met; 0.5 is chance."""
    keras.utils.set_random_seed(seed)
    novel = nx.les_miserables_graph()
    whole = wye.Edges.from_networkx(novel, weighted=True)
    index, weight = (keras.ops.convert_to_numpy(values) for values in (whole.index, whole.weight))
    shuffled = np.random.permutation((index[0] < index[1]).nonzero()[0])
    away, kept = np.split(shuffled, [round(hidden * len(shuffled))])
    graph = wye.Edges(index[:, kept], np.log1p(weight[kept]), num_nodes=len(novel))
    embed = embedding(len(novel), 16)
    nodes = np.arange(len(novel))
    embed(nodes)
    if formula:
        fit(wye.Objective(formula, x="embed(node)", embed=embed, graph=graph), len(novel))
    unit = keras.ops.convert_to_numpy(keras.ops.normalize(embed(nodes), axis=1))
    apart = keras.ops.convert_to_numpy(whole.non_edges(20, generator=seed).index)
    met, never = ((unit[source] * unit[target]).sum(1) for source, target in (index[:, away], apart))
    return float((met[:, None] > never).mean())


def main() -> None:
    club = nx.karate_club_graph()
    x = keras.ops.convert_to_tensor(np.random.default_rng(0).normal(size=(len(club), 8)).astype("float32"))
    adj = nx.to_numpy_array(club).astype("float32")
    graph = wye.Edges.from_networkx(club)
    print(f"The karate club, {len(club)} members, {graph.index.shape[1]} ordered pairs:")
    dense = wye.evaluate(DENSE, x=x, adj=keras.ops.convert_to_tensor(adj))
    print(f"  dense, by named axes {float(dense):.3f}")
    print(f"  sparse, by edges     {float(wye.evaluate(SPARSE, x=x, graph=graph)):.3f}")
    one_way = wye.Edges.from_dense(np.triu(adj))
    print(f"  each pair once       {float(wye.evaluate(SPARSE, x=x, graph=one_way)):.3f}")
    weighted = wye.Edges.from_networkx(club, weighted=True)
    print(f"  weighted by contexts {float(wye.evaluate(SPARSE, x=x, graph=weighted)):.3f}")

    print("\nThe sides of the 32 others, once both masters have said theirs:")
    for name, formula in (("without the graph", SIDES), ("with the graph", f"{SIDES} + {PULL}")):
        print(f"  {name:17} {sides_of_the_club(formula):.2f} right")

    print("\nLes Misérables, one meeting in five hidden; how often it scores above a pair that never met:")
    for name, formula in (
        ("untrained", ""),
        ("the pull alone", "edge_cosine_loss(x, graph, reduction='mean')"),
        ("and the push", "edge_cosine_loss(x, graph, reduction='mean', push=1)"),
    ):
        print(f"  {name:14} {meetings_found(formula):.2f}")

    print("\nA graph of other nodes:")
    try:
        wye.evaluate(SPARSE, x=x[:30], graph=graph)
    except wye.WyeError as error:
        print(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
