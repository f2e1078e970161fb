"""A loss of pairs with a margin on both sides.

With s = Σ image·text along the features, one value per pair, and `label` 1 for pairs that belong together: the mean of
`max(0, m - s)` where label is 1, else `max(0, s + m)`, m = 0.2.

`pair_margin` is a function of formulas, and `wye.losses.pair_margin` one of Python. A pair that is on its side of the
margin costs nothing, and moves no weight. Here two layers see two sets of ten measurements of tumours, the mean ones
and the worst ones, and learn which sets are of one patient.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_breast_cancer
from torch import Tensor, nn

import wye


def two_networks(features: int = 16, margin: float = 0.2) -> wye.Objective:
    """Both layers, and the loss of their pairs."""
    return wye.Objective(
        f"pair_margin(unit(see(mean_of)), unit(read(worst_of)), label, margin={margin})",
        see=nn.Linear(10, features),
        read=nn.Linear(10, features),
    )


def patients() -> dict[str, Tensor]:
    """The two sets of one patient, label 1, and those of two patients, label 0; standardised."""
    data = torch.tensor(load_breast_cancer().data, dtype=torch.float32)
    data = (data - data.mean(0)) / data.std(0)
    first, worst = data[:, :10], data[:, 20:]
    return {
        "mean_of": torch.cat([first, first]),
        "worst_of": torch.cat([worst, worst.roll(5, 0)]),
        "label": torch.tensor([1, 0]).repeat_interleave(len(data)),
    }


def train(loss: wye.Objective, pairs: dict[str, Tensor], steps: int) -> None:
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.01)
    for _ in range(steps):
        rows = torch.randint(0, len(pairs["label"]), (64,))
        total, _ = loss(**{name: value[rows] for name, value in pairs.items()})
        optimizer.zero_grad()
        total.backward()
        optimizer.step()


def done(loss: wye.Objective, pairs: dict[str, Tensor]) -> float:
    """The share of pairs that are on their side of the margin: their loss is zero."""
    a, c = loss.see(pairs["mean_of"]), loss.read(pairs["worst_of"])
    each = wye.evaluate("pair_margin(unit(a), unit(c), label, reduction='none')", a=a, c=c, label=pairs["label"])
    return (each == 0).float().mean().item()


def main() -> None:
    print("The loss of one pair, by s and label:")
    for s in (-0.5, -0.2, 0.0, 0.2, 0.5):
        image, text = torch.tensor([[2.0, 1.0]]), torch.tensor([[s / 2, 0.0]])
        losses = [wye.losses.pair_margin(image, text, torch.tensor([label])).item() for label in (1, 0)]
        print(f"  s = {s:4}: {losses[0]:.2f} for label 1, {losses[1]:.2f} for label 0")

    torch.manual_seed(0)
    loss, pairs = two_networks(), patients()
    print("\nTwo layers trained together:")
    for name, steps in (("before", 0), ("after 300 steps", 300)):
        train(loss, pairs, steps)
        total = loss(**pairs)[0].item()
        print(f"  {name:15} loss {total:.3f}, {done(loss, pairs):4.0%} of the pairs are done with")


if __name__ == "__main__":
    main()
