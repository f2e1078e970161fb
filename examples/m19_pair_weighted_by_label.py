"""A loss of pairs, weighted by their label.

The contrastive loss of pairs (see m17) times 0.3 (text) where label is 1, else 0.7 (image).

`label_weights=(0.7, 0.3)` are the weights of labels 0 and 1, in formulas and in `wye.losses.pair` alike. Here two
layers see the upper and the lower half of digits and learn whether the halves are of one image. Seven of ten pairs
are; with the weights both labels count alike, without them pairs that do not belong together are hardly held apart.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import wye

LABEL_WEIGHTS = (0.7, 0.3)


def two_networks(label_weights: tuple[float, float] | None = LABEL_WEIGHTS, features: int = 16) -> wye.Objective:
    """Both layers, and the loss of their pairs with these weights for labels 0 and 1."""
    options = "" if label_weights is None else f", label_weights={label_weights}"
    layers = {"see": nn.Linear(32, features), "read": nn.Linear(32, features)}
    return wye.Objective(f"pair(unit(see(upper)), unit(read(lower)), label{options})", **layers)


def halves() -> dict[str, Tensor]:
    """Upper halves, twice; seven of ten beside their own lower half, label 1, the others beside another's, label 0."""
    image = torch.tensor(load_digits().images, dtype=torch.float32).flatten(1).repeat(2, 1) / 16
    label = (torch.arange(len(image)) % 10 < 7).long()
    lower = torch.where(label[:, None] == 1, image[:, 32:], image[:, 32:].roll(7, 0))
    return {"upper": image[:, :32], "lower": lower, "label": label}


def train(loss: wye.Objective, pairs: dict[str, Tensor], steps: int) -> None:
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.01)
    for _ in range(steps):
        rows = torch.randint(0, len(pairs["label"]), (128,))
        total, _ = loss(**{name: value[rows] for name, value in pairs.items()})
        optimizer.zero_grad()
        total.backward()
        optimizer.step()


def cosines(loss: wye.Objective, pairs: dict[str, Tensor]) -> tuple[float, float]:
    """The mean cosine of pairs with label 1, and with label 0."""
    s = wye.evaluate("cosine(upper, lower)", upper=loss.see(pairs["upper"]), lower=loss.read(pairs["lower"]))
    return s[pairs["label"] == 1].mean().item(), s[pairs["label"] == 0].mean().item()


def main() -> None:
    image, text = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[0.5, 1.0], [0.5, 1.0]])
    label = torch.tensor([1, 0])
    print("Two pairs with s = 0.5, labels 1 and 0:")
    for weights in (None, LABEL_WEIGHTS):
        each = wye.losses.pair(image, text, label, label_weights=weights, reduction="none")
        print(f"  label_weights={weights!s:10} {', '.join(f'{value:.2f}' for value in each.tolist())}")

    pairs = halves()
    print("\nTwo layers trained together for 300 steps; the mean cosine of halves of one image, and of others:")
    for weights in (None, LABEL_WEIGHTS):
        torch.manual_seed(0)
        loss = two_networks(weights)
        train(loss, pairs, steps=300)
        own, other = cosines(loss, pairs)
        print(f"  label_weights={weights!s:10} {own:.2f}, {other:.2f}")


if __name__ == "__main__":
    main()
