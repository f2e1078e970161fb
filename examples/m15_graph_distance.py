"""The distance of neighbours in a graph: nodes that an edge joins are to point the same way.

For every pair with `adj[i, j] > 0`, minus the cosine of the two nodes' embeddings, summed; each ordered pair counts.
The matrix is dense, with named axes, or the graph is given as its edges, which may have weights and a direction.

Two graphs of networkx: in the karate club two members say which side they are on, and the graph tells the side of the
others; in Les Misérables some of the meetings are hidden, and the embeddings find them again.
"""

from __future__ import annotations

from typing import Any

import networkx as nx
import torch
from torch import Tensor, nn

import wye

DENSE = """\
cosine[i, j] = sum(unit(x[i, d], d) * unit(x[j, d], d), d)
-sum(cosine, where=adj[i, j] > 0)"""
SPARSE = "edge_cosine_loss(x, graph)"
SIDES = "cross_entropy(side(take(x, known)), label)"
PULL = "beta * edge_cosine_loss(x, graph, reduction='mean', push=1)"


def objective(formula: str = f"{SIDES} + {PULL}") -> wye.Objective:
    """Embeddings of the karate club, the side that each tells, and the graph, which is saved and moves with them."""
    club = nx.karate_club_graph()
    parts: dict[str, Any] = {"x": nn.Parameter(torch.randn(len(club), 8)), "side": nn.Linear(8, 2)}
    if "graph" in formula:
        parts |= {"graph": wye.Edges.from_networkx(club), "beta": 1.0}
    return wye.Objective(formula, **parts)


def fit(loss: wye.Objective, steps: int, **inputs: Tensor) -> None:
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.05)
    for _ in range(steps):
        total, _ = loss(**inputs)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()


def sides_of_the_club(formula: str, seed: int = 0) -> float:
    """The share of members whose side is told rightly, when the two masters alone have said theirs."""
    torch.manual_seed(seed)
    club = nx.karate_club_graph()
    side = torch.tensor([int(club.nodes[node]["club"] == "Officer") for node in club])
    loss = objective(formula)
    known = torch.tensor([0, 33])
    fit(loss, 100, known=known, label=side[known])
    others = torch.ones(len(club), dtype=torch.bool).index_fill(0, known, False)
    told = loss.side(loss.x).argmax(1)
    return float((told == side)[others].float().mean())


def meetings_found(formula: str, hidden: float = 0.2, seed: int = 0) -> float:
    """How often a meeting that was hidden scores above a pair that never met; 0.5 is chance."""
    torch.manual_seed(seed)
    novel = nx.les_miserables_graph()
    whole = wye.Edges.from_networkx(novel, weighted=True)
    one_way = (whole.index[0] < whole.index[1]).nonzero().squeeze(1)
    shuffled = one_way[torch.randperm(len(one_way))]
    kept = shuffled[round(hidden * len(shuffled)) :]
    graph = wye.Edges(whole.index[:, kept], whole.weight[kept].log1p(), num_nodes=len(novel))
    x = nn.Parameter(torch.randn(len(novel), 16))
    if formula:
        fit(wye.Objective(formula, x=x, graph=graph), 100)
    unit = nn.functional.normalize(x.detach(), dim=1)
    source, target = whole.index[:, shuffled[: len(shuffled) - len(kept)]]
    met = (unit[source] * unit[target]).sum(1)
    source, target = whole.non_edges(20).index
    apart = (unit[source] * unit[target]).sum(1)
    return float((met[:, None] > apart).float().mean())


def main() -> None:
    club = nx.karate_club_graph()
    x, adj = torch.randn(34, 8, generator=torch.Generator().manual_seed(0)), torch.tensor(nx.to_numpy_array(club))
    graph = wye.Edges.from_networkx(club)
    print(f"The karate club, {len(club)} members, {graph.index.shape[1]} ordered pairs:")
    print(f"  dense, by named axes {float(wye.evaluate(DENSE, x=x, adj=adj)):.4f}")
    print(f"  sparse, by edges     {float(wye.evaluate(SPARSE, x=x, graph=graph)):.4f}")
    one_way = wye.Edges(graph.index[:, graph.index[0] < graph.index[1]], num_nodes=34)
    print(f"  each pair once       {float(wye.evaluate(SPARSE, x=x, graph=one_way)):.4f}")
    weighted = wye.Edges.from_networkx(club, weighted=True)
    print(f"  weighted by contexts {float(wye.evaluate(SPARSE, x=x, graph=weighted)):.4f}")

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
