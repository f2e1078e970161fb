"""An importance mask, on Keras: some places of a grid count more than others.

`mean((pred - label)² · mask)`, mask shaped like the grid, predictions with or without a batch dimension.

A network squeezes images of digits through four numbers and draws them again. With a mask it spends those numbers on
the middle of the image, where the digits differ, and less on the border. `over` makes of an ordinary model one whose
loss is the objective: its outputs and the batch go to the formula by name.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from sklearn.datasets import load_digits

import wye.keras as wye

FORMULA = "mean((pred[..., h, w] - label[..., h, w]) ** 2 * mask[h, w])"


def masked_error(mask: Any) -> wye.Objective:
    """The loss, with the mask as a part of it: a tensor that is saved with it."""
    return wye.Objective(FORMULA, mask=keras.ops.convert_to_tensor(mask))


def middle(border: float = 0.05, size: int = 8) -> Any:
    """1 in the middle of the grid, `border` in the two outer rows and columns."""
    mask = np.full((size, size), border, "float32")
    mask[2:-2, 2:-2] = 1.0
    return mask


def network(code: int = 4) -> keras.Model:
    """8×8 pixels, through a few numbers, and back; the output is called `pred`."""
    image = keras.Input((8, 8))
    x = keras.layers.Flatten()(image)
    for width, active in ((32, "relu"), (code, None), (32, "relu"), (64, None)):
        x = keras.layers.Dense(width, activation=active)(x)
    return keras.Model(image, {"pred": keras.layers.Reshape((8, 8))(x)})


def trained(mask: Any, image: Any, epochs: int) -> keras.Model:
    net = network()
    model = masked_error(mask).over(net)
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(image, {"label": image}, batch_size=180, epochs=epochs, verbose=0)
    return net


def main() -> None:
    image = (load_digits().images / 16).astype("float32")
    inside = middle() == 1.0
    print("Mean squared error after 20 epochs:")
    for name, mask in (("every pixel alike", np.ones((8, 8), "float32")), ("the middle first", middle())):
        keras.utils.set_random_seed(0)
        net = trained(mask, image, epochs=20)
        error = np.square(keras.ops.convert_to_numpy(net(image)["pred"]) - image).mean(0)
        print(f"  {name:18} middle {error[inside].mean():.4f}, border {error[~inside].mean():.4f}")

    loss, pred = masked_error(middle()), keras.ops.convert_to_tensor(np.roll(image, 1, axis=0))
    label = keras.ops.convert_to_tensor(image)
    batch, _ = loss(pred[:100], label[:100])
    alone = [float(loss(pred[place], label[place])[0]) for place in range(100)]
    print(f"\n100 images as one batch: loss {float(batch):.4f}.")
    print(f"One image without a batch dimension: {alone[0]:.4f}; the mean of all 100: {sum(alone) / 100:.4f}.")

    print("\nA mask of another grid:")
    try:
        masked_error(np.ones((8, 9), "float32"))(pred, label)
    except wye.WyeError as error:
        print(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
