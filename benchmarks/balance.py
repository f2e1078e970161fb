"""Eight terms balanced at shared features, beside their plain sum: a step without the optimizer."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import torch
from torch import Tensor, nn

import wye

from .table import Row, milliseconds
from .timing import Run, interleaved

TERMS, BATCH, WIDTH, LIMIT = 8, 256, 1024, 1.1


class Model(nn.Module):
    """Three wide layers that all share, and a small head for each term."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Linear(256, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU()]
        self.trunk = nn.Sequential(*layers, nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 512), nn.ReLU())
        self.heads = nn.ModuleList([nn.Linear(512, 10) for _ in range(TERMS)])


def rows() -> list[Row]:
    model = Model()
    x, labels = torch.randn(BATCH, 256), torch.randint(10, (TERMS, BATCH))
    names = [f"task{number}" for number in range(TERMS)]
    parts = {name: f"cross_entropy({name}_head(h), {name}_label)" for name in names}
    heads = {f"{name}_head": head for name, head in zip(names, model.heads, strict=True)}
    loss = wye.Objective(" + ".join(names), **parts, **heads)
    batch = {f"{name}_label": label for name, label in zip(names, labels, strict=True)}

    def plain() -> None:
        model.zero_grad()
        total, _ = loss.on(batch, h=model.trunk(x))
        total.backward()

    def balanced(balance: wye.Balance) -> Run:
        def run() -> None:
            model.zero_grad()
            h = model.trunk(x)
            total, _ = balance(loss.summands(batch, h=h), at=h)
            total.backward()

        return run

    runs: dict[str, Run] = {"plain": plain, "equal lengths": balanced(wye.Balance(equal))}
    limits: dict[str, float | None] = {"equal lengths": LIMIT}
    if find_spec("torchjd"):
        runs["MGDA of torchjd"] = balanced(wye.Balance("MGDA"))
        limits["MGDA of torchjd"] = LIMIT
        if find_spec("quadprog"):
            runs["UPGrad of torchjd"] = balanced(wye.Balance("UPGrad"))
            limits["UPGrad of torchjd"] = LIMIT
        autojac, aggregation = import_module("torchjd.autojac"), import_module("torchjd.aggregation")

        def jacobian() -> None:
            model.zero_grad()
            h = model.trunk(x)
            autojac.mtl_backward(list(loss.summands(batch, h=h).values()), h)
            autojac.jac_to_grad(list(model.trunk.parameters()), aggregation.MGDA())

        runs["torchjd's mtl_backward"], limits["torchjd's mtl_backward"] = jacobian, None
    samples = interleaved(runs, seconds=40.0)
    theirs = f"the sum {milliseconds(samples.median('plain'))}"
    return [
        Row(
            f"{TERMS} terms, {name}",
            samples.ratio(name, "plain"),
            limit,
            f"{milliseconds(samples.median(name))}; {theirs}",
        )
        for name, limit in limits.items()
    ]


def equal(gramian: Tensor) -> Tensor:
    """Gradients of one length."""
    return 1 / gramian.diagonal().sqrt()
