"""Many terms of a loss, balanced where they meet.

One narrow trunk reads images of digits; three heads tell the digit, whether it is odd, and draw the image again. The
drawing is scored by the squares of all pixels, so its term is the largest by far, and in a plain sum the trunk learns
mostly for it. `Balance` takes the gradient of each term at the features, where the heads part, and weighs them: by a
function of their Gramian, or by an aggregator of torchjd if it is installed. The heads learn as before.
"""

from __future__ import annotations

from importlib.util import find_spec

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import wye

TERMS = {
    "digit": "cross_entropy(tell(h), label)",
    "parity": "cross_entropy(odd(h), label % 2)",
    "drawing": "mean(sum((draw(h)[b, p] - image[b, p]) ** 2, p))",
}
WIDTH = 8


def objective() -> wye.Objective:
    """The sum of three terms; the heads are parts of it, and the trunk stays outside."""
    heads = {"tell": nn.Linear(WIDTH, 10), "odd": nn.Linear(WIDTH, 2), "draw": nn.Linear(WIDTH, 64)}
    return wye.Objective("digit + parity + drawing", **TERMS, **heads)


def trunk() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, WIDTH))


def equal_lengths(gramian: Tensor) -> Tensor:
    """Each gradient at the length of their mean: the diagonal of the Gramian holds the squares of the lengths."""
    lengths = gramian.diagonal().sqrt().clamp(min=1e-12)
    return lengths.mean() / lengths


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images (N, 64) from 0 to 16 and labels (N,) to learn from, and held out."""
    data = load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
    image = torch.tensor(data.data, dtype=torch.float32)[order]
    label = torch.tensor(data.target)[order]
    return image[360:], label[360:], image[:360], label[:360]


Told = tuple[dict[str, float], dict[str, float]]


def train(net: nn.Module, loss: wye.Objective, balance: wye.Balance, image: Tensor, label: Tensor, epochs: int) -> Told:
    """The terms and their weights, each a mean over the last epoch."""
    optimizer = torch.optim.Adam([*net.parameters(), *loss.parameters()], lr=3e-3)
    sums: list[dict[str, Tensor]] = []
    for _ in range(epochs):
        sums = [dict.fromkeys(TERMS, torch.zeros(())), dict.fromkeys(TERMS, torch.zeros(()))]
        batches = torch.randperm(len(label)).split(64)
        for rows in batches:
            h = net(image[rows] / 16)
            terms = loss.summands(h=h, image=image[rows], label=label[rows])
            total, weights = balance(terms, at=h)
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            for found, one in zip(sums, (terms, weights), strict=True):
                found.update({name: found[name] + one[name].detach() / len(batches) for name in TERMS})
    terms, weights = ({name: float(one) for name, one in found.items()} for found in sums)
    return terms, weights


@torch.no_grad()
def right(net: nn.Module, loss: wye.Objective, image: Tensor, label: Tensor) -> float:
    """The share of new digits that are told right."""
    return float((loss.tell(net(image / 16)).argmax(1) == label).float().mean())


def main(epochs: int = 20) -> dict[str, tuple[float, Told]]:
    torch.set_num_threads(1)  # the layers are small: one thread is as fast as two
    image, label, new_image, new_label = digits()
    balances = {"plain sum": wye.Balance("sum"), "equal lengths": wye.Balance(equal_lengths)}
    if find_spec("torchjd"):
        balances["IMTLG"] = wye.Balance("IMTLG")
    found: dict[str, tuple[float, Told]] = {}
    print(f"{'':14} {'':7} " + " ".join(f"{name:>8}" for name in TERMS))
    for name, balance in balances.items():
        torch.manual_seed(0)
        net, loss = trunk(), objective()
        terms, weights = train(net, loss, balance, image, label, epochs)
        found[name] = right(net, loss, new_image, new_label), (terms, weights)
        for what, values in (("terms", terms), ("weights", weights)):
            print(f"{name:14} {what:7} " + " ".join(f"{value:8.3f}" for value in values.values()))
        print(f"{'':14} {found[name][0]:.1%} of {len(new_label)} new digits right")
    if "IMTLG" not in found:
        print('For the aggregators of torchjd: pip install "wye[balance]"')
    return found


if __name__ == "__main__":
    main()
