"""Early-learning regularisation: targets that are a moving average as large as the dataset.

A network learns what is true before it learns what is wrong: where 40 % of the labels are wrong, it is best after a few
epochs, and memorises the wrong ones later. Liu et al. 2020 keep for each sample the moving average t of what the
network said, and add

    lambda * mean_b log(1 - <p_b, t_b>),        t_b <- 0.7 t_b + 0.3 p_b

to the cross-entropy, which keeps p near to what it was early on. t is a `Table` with an update: its name in the formula
is the targets of the batch, and after each call in training these entries alone are written.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import wye

NOISE, TRAIN, EPOCHS, BATCH = 0.4, 1200, 60, 64


def plain() -> wye.Objective:
    """Cross-entropy."""
    return wye.Objective("cross_entropy(logits, label)")


def early_learning(samples: int, weight: float = 3.0, momentum: float = 0.7) -> wye.Objective:
    """Cross-entropy and the regulariser; the probabilities are kept off 0 and 1, as in the paper."""
    return wye.Objective(
        "ce + weight * mean(log(1 - dot(p, t)))",
        ce="cross_entropy(logits, label)",
        p="clamp(softmax(logits), 0.0001, 0.9999)",
        t=wye.Table(torch.zeros(samples, 10), by="id", update="momentum * t + (1 - momentum) * p"),
        weight=weight,
        momentum=momentum,
    )


def digits(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images with labels of which 40 % are wrong, for training; and further ones with their true labels."""
    generator = torch.Generator().manual_seed(seed)
    data = load_digits()
    order = torch.randperm(len(data.target), generator=generator)
    x, label = torch.tensor(data.data, dtype=torch.float32)[order] / 16, torch.tensor(data.target)[order]
    noisy = label[:TRAIN].clone()
    wrong = torch.rand(TRAIN, generator=generator) < NOISE
    noisy[wrong] = (noisy[wrong] + torch.randint(1, 10, (int(wrong.sum()),), generator=generator)) % 10
    return x[:TRAIN], noisy, x[TRAIN:], label[TRAIN:]


def train(loss: wye.Objective, x: Tensor, label: Tensor, seed: int, epochs: int = EPOCHS) -> nn.Module:
    """A network with one hidden layer."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(BATCH):
            total, _ = loss.on({"logits": net(x[rows]), "label": label[rows], "id": rows})
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
    return net


def accuracy(net: nn.Module, x: Tensor, label: Tensor) -> float:
    with torch.no_grad():
        return float((net(x).argmax(1) == label).float().mean())


def main() -> None:
    torch.set_num_threads(1)
    x, noisy, new, true = digits(0)
    print("40 % of the labels are wrong. Accuracy on new digits:")
    loss = early_learning(len(x))
    for name, one in {"cross-entropy": plain(), "early learning": loss}.items():
        print(f"  {name:16} {accuracy(train(one, x, noisy, seed=0), new, true):.3f}")
    told = loss.t.sum(1)
    written = int((told > 0).sum())
    print(f"Targets of {written} samples were written, each {EPOCHS} times; they add up to {told.mean():.3f}.")


if __name__ == "__main__":
    main()
