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
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    AdamW,
    Muon,
    NAdam,
    Optimizer,
    RMSprop,
    SparseAdam,
)
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.unit.watching.movement_oracle import same_bits, split, stations, total
from wye.watching.movement import Parts, Places, Snapshot
from wye.watching.replay import ALONE, replayable


def had(weight: nn.Parameter) -> bool:
    return weight.grad is not None


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype))


def watched(optimizer: Optimizer, held: list[nn.Parameter], elements: int | None = None) -> dict[int, Parts]:
    snapshot = Snapshot(optimizer, held, Places(elements))
    optimizer.step()
    return snapshot.parts(had)


def check(optimizer: Optimizer, held: list[nn.Parameter], places: Places | None = None) -> None:
    """Steps once, and compares with copies of the optimizer that step whole tensors."""
    expected = stations(held, optimizer, [weight.grad is not None for weight in held])
    snapshot = Snapshot(optimizer, held, places or Places(None))
    optimizer.step()
    told = snapshot.parts(had)
    for weight, three in zip(held, expected, strict=True):
        chosen = snapshot.places(weight.numel(), weight.device)
        four = [one.reshape(-1) if chosen is None else one.reshape(-1)[chosen] for one in (*three, weight.detach())]
        for name, values in split(*four).items():
            assert getattr(told[id(weight)], name) == pytest.approx(total(values), rel=1e-12, abs=0), name


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


def test_what_has_no_elements_to_read_is_passed_over() -> None:
    lazy, meta = nn.UninitializedParameter(), nn.Parameter(torch.zeros(3, device="meta"))
    held = [normal(3)]
    optimizer = SGD(held, lr=0.1)
    snapshot = Snapshot(optimizer, [lazy, meta, *held], Places(2))
    assert list(snapshot.weights) == [id(held[0])]
