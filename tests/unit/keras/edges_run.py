"""What the losses over edges do on one backend of Keras: `KERAS_BACKEND=jax python -m tests.unit.keras.edges_run`.

It prints, as JSON, values and gradients for every option, what a fit and a file make of a graph, and what is refused.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import networkx as nx
import numpy as np
import scipy.sparse
from keras import ops

import wye.keras as wye
from tests.unit.keras.losses_run import captured
from wye.errors import WyeError

INDEX = [[0, 1, 2, 0, 3, 3, 2], [1, 2, 0, 1, 3, 4, 1]]
WEIGHT = [0.5, 1.0, -0.25, 2.0, 0.75, 1.5, 0.25]
NEGATIVE = [[0, 1, 5, 4], [4, 3, 2, 5]]
X = np.cos(np.arange(24.0)).reshape(6, 4)
X[4] = 0
TEXTS = [
    *(
        f"edge_cosine_loss(x, g{n}, reduction='{reduction}', push={push}, margin=-0.4)"
        for n in ("", ", n")
        for reduction in ("sum", "mean")
        for push in (0.0, 0.3)
    ),
    *(f"edge_distance_loss(x, g{n}, reduction='{r}', margin=2.0)" for n in ("", ", n") for r in ("sum", "mean")),
]


def slope(step: Callable[[Any], Any], x: Any) -> Any:
    """The gradient of a step."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            value = step(x)
        return tf.convert_to_tensor(tape.gradient(value, x))
    if keras.backend.backend() == "jax":
        import jax

        return jax.grad(step)(x)
    import torch

    x = x.clone().requires_grad_()
    return torch.autograd.grad(step(x), x)[0]


def numbers(value: Any) -> Any:
    return np.asarray(ops.convert_to_numpy(ops.stop_gradient(value))).tolist()


def values(text: str, weight: Any) -> dict[str, Any]:
    graph, negatives = wye.Edges(INDEX, weight, num_nodes=6), wye.Edges(NEGATIVE, num_nodes=6)
    x = ops.convert_to_tensor(X, "float32")

    def step(x: Any) -> Any:
        return wye.evaluate(text, x=x, g=graph, n=negatives)

    ways: dict[str, Callable[[Any], Any]] = {"eager": lambda step: step, **captured()}
    return {
        "value": {way: numbers(make(step)(x)) for way, make in ways.items()},
        "slope": {way: numbers(slope(make(step), x)) for way, make in ways.items()},
    }


def fitted() -> dict[str, Any]:
    """A fit with trained weights of edges, and the file of its model."""
    keras.utils.set_random_seed(0)
    weight = keras.Variable(np.ones(7, np.float32), name="weight")
    text = "edge_cosine_loss(see(x), graph, push=0.1)"
    model = wye.Objective(text, see=keras.layers.Dense(3), graph=wye.Edges(INDEX, weight, num_nodes=6))
    model.compile(keras.optimizers.SGD(0.02))
    losses = model.fit({"x": X}, batch_size=6, epochs=4, shuffle=False, verbose=0).history["loss"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        read = keras.saving.load_model(path)
    x = ops.convert_to_tensor(X, "float32")
    return {
        "losses": losses,
        "moved": bool(np.abs(numbers(weight) - np.ones(7)).max() > 1e-3),
        "trained": len(read.trainable_variables),
        "same": abs(float(numbers(model(x)[0])) - float(numbers(read(x)[0]))),
        "read": numbers(ops.convert_to_tensor(read.graph.index)),
    }


def listed(edges: wye.Edges) -> list[Any]:
    weight = edges.weight
    return [numbers(ops.convert_to_tensor(edges.index)), weight if weight is None else numbers(weight), edges.num_nodes]


def sources() -> dict[str, Any]:
    adj = np.array([[0.0, 2.0, -1.0], [0.0, 0.5, 0.0], [3.0, 0.0, 0.0]])
    graph = wye.Edges(INDEX, num_nodes=60)
    drawn = [graph.non_edges(3, generator=seed) for seed in (1, 1)]
    pairs = [list(zip(*numbers(ops.convert_to_tensor(one.index)), strict=True)) for one in drawn]
    return {
        "dense": listed(wye.Edges.from_dense(adj, weighted=True)),
        "tensor": listed(wye.Edges.from_dense(ops.convert_to_tensor(adj, "float32"))),
        "sparse": listed(wye.Edges.from_sparse(scipy.sparse.csr_array(adj), weighted=True)),
        "networkx": listed(wye.Edges.from_networkx(nx.path_graph(3))),
        "coalesced": listed(wye.Edges(INDEX, WEIGHT, coalesce=True)),
        "empty": listed(wye.Edges([[], []], num_nodes=3)),
        "drawn again": pairs[0] == pairs[1],
        "drawn": len(pairs[0]),
        "drawn edges": len(set(pairs[0]) & set(zip(*INDEX, strict=True))) + sum(i == j for i, j in pairs[0]),
    }


def refused() -> list[str]:
    x = ops.convert_to_tensor(X, "float32")
    graph = wye.Edges(INDEX, num_nodes=6)
    calls: list[Callable[[], Any]] = [
        lambda: wye.losses.edge_cosine_loss(x, ops.eye(6)),
        lambda: wye.losses.edge_cosine_loss(x[:3], graph),
        lambda: wye.losses.edge_cosine_loss(x, graph, negatives=wye.Edges([[0], [1]], num_nodes=2)),
        lambda: wye.Edges([[0, -1], [1, 2]]),
        lambda: wye.Edges([[0.0], [1.0]]),
        lambda: wye.Edges([[0, 1, 2]]),
        lambda: wye.Edges(INDEX, [1.0]),
        lambda: wye.losses.edge_cosine_loss(keras.Input((4,), batch_size=6), graph),
    ]
    found: list[str] = []
    for call in calls:
        try:
            call()
        except WyeError as error:
            whole = all((error.what, error.where, error.got, error.fix))
            found.append(f"{type(error).__name__}: {error.what if whole else error}")
    return found


def main() -> None:
    half = ops.convert_to_tensor(X, "float16")
    report = {
        "values": {text: values(text, None) for text in TEXTS},
        "weighted": {text: values(text, WEIGHT) for text in TEXTS},
        "empty": numbers(wye.losses.edge_cosine_loss(half, wye.Edges([[], []], num_nodes=6), reduction="mean")),
        "half": keras.backend.standardize_dtype(wye.losses.edge_cosine_loss(half, wye.Edges(INDEX, num_nodes=6)).dtype),
        "fitted": fitted(),
        "sources": sources(),
        "refused": refused(),
    }
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
