"""Two losses joined by an operator, on Keras.

`loss1 op loss2`, op in + - * / and more, chosen when built or switched later; gradients right for each; an unknown
operator is a clear error.

One small network looks at handwritten digits. It names the digit (loss1, cross-entropy) and draws it again (loss2,
mean squared error). The objective owns the layers, and is what is compiled and fit; how the two losses are joined is
its formula, switched between fits while the optimizer keeps its state.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from sklearn.datasets import load_digits

import wye.keras as wye

OPERATORS = ("+", "-", "*", "/", "**", "max", "min", "mean")


def joined(operator: str) -> wye.Formula:
    """The formula `loss1 op loss2`; an operator that does not exist is an error here."""
    return wye.Formula("loss1 + loss2").swap("+", operator)


def two_losses(operator: str = "+", width: int = 32) -> wye.Objective:
    """The network and its two losses, joined by the operator chosen."""
    return wye.Objective(
        joined(operator),
        hidden="relu(see(image))",
        loss1="cross_entropy(classify(hidden), label)",
        loss2="mse(draw(hidden), image)",
        see=keras.layers.Dense(width),
        classify=keras.layers.Dense(10),
        draw=keras.layers.Dense(64),
    )


def slopes(formula: str | wye.Formula, loss1: float, loss2: float) -> tuple[float, float, float]:
    """The joined value and its two derivatives: a step of SGD at rate 1 moves each weight by minus its own."""
    weights = {"u": keras.Variable(loss1, name="u"), "v": keras.Variable(loss2, name="v")}
    loss = wye.Objective(formula, loss1="u * mean(one)", loss2="v * mean(one)", **weights)
    loss.compile(keras.optimizers.SGD(1.0), run_eagerly=True)  # one step: a graph would take longer to make
    value = float(loss.train_on_batch({"one": np.ones(1, "float32")}, return_dict=True)["loss"])
    first, second = (float(keras.ops.convert_to_numpy(one.value)) for one in weights.values())
    return value, loss1 - first, loss2 - second


def digits() -> dict[str, Any]:
    """Images of 64 pixels from 0 to 1, and the digits they show."""
    data = load_digits()
    return {"image": (data.data / 16).astype("float32"), "label": data.target}


def main() -> None:
    keras.utils.set_random_seed(0)

    print("With loss1 = 3 and loss2 = 2:")
    print(f"  {'formula':28}{'value':>8}{'d/dloss1':>10}{'d/dloss2':>10}")
    more = ["loss1 * (1 + loss2)", "log(loss1) + 0.5 * loss2"]
    for formula in [*map(joined, OPERATORS), *map(wye.Formula, more)]:
        value, first, second = slopes(formula, 3.0, 2.0)
        print(f"  {formula!s:28}{value:8.3f}{first:10.3f}{second:10.3f}")

    loss = two_losses("+")
    loss.compile(keras.optimizers.Adam(0.01))
    print("\nOne network and one Adam, fit while the operator is switched:")
    for operator in ("+", "*", "max"):
        loss.formula = joined(operator)
        seen = loss.fit(digits(), batch_size=180, epochs=4, verbose=0).history
        losses = ", ".join(f"{name} {seen[name][-1]:.3f}" for name in ("loss1", "loss2"))
        print(f"  {loss.formula!s:18} {losses}; Adam has counted {int(loss.optimizer.iterations)} steps")

    print("\nAn operator that does not exist is refused, and the old formula stays:")
    for attempt in ("loss1 plus loss2", "loss1 ^ loss2"):
        try:
            loss.formula = attempt
        except wye.WyeError as error:
            print(f"{type(error).__name__}: {error}")
    try:
        two_losses("plus")
    except wye.WyeError as error:
        print(f"{type(error).__name__}: {error}")
    print(f"The formula is still {loss.formula}.")


if __name__ == "__main__":
    main()
