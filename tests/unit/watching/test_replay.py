"""A replay takes part in nothing, reads no more than its sample, and says where it cannot tell."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import (
    LBFGS,
    SGD,
    Adafactor,
    Adagrad,
    Adam,
    AdamW,
    Muon,
    SparseAdam,
)
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.unit.watching.movement_oracle import had, normal, same_bits, total, watched
from wye.watching.movement import Parts, Places, Snapshot
from wye.watching.replay import ALONE, replayable


def test_which_can_be_replayed() -> None:
    class Own(SGD):
        pass

    held = [normal(3, 3)]
    for kind in ALONE:
        assert replayable(kind(held))  # type: ignore[call-arg]
    for other in (LBFGS(held), SparseAdam(held), Adafactor(held), Muon(held), Own(held, lr=0.1)):
        assert not replayable(other)


@pytest.mark.parametrize("kind", [Adafactor, Muon])
def test_another_optimizer_is_told_by_its_movement_alone(kind: Any) -> None:
    held = [normal(20, 20)]
    held[0].grad = torch.ones(20, 20)
    before, parts = held[0].detach().double(), watched(kind(held, lr=0.1), held)[id(held[0])]
    assert parts.moved == pytest.approx(total(held[0].detach().double() - before), rel=1e-12)
    assert parts.changed
    assert parts.gradient is parts.momentum is parts.decay is None


def test_a_weight_of_another_optimizer_is_told_by_its_movement_alone() -> None:
    held = [normal(4), normal(5)]
    optimizer = SGD(held[:1], lr=0.1)
    held[0].grad = held[1].grad = None
    told = watched(optimizer, held)
    assert told[id(held[0])] == Parts(0, 0, 0, 0, 4, 4, False)
    assert told[id(held[1])] == Parts(0, None, None, None, 5, 5, False)


def test_no_hook_sees_a_replay() -> None:
    held, seen = [normal(300)], list[str]()
    optimizer = AdamW(held, lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    held[0].grad = torch.ones(300)
    handles = [
        register_optimizer_step_pre_hook(lambda *_: seen.append("before any")),
        register_optimizer_step_post_hook(lambda *_: seen.append("after any")),
        optimizer.register_step_pre_hook(lambda *_: seen.append("before")),
        optimizer.register_step_post_hook(lambda *_: seen.append("after")),
    ]
    try:
        for _ in range(2):
            seen.clear()
            snapshot = Snapshot(optimizer, held, Places(64))
            optimizer.step()
            called, opened = list(seen), optimizer._opt_called  # type: ignore[attr-defined]
            assert opened
            optimizer._opt_called = False  # type: ignore[attr-defined]  # the scheduler's patch sets it
            with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
                assert snapshot.parts(had)[id(held[0])].gradient
            assert seen == called == ["before any", "before", "after", "after any"]
            assert not optimizer._opt_called  # type: ignore[attr-defined]
            optimizer._opt_called = True  # type: ignore[attr-defined]
            names = {event.key for event in profile.key_averages()}
            assert "aten::take" in names
            assert not [name for name in names if "Optimizer" in name]
            scheduler.step()
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize("way", [{}, {"foreach": True}, {"fused": True}])
@pytest.mark.parametrize("kind", [SGD, Adam, Adagrad])
def test_run_and_generators_stay_as_they_are(kind: Any, way: dict[str, Any]) -> None:
    maker = torch.Generator().manual_seed(0)
    held = [normal(300), normal(7, 9, seed=1)]
    settings = {"lr": 0.1, "weight_decay": 0.1, **way, **({"momentum": 0.9} if kind is SGD else {})}
    optimizer = kind(held, **settings)
    twins = [nn.Parameter(weight.detach().clone()) for weight in held]
    other = kind(twins, **settings)
    torch.manual_seed(3)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # type: ignore[index]
    for _ in range(4):
        for weight, twin in zip(held, twins, strict=True):
            weight.grad = torch.randn(weight.shape, generator=maker)
            twin.grad = weight.grad.clone()
        groups = copy.deepcopy(
            [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
        )
        before = copy.deepcopy(optimizer.state_dict())
        snapshot = Snapshot(optimizer, held, Places(64))
        assert same_bits(before, optimizer.state_dict())
        optimizer.step()
        other.step()
        told = [snapshot.parts(had) for _ in range(2)]
        assert told[0] == told[1]
        assert same_bits(optimizer.state_dict(), other.state_dict())
        assert all(same_bits(*pair) and same_bits(pair[0].grad, pair[1].grad) for pair in zip(held, twins, strict=True))
        assert groups == [
            {key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups
        ]
        assert vars(optimizer).keys() == vars(other).keys()
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert np.array_equal(states[2], np.random.get_state()[1])  # type: ignore[index]


class Reading(TorchDispatchMode):
    """How many elements operations work on; `take` works on as many as it gives, and a view on none."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.take.default:
            self.elements += result.numel()
        elif not func.is_view:
            leaves = tree_leaves((args, kwargs, result))
            self.elements += max((leaf.numel() for leaf in leaves if isinstance(leaf, Tensor)), default=0)
        return result


def test_a_large_tensor_costs_what_its_sample_costs() -> None:
    costs: list[int] = []
    for size in (1000, 1_000_000):
        held = [normal(size), normal(8, size // 8).mT.detach().requires_grad_()]  # type: ignore[list-item]
        optimizer = AdamW(held, lr=0.1)
        for weight in held:
            weight.grad = torch.ones_like(weight)
        optimizer.step()
        with Reading() as before:
            snapshot = Snapshot(optimizer, held, Places(100))
        optimizer.step()
        with Reading() as after:
            snapshot.parts(had)
        costs.append(before.elements + after.elements)
    assert costs[0] == costs[1] > 0


def test_what_has_no_elements_to_read_is_passed_over() -> None:
    lazy, meta = nn.UninitializedParameter(), nn.Parameter(torch.zeros(3, device="meta"))
    held = [normal(3)]
    optimizer = SGD(held, lr=0.1)
    snapshot = Snapshot(optimizer, [lazy, meta, *held], Places(2))
    assert list(snapshot.weights) == [id(held[0])]
