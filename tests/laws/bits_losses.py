"""Scenes of the examples about losses: the network, the loss of a step, what an evaluation looks at, the objective."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import wye
from examples import (
    balance_of_terms,
    elr_noisy_labels,
    m15_graph_distance,
    m17_contrastive_pair,
    m18_pair_margin,
    m19_pair_weighted_by_label,
    m20_two_towers,
    m23_what_the_file_holds,
)

Parts = tuple[nn.Module, Callable[[int], Tensor], Callable[[], Any], nn.Module | None]


def images(count: int = 48) -> tuple[Tensor, Tensor]:
    data = load_digits()
    return torch.tensor(data.data[:count] / 16, dtype=torch.float32), torch.tensor(data.target[:count])


def owning(loss: wye.Objective, data: dict[str, Tensor]) -> Parts:
    """An objective that owns its networks."""
    given = {name: data[name] for name in loss.inputs}
    return loss, lambda _: loss(**given)[0], lambda: loss(**given), None


def graph() -> Parts:
    loss = m15_graph_distance.objective()
    return owning(loss, {"known": torch.tensor([0, 33]), "label": torch.tensor([0, 1])})


def towers() -> Parts:
    data = m20_two_towers.glyphs(every=400)
    return owning(m20_two_towers.two_towers("label"), {name: one.contiguous() for name, one in data.items()})


def file() -> Parts:
    (image, label), net = images(), m23_what_the_file_holds.distinct()
    return net, lambda _: nn.functional.nll_loss(net(image), label), lambda: net(image), None


def early_learning() -> Parts:
    image, label = images()
    net, loss = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)), elr_noisy_labels.early_learning(48)
    given = {"label": label, "id": torch.arange(48)}
    return net, lambda _: loss(logits=net(image), **given)[0], lambda: net(image), loss


def balanced() -> Parts:
    image, label, *_ = balance_of_terms.digits()
    image, label = image[:48] / 16, label[:48]
    net, loss = balance_of_terms.trunk(), balance_of_terms.objective()
    balance = wye.Balance(balance_of_terms.equal_lengths)

    def total(_: int) -> Tensor:
        h = net(image)
        return 0.02 * balance(loss.summands(h=h, image=image, label=label), at=h)[0]  # the steps here are large

    return nn.ModuleList([net, loss]), total, lambda: net(image), None


SCENES: dict[str, Callable[[], Parts]] = {
    "m15_graph_distance": graph,
    "m17_contrastive_pair": lambda: owning(m17_contrastive_pair.two_networks(), m17_contrastive_pair.pairs()),
    "m18_pair_margin": lambda: owning(m18_pair_margin.two_networks(), m18_pair_margin.patients()),
    "m19_pair_weighted_by_label": lambda: owning(
        m19_pair_weighted_by_label.two_networks(), m19_pair_weighted_by_label.halves()
    ),
    "m20_two_towers": towers,
    "m23_what_the_file_holds": file,
    "elr_noisy_labels": early_learning,
    "balance_of_terms": balanced,
}
