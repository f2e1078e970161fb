"""A layer under a condition, on Keras.

10→5 and relu, then 5→5 and relu only where `control > 0.5`, then →2; control one number for the batch, or one per
sample.

Patients with ten measurements each are sorted into two groups, by how fast their diabetes progresses. The middle
layer runs only for those whose control is above one half; the others pass it unchanged. The control may be a number,
a tensor without axes, (B,) or (B, 1). On TensorFlow and torch the layer is given exactly the patients that take it;
on JAX, which knows all shapes before it runs, it is given all of them, and what is not taken is masked.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from sklearn.datasets import load_diabetes

import wye.keras as wye


def network() -> wye.Chain:
    """10 -> 5 -> (5, where `control > 0.5`) -> 2."""
    return wye.Chain(
        first=keras.layers.Dense(5, activation="relu"),
        middle=wye.When("control > 0.5", keras.layers.Dense(5, activation="relu", bias_initializer="ones")),
        last=keras.layers.Dense(2),
    )


def compiled(net: wye.Chain, optimizer: Any) -> wye.Chain:
    """Ready to be fit on a dict of `x` and `control`, and the group of each patient."""
    net.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return net


def patients() -> tuple[Any, Any, Any]:
    """Measurements, the slow and the fast group, and the control: above one half where the body mass index is high."""
    data = load_diabetes()
    x = (data.data * len(data.data) ** 0.5).astype("float32")
    return x, (data.target > np.median(data.target)).astype("int32"), 1 / (1 + np.exp(-x[:, 2]))


def changed(net: wye.Chain, x: Any, control: Any) -> int:
    """How many patients the middle layer changes: all it is given, for before training it adds 1."""
    hidden = net.first(x)
    after = net.middle(hidden, control=control)
    return int(keras.ops.sum(keras.ops.any(after != hidden, axis=1)))


def main() -> None:
    keras.utils.set_random_seed(1)
    x, group, control = patients()
    net = compiled(network(), keras.optimizers.SGD(0.1))
    net(x, control=control)

    print(f"Of {len(x)} patients, {int((control > 0.5).sum())} have a control above one half. Changed by the middle:")
    forms: dict[str, Any] = {
        "control=0.2": 0.2,
        "control=0.9": 0.9,
        "control=tensor(0.9)": keras.ops.convert_to_tensor(0.9),
        "control of shape (B,)": keras.ops.convert_to_tensor(control),
        "control of shape (B, 1)": keras.ops.convert_to_tensor(control[:, None]),
    }
    for name, form in forms.items():
        print(f"  {name:24} {changed(net, x, form):4} patients")

    print("\nTraining by `fit`, control=0 for everybody, and then each patient with their own:")
    for name, form in (("control = 0", 0 * control), ("own controls", control)):
        before = net.middle.then.get_weights()
        net.fit({"x": x, "control": form}, group, batch_size=64, epochs=20, verbose=0)
        same = all((now == was).all() for now, was in zip(net.middle.then.get_weights(), before, strict=True))
        print(f"  {name:13} the middle layer's weights {'are the same to the bit' if same else 'moved'}")
    print(f"  right in the end: {net.evaluate({'x': x, 'control': control}, group, verbose=0)[1]:.0%}")

    print("\nA control with more than one element for each patient:")
    try:
        net(x, control=keras.ops.ones((len(x), 2)))
    except wye.WyeError as error:
        print(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
