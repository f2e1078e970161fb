"""Every kind of group, shape, dtype and step is split as copies of the optimizer say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    AdamW,
    NAdam,
    RMSprop,
)

from tests.unit.watching.movement_oracle import check, had, normal, split, stations, total, watched
from wye.watching.movement import Parts, Places, Snapshot


def test_groups_keep_their_settings() -> None:
    held = [normal(30, seed=seed) for seed in range(4)]
    optimizer = AdamW(
        [
            {"params": held[:1], "lr": 0.1, "weight_decay": 0.0},
            {"params": held[1:3], "lr": torch.tensor(0.02), "weight_decay": 0.5},
            {"params": held[3:], "lr": 0.3, "amsgrad": True, "betas": (0.5, 0.6)},
        ]
    )
    for step in range(4):
        for place, weight in enumerate(held):
            weight.grad = None if place == step else torch.ones(30) * (step + place - 2)
        optimizer.param_groups[0]["lr"] *= 0.5
        check(optimizer, held)


def test_a_weight_held_twice_is_stepped_twice() -> None:
    held = [normal(30)]
    with pytest.warns(UserWarning, match="duplicate"):
        optimizer = SGD([held[0], held[0]], lr=0.1, momentum=0.9, weight_decay=0.1)
    for _ in range(3):
        held[0].grad = torch.ones(30)
        check(optimizer, held)


@pytest.mark.parametrize("kind", [SGD, Adam, RMSprop, Adagrad, Adadelta, NAdam])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.complex64])
def test_every_shape_and_layout(kind: Any, dtype: torch.dtype) -> None:
    image = normal(4, 3, 5, 5, seed=1, dtype=dtype).detach().to(memory_format=torch.channels_last)
    shapes = [
        normal(dtype=dtype).detach(),
        normal(1, dtype=dtype).detach(),
        normal(0, dtype=dtype).detach(),
        image,
        normal(9, 7, dtype=dtype).detach().mT,
    ]
    if dtype != torch.bfloat16:  # its copy has no gaps, and rounds otherwise
        shapes.append(normal(6, 50, dtype=dtype).detach()[:, ::2])
    held = [nn.Parameter(shape) for shape in shapes]
    assert not held[3].is_contiguous()
    assert not held[4].is_contiguous()
    optimizer = kind(held, lr=0.1, weight_decay=0.1, **({"momentum": 0.9} if kind is SGD else {}))
    for step in range(3):
        for weight in held:
            weight.grad = torch.full_like(weight, step - 1.0)
        check(optimizer, held)
        if dtype != torch.bfloat16:
            check(optimizer, held, Places(11, seed=step))


def test_dtypes_side_by_side() -> None:
    dtypes = [torch.float32, torch.complex64, torch.float64, torch.float32, torch.complex128, torch.bfloat16]
    held = [normal(30, seed=seed, dtype=dtype) for seed, dtype in enumerate(dtypes)]
    optimizer = Adam(held, lr=0.1, weight_decay=0.1)
    for _ in range(3):
        for weight in held:
            weight.grad = torch.ones_like(weight)
        check(optimizer, held)


@pytest.mark.parametrize("way", [{"differentiable": True}, {"capturable": False, "foreach": False}])
def test_other_ways_to_step(way: dict[str, Any]) -> None:
    held = [normal(30)]
    optimizer = Adam(held, lr=0.1, weight_decay=0.1, **way)
    for _ in range(3):
        held[0].grad = torch.ones(30)
        with torch.no_grad():
            held[0].requires_grad_(not way.get("differentiable"))
            check(optimizer, held)


def test_gradients_that_come_in_a_closure() -> None:
    held, twins = [normal(30)], [normal(30)]
    optimizer, other = SGD(held, lr=0.1, momentum=0.9), SGD(twins, lr=0.1, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        twins[0].grad = 2 * twins[0].detach()
        expected = stations(twins, other, [True])[0]
        other.step()

        def closure() -> Tensor:
            loss = held[0].square().sum()
            loss.backward()
            return loss

        snapshot = Snapshot(optimizer, held, Places(None))
        optimizer.step(closure)
        parts = snapshot.parts(had)[id(held[0])]
        for name, values in split(*expected, twins[0].detach()).items():
            assert getattr(parts, name) == pytest.approx(total(values), rel=1e-6), name


@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")  # torch's own Adagrad calls for it
@pytest.mark.parametrize("kind", [SGD, Adagrad])
def test_a_sparse_gradient_is_not_split(kind: Any) -> None:
    held = [normal(6, 2), normal(5)]
    optimizer = kind(held, lr=0.1, **({"momentum": 0.9} if kind is SGD else {}))
    for elements in (None, 4, 4):
        held[0].grad = torch.eye(6, 2).to_sparse()
        held[1].grad = torch.ones(5)
        before = held[0].detach().double()
        told = watched(optimizer, held)
        assert told[id(held[0])].moved == pytest.approx(total(held[0].detach().double() - before), rel=1e-12)
        assert told[id(held[0])].gradient is None
        assert told[id(held[1])].gradient
        assert watched(optimizer, held, elements)[id(held[0])].gradient is None
    held[0].grad = None  # SGD keeps a momentum that is sparse
    assert (watched(optimizer, held, 4)[id(held[0])].gradient is None) == (kind is SGD)


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW, Adagrad])
def test_amp_that_skips_a_step_moves_nothing(kind: Any) -> None:
    held = [normal(300)]
    optimizer = kind(held, lr=0.1, fused=True, weight_decay=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    told: list[Parts] = []
    snapshots: list[Snapshot] = []
    optimizer.register_step_pre_hook(lambda *_: snapshots.append(Snapshot(optimizer, held, Places(None))))
    optimizer.register_step_post_hook(lambda *_: told.append(snapshots[-1].parts(had)[id(held[0])]))
    for factor in (1.0, float("inf"), 0.0, 1.0):
        held[0].grad = None
        scaler.scale(held[0].sum() * factor).backward()
        scaler.step(optimizer)
        scaler.update()
    first, skipped, zero, last = told
    assert skipped == Parts(0, 0, 0, 0, 300, 300, False)
    assert first.gradient
    assert last.gradient
    assert zero.gradient == 0 < zero.moved
    # A scale of 4 would have moved SGD four times as far.
    assert first.gradient == pytest.approx(30, rel=1e-4) or kind is not SGD


@pytest.mark.parametrize("kind", [Adam, RMSprop, Adagrad])
def test_nothing_by_nothing_is_no_movement(kind: Any) -> None:
    held = [normal(300)]
    optimizer = kind(held, lr=0.1, eps=0.0)
    held[0].grad = torch.ones(300)
    parts = watched(optimizer, held)[id(held[0])]
    assert parts.momentum == parts.decay == 0
    assert parts.gradient == pytest.approx(parts.moved, rel=1e-12)
    assert np.isfinite(parts.moved)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_why_a_fused_sgd_in_half_precision_is_not_split(dtype: torch.dtype) -> None:
    """Torch 2.13 leaves whole vectors where they are; when this fails it was mended, and replays may come back."""
    held = [nn.Parameter(torch.zeros(40, dtype=dtype))]
    held[0].grad = torch.ones(40, dtype=dtype)
    parts = watched(SGD(held, lr=1.0, fused=True), held)[id(held[0])]
    assert parts == Parts(float((held[0] != 0).sum()), None, None, None, 40, 40, True)
    assert parts.moved < 40
