"""A weight for each sample of a batch.

`mean((pred - label)² · w[:, None])`; a weight vector of another batch size is an error; a dataset-sized vector looked
up by sample ids.

Of 442 patients a third have labels that were mixed up. Whoever knows which ones can let them count less. The weights
come with each batch, or a `Table` holds those of the whole dataset. Naming the axes, `w[b]`, says which one the weight
belongs to; a shape that only seems to fit cannot slip through.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_diabetes
from torch import Tensor, nn

import wye


def weighted_error() -> wye.Objective:
    """The loss; the weights come with each batch."""
    return wye.Objective("mean((pred[b, k] - label[b, k]) ** 2 * w[b])")


def weighted_by_id(w: Tensor) -> wye.Objective:
    """The same formula, the weights of all samples held here and picked by the ids in the batch."""
    return wye.Objective("mean((pred[b, k] - label[b, k]) ** 2 * w[b])", w=wye.Table(w, by="id"))


def patients() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Measurements, true labels, labels of which a third are mixed up, and weights that say which ones are good."""
    data = load_diabetes()
    x, y = (torch.tensor(values, dtype=torch.float32) for values in (data.data, data.target[:, None]))
    x, y = x * len(x) ** 0.5, (y - y.mean()) / y.std()
    bad = torch.randperm(len(x))[: len(x) // 3]
    mixed, w = y.clone(), torch.ones(len(x))
    mixed[bad], w[bad] = y[bad].roll(1, 0), 0.05
    return x, y, mixed, w


def train(loss: wye.Objective, x: Tensor, label: Tensor, steps: int, **more: Tensor) -> nn.Module:
    """A linear model, trained on batches of 64; `more` is given to the loss row by row."""
    net = nn.Linear(x.shape[1], label.shape[1])
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(steps):
        batch = torch.randperm(len(x))[:64]
        rows = {name: value[batch] for name, value in more.items()}
        total, _ = loss(pred=net(x[batch]), label=label[batch], **rows)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    return net


def main() -> None:
    torch.manual_seed(0)
    x, true, mixed, w = patients()
    fit, new = slice(0, 342), slice(342, None)
    ids = torch.arange(len(x))
    settings = {
        "all weights 1": (weighted_error(), {"w": torch.ones(len(x))[fit]}),
        "weights with the batch": (weighted_error(), {"w": w[fit]}),
        "weights by sample id": (weighted_by_id(w), {"id": ids[fit]}),
    }
    print("A third of the labels is mixed up. Mean squared error on the true labels of new patients:")
    for name, (loss, more) in settings.items():
        torch.manual_seed(1)
        net = train(loss, x[fit], mixed[fit], steps=400, **more)
        print(f"  {name:24} {nn.functional.mse_loss(net(x[new]), true[new]).item():.3f}")

    print("\nErrors, in place of a wrong number:")
    loss, pred, label = weighted_error(), torch.zeros(3, 1), torch.zeros(3, 1)
    attempts = {
        "weights of another batch size": lambda: loss(pred, label, torch.ones(4)),
        "labels without their second axis": lambda: loss(pred, label[:, 0], torch.ones(3)),
        "an id that no sample has": lambda: weighted_by_id(w)(pred, label, torch.tensor([0, 1, 442])),
    }
    for name, attempt in attempts.items():
        try:
            attempt()
        except wye.WyeError as error:
            print(f"- {name}\n{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
