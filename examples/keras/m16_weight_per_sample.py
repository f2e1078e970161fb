"""A weight for each sample of a batch, on Keras.

`mean((pred - label)² · w[:, None])`; a weight vector of another batch size is an error; a dataset-sized vector looked
up by sample ids.

Of 442 patients a third have labels that were mixed up. Whoever knows which ones can let them count less. The weights
come with each batch, or a `Table` holds those of the whole dataset and `fit` is given ids. Naming the axes, `w[b]`,
says which one the weight belongs to; a shape that only seems to fit cannot slip through.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from sklearn.datasets import load_diabetes

import wye.keras as wye

FORMULA = "mean((pred[b, k] - label[b, k]) ** 2 * w[b])"


def weighted_error(net: keras.Layer) -> wye.Objective:
    """The network and its loss; the weights come with each batch."""
    return wye.Objective(FORMULA, pred="net(x)", net=net)


def weighted_by_id(net: keras.Layer, w: Any) -> wye.Objective:
    """The same, the weights of all samples held here and picked by the ids in the batch."""
    return wye.Objective(FORMULA, pred="net(x)", net=net, w=wye.Table(keras.ops.convert_to_tensor(w), by="id"))


def patients() -> tuple[Any, Any, Any, Any]:
    """Measurements, true labels, labels of which a third are mixed up, and weights that say which ones are good."""
    data = load_diabetes()
    x, y = data.data * len(data.data) ** 0.5, data.target[:, None]
    y = (y - y.mean()) / y.std()
    bad = np.random.default_rng(0).permutation(len(x))[: len(x) // 3]
    mixed, w = y.copy(), np.ones(len(x))
    mixed[bad], w[bad] = np.roll(y[bad], 1, axis=0), 0.05
    return tuple(values.astype("float32") for values in (x, y, mixed, w))


def main() -> None:
    x, true, mixed, w = patients()
    fit, new = slice(0, 342), slice(342, None)
    ids = np.arange(len(x))
    settings: dict[str, Any] = {
        "all weights 1": (weighted_error, {"w": np.ones_like(w)[fit]}),
        "weights with the batch": (weighted_error, {"w": w[fit]}),
        "weights by sample id": (lambda net: weighted_by_id(net, w), {"id": ids[fit]}),
    }
    print("A third of the labels is mixed up. Mean squared error on the true labels of new patients:")
    for name, (make, more) in settings.items():
        keras.utils.set_random_seed(1)
        net = keras.layers.Dense(1)
        loss = make(net)
        loss.compile(keras.optimizers.Adam(0.02))
        loss.fit({"x": x[fit], "label": mixed[fit], **more}, batch_size=64, epochs=40, verbose=0)
        print(f"  {name:24} {np.square(keras.ops.convert_to_numpy(net(x[new])) - true[new]).mean():.3f}")

    print("\nErrors, in place of a wrong number:")
    net = keras.layers.Dense(1)
    ones = keras.ops.ones
    attempts = {
        "weights of another batch size": lambda: weighted_error(net)(x=x[:3], label=true[:3], w=ones(4)),
        "labels without their second axis": lambda: weighted_error(net)(x=x[:3], label=true[:3, 0], w=ones(3)),
        "an id that no sample has": lambda: weighted_by_id(net, w)(x=x[:3], label=true[:3], id=np.array([0, 1, 442])),
    }
    for name, attempt in attempts.items():
        try:
            attempt()
        except wye.WyeError as error:
            print(f"- {name}\n{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
