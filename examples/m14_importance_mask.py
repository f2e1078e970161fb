"""An importance mask: some places of a grid count more than others.

`mean((pred - label)² · mask)`, mask shaped like the grid, predictions with or without a batch dimension.

A network squeezes images of digits through four numbers and draws them again. With a mask it spends those numbers on
the middle of the image, where the digits differ, and less on the border.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import wye

FORMULA = "mean((pred[..., h, w] - label[..., h, w]) ** 2 * mask[h, w])"


def masked_error(mask: Tensor) -> wye.Objective:
    """The loss, with the mask as a part of it: a tensor that is saved with it and moves to its device."""
    return wye.Objective(FORMULA, mask=mask)


def middle(border: float = 0.05, size: int = 8) -> Tensor:
    """1 in the middle of the grid, `border` in the two outer rows and columns."""
    mask = torch.full((size, size), border)
    mask[2:-2, 2:-2] = 1.0
    return mask


def network(code: int = 4) -> nn.Module:
    """8×8 pixels, through a few numbers, and back."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 32),
        nn.ReLU(),
        nn.Linear(32, code),
        nn.Linear(code, 32),
        nn.ReLU(),
        nn.Linear(32, 64),
        nn.Unflatten(1, (8, 8)),
    )


def train(net: nn.Module, loss: wye.Objective, image: Tensor, steps: int) -> None:
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(steps):
        total, _ = loss(net(image), image)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()


def main() -> None:
    image = torch.tensor(load_digits().images, dtype=torch.float32) / 16
    inside = middle() == 1.0
    print("Mean squared error after 200 steps:")
    for name, mask in (("every pixel alike", torch.ones(8, 8)), ("the middle first", middle())):
        torch.manual_seed(0)
        net = network()
        train(net, masked_error(mask), image, steps=200)
        error = (net(image) - image).detach().square().mean(0)
        print(f"  {name:18} middle {float(error[inside].mean()):.4f}, border {float(error[~inside].mean()):.4f}")

    loss, pred = masked_error(middle()), image.roll(1, 0)
    batch, _ = loss(pred[:100], image[:100])
    alone = [loss(one, other)[0].item() for one, other in zip(pred[:100], image[:100], strict=True)]
    print(f"\n100 images as one batch: loss {float(batch):.4f}.")
    print(f"One image without a batch dimension: {alone[0]:.4f}; the mean of all 100: {sum(alone) / 100:.4f}.")

    print("\nA mask of another grid:")
    try:
        masked_error(torch.ones(8, 9))(pred, image)
    except wye.WyeError as error:
        print(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
