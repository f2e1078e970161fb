"""Losses over the edges of a graph. No formula says them: each front computes them by one product over all edges."""

from __future__ import annotations

from .loss import Argument, Loss, Setting

ROWS = Argument("floats of shape (nodes, features).", "nodes, features")
EDGES = Argument("an `Edges` of so many nodes.", "", "edges")
NEGATIVES = Argument("an `Edges` of pairs to be drawn apart, as from `edges.non_edges(5)`.", "", "edges")
REDUCTION = Setting(
    "sum",
    '"sum", or "mean": the sum over edges divided by their count, that of the other pairs by theirs, that of the '
    "negatives by theirs.",
)
COST = (
    "Each listed edge counts. Second derivatives, and weights with a gradient, go over the edges one by one: the first "
    "take memory for edges times features. Floats of 16 bits are computed, and give a loss, in 32."
)
_GRAPH = "x, graph = numpy.array([[1.0, 0.0], [3.0, 4.0], [0.0, 2.0]]), wye.Edges([[0, 1], [1, 2]]{})\n"

GRAPHS = (
    Loss(
        "edge_cosine_loss",
        "Draws the ends of edges into one direction, and all other pairs, or some, apart.",
        "-Σ w cos(x_i, x_j) over the edges (i, j) of a graph; `push` times Σ cos(x_i, x_j) over all other pairs of two "
        "nodes, in time and memory linear in the nodes; Σ w max(0, cos(x_i, x_j) - margin) over `negatives`. A mean "
        f"divides each by its count. A zero row has cosines of 0 and no gradient. {COST}",
        "Hadsell, Chopra and LeCun 2006, Dimensionality reduction by learning an invariant mapping, with cosines",
        {"x": ROWS, "edges": EDGES},
        "",
        (_GRAPH.format("") + "round(float(wye.losses.edge_cosine_loss(x, graph, push=0.5)), 4)", "-0.7"),
        extra={"negatives": NEGATIVES},
        settings={
            "push": Setting(0.0, "the weight of all pairs that are no edges."),
            "margin": Setting(0.0, "the cosine up to which negatives count nothing."),
        },
        reduction=REDUCTION,
        kernel=True,
    ),
    Loss(
        "edge_distance_loss",
        "Draws the ends of edges together, and some other pairs apart.",
        "Σ w |x_i - x_j|² over the edges (i, j) of a graph; Σ w max(0, margin - |x_i - x_j|)² over `negatives`, where "
        f"two equal rows have no gradient. A mean divides each by its count. {COST}",
        "Belkin and Niyogi 2003, Laplacian eigenmaps, section 3; negatives as in Hadsell, Chopra and LeCun 2006, "
        "eq. 4, without its halves",
        {"x": ROWS, "edges": EDGES},
        "",
        (_GRAPH.format(", [1.0, 0.5]") + "float(wye.losses.edge_distance_loss(x, graph))", "26.5"),
        extra={"negatives": NEGATIVES},
        settings={"margin": Setting(1.0, "the distance from which negatives count nothing.")},
        reduction=REDUCTION,
        kernel=True,
    ),
)
