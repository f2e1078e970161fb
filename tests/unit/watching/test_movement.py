"""The split of a step into gradient, momentum and decay, against copies of the optimizer that step whole tensors."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim import ASGD, SGD, Adadelta, Adagrad, Adam, Adamax, AdamW, NAdam, Optimizer, RAdam, RMSprop, Rprop

from tests.unit.watching.movement_oracle import had, split, stations, total
from wye.watching.movement import Places, Snapshot

SETTINGS: list[tuple[type[Optimizer], dict[str, Any]]] = [
    (SGD, {"lr": 0.1}),
    (SGD, {"lr": 0.1, "weight_decay": 0.1}),
    (SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    (SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1, "maximize": True}),
    (Adam, {"lr": 0.1}),
    (Adam, {"lr": 0.1, "weight_decay": 0.1, "amsgrad": True}),
    (Adam, {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    (AdamW, {"lr": 0.1, "weight_decay": 0.1}),
    (NAdam, {"lr": 0.1, "weight_decay": 0.1}),
    (RAdam, {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    (Adamax, {"lr": 0.1, "weight_decay": 0.1}),
    (RMSprop, {"lr": 0.1}),
    (RMSprop, {"lr": 0.1, "momentum": 0.9, "centered": True, "weight_decay": 0.1}),
    (Adagrad, {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.2, "weight_decay": 0.1}),
    (Adadelta, {"lr": 1.0, "weight_decay": 0.1}),
    (ASGD, {"lr": 0.1, "lambd": 0.1, "weight_decay": 0.1}),
    (Rprop, {"lr": 0.1}),
]
FUSED = (SGD, Adam, AdamW, Adagrad)
WAYS = [
    pytest.param(kind, {**settings, **way}, id=f"{kind.__name__}{place}-{next(iter(way), 'default')}")
    for place, (kind, settings) in enumerate(SETTINGS)
    for way in ({}, {"foreach": True}, {"fused": True})
    if "fused" not in way or kind in FUSED
]


def weights(seed: int, *sizes: int, dtype: torch.dtype = torch.float32) -> list[nn.Parameter]:
    maker = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(size, generator=maker, dtype=dtype)) for size in sizes]


def give(held: list[nn.Parameter], step: int, maker: torch.Generator) -> list[bool]:
    """Gradients: of the first always some, half of it zero; of others none, zero or some; of the last zero, or none."""
    for place, weight in enumerate(held):
        grad = torch.randn(weight.shape, generator=maker, dtype=torch.float64).to(weight.dtype)
        kind = 2 if place == 0 or step == 0 else (step + place) % 3
        grad[torch.rand(weight.shape, generator=maker) < 0.5] = 0
        weight.grad = None if kind == 0 else grad * (0 if kind == 1 or (place == 3 and step) else 1)
    return [weight.grad is not None for weight in held]


def splits(kind: type[Optimizer], settings: dict[str, Any], dtype: torch.dtype) -> bool:
    return not (kind is SGD and "fused" in settings and dtype == torch.bfloat16)


def elements_of(snapshot: Snapshot) -> dict[int, Tensor]:
    """The rows of each weight."""
    rows: dict[int, Tensor] = {}
    for held, legs in snapshot.legs(had):
        sizes = [snapshot.before[id(weight)].numel() for weight in held]
        rows |= {id(weight): legs_of for weight, legs_of in zip(held, legs.split(sizes, dim=1), strict=True)}
    return rows


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(("kind", "settings"), WAYS)
def test_all_elements_as_a_copied_optimizer_says(
    kind: type[Optimizer], settings: dict[str, Any], dtype: torch.dtype
) -> None:
    held, maker = weights(0, 37, 5, 64, 9, dtype=dtype), torch.Generator().manual_seed(1)
    optimizer = kind(held, **settings)  # type: ignore[call-arg]
    for step in range(5):
        has = give(held, step, maker)
        expected, snapshot = stations(held, optimizer, has), Snapshot(optimizer, held, Places(None))
        optimizer.step()
        told = snapshot.parts(had)
        for place, weight in enumerate(held):
            oracle, parts = split(*expected[place], weight.detach()), told[id(weight)]
            assert parts.changed == bool((oracle["moved"] != 0).any())
            assert parts.sampled == parts.of == weight.numel()
            if not splits(kind, settings, dtype):
                assert parts.moved == pytest.approx(total(oracle["moved"]), rel=1e-12, abs=0)
                assert parts.gradient is parts.momentum is parts.decay is None
                continue
            for name, values in oracle.items():
                assert getattr(parts, name) == pytest.approx(total(values), rel=1e-12, abs=0), (step, place, name)
            assert torch.allclose(oracle["gradient"] + oracle["momentum"] + oracle["decay"], oracle["moved"], 0, 1e-15)
            if weight.grad is None:
                assert parts.moved == parts.gradient == parts.momentum == parts.decay == 0
            elif not bool(weight.grad.any()):
                assert parts.gradient == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("kind", "settings"), WAYS)
def test_sampled_elements_are_those_of_the_whole(
    kind: type[Optimizer], settings: dict[str, Any], dtype: torch.dtype
) -> None:
    held, maker = weights(2, 301, 75, 100, 133, dtype=dtype), torch.Generator().manual_seed(3)
    optimizer, places = kind(held, **settings), Places(71, seed=4)  # type: ignore[call-arg]
    exact = dtype == torch.float32 and "fused" not in settings
    for step in range(5):
        has = give(held, step, maker)
        expected, snapshot = stations(held, optimizer, has), Snapshot(optimizer, held, places)
        optimizer.step()
        told, rows = snapshot.parts(had), elements_of(snapshot)
        for place, weight in enumerate(held):
            chosen = snapshot.places(weight.numel(), weight.device)
            assert chosen is not None
            if not splits(kind, settings, dtype):
                assert told[id(weight)].gradient is None
                continue
            oracle = split(*(one[chosen] for one in (*expected[place], weight.detach())))
            before, bare, idle, after = rows[id(weight)]
            mine = {"moved": after - before, "gradient": after - idle, "momentum": bare - before, "decay": idle - bare}
            # The end of a tensor may round otherwise in these kernels; what the sum should be, it is all the same.
            near = 4 * torch.finfo(dtype).eps * float(weight.detach().abs().max())
            for name, values in oracle.items():
                assert torch.allclose(mine[name], values, 0, 0 if exact or name == "moved" else near), (step, name)
                assert getattr(told[id(weight)], name) == pytest.approx(total(mine[name]), rel=1e-12, abs=0)
            assert torch.allclose(mine["gradient"] + mine["momentum"] + mine["decay"], mine["moved"], 0, 1e-15)
            assert (told[id(weight)].sampled, told[id(weight)].of) == (71, weight.numel())
            if weight.grad is not None:
                assert not bool(mine["gradient"][weight.grad[chosen] == 0].any()), step


def test_sgd_in_closed_form() -> None:
    rate, momentum, dampening, decay = 0.1, 0.9, 0.3, 0.05
    held = weights(5, 40, dtype=torch.float64)
    optimizer = SGD(held, lr=rate, momentum=momentum, dampening=dampening, weight_decay=decay)
    maker, past = np.random.default_rng(6), np.zeros(40)
    for step in range(4):
        grad, before = maker.standard_normal(40), held[0].detach().numpy().copy()
        held[0].grad = torch.from_numpy(grad)
        snapshot = Snapshot(optimizer, held, Places(None))
        optimizer.step()
        parts, share = snapshot.parts(had)[id(held[0])], 1 - dampening if step else 1.0
        assert parts.momentum == pytest.approx(np.abs(rate * momentum * past).sum(), rel=1e-12, abs=0)
        assert parts.decay == pytest.approx(np.abs(rate * share * decay * before).sum(), rel=1e-12)
        assert parts.gradient == pytest.approx(np.abs(rate * share * grad).sum(), rel=1e-12)
        past = momentum * past + share * (grad + decay * before)


@pytest.mark.parametrize("decoupled", [False, True])
def test_adam_in_closed_form(decoupled: bool) -> None:
    rate, one, two, tiny, decay = 0.1, 0.9, 0.99, 1e-8, 0.2
    held = weights(7, 40, dtype=torch.float64)
    optimizer = (AdamW if decoupled else Adam)(held, lr=rate, betas=(one, two), eps=tiny, weight_decay=decay)
    maker, first, second = np.random.default_rng(8), np.zeros(40), np.zeros(40)
    for step in range(1, 5):
        grad, before = maker.standard_normal(40), held[0].detach().numpy().copy()

        stations = []
        for with_grad, with_decay in ((0, 0.0), (0, decay), (grad, decay)):
            coupled = with_grad + (0 if decoupled else with_decay) * before
            m, u = one * first + (1 - one) * coupled, two * second + (1 - two) * coupled**2
            start = before * (1 - rate * with_decay) if decoupled else before
            stations.append(start - rate * m / (1 - one**step) / (np.sqrt(u / (1 - two**step)) + tiny))
        bare, idle, full = stations
        held[0].grad = torch.from_numpy(grad)
        snapshot = Snapshot(optimizer, held, Places(None))
        optimizer.step()
        parts = snapshot.parts(had)[id(held[0])]
        assert parts.momentum == pytest.approx(np.abs(bare - before).sum(), rel=1e-10, abs=0)
        assert parts.decay == pytest.approx(np.abs(idle - bare).sum(), rel=1e-10)
        assert parts.gradient == pytest.approx(np.abs(full - idle).sum(), rel=1e-10)
        first, second = m, u


def test_what_rounds_otherwise_is_still_no_gradient() -> None:
    """A step that rounds otherwise than its replay, and one whose gradients are cleared before they are read."""
    held = weights(9, 300)
    optimizer = SGD(held, lr=0.1, momentum=0.9)
    for clear in (False, True):
        held[0].grad = torch.ones(300)
        optimizer.step()
        held[0].grad = torch.full((300,), 1.0 if clear else 0.0)
        snapshot = Snapshot(optimizer, held, Places(None))
        optimizer.step()
        with torch.no_grad():
            held[0][::2] = torch.nextafter(held[0][::2], torch.tensor(9.0))
        held[0].grad.zero_()
        with torch.device("meta"):  # where new tensors go by default is the user's to say
            parts = snapshot.parts(had)[id(held[0])]
        assert parts.gradient is not None
        assert parts.gradient == pytest.approx(30, rel=1e-4) if clear else parts.gradient == 0
        assert parts.decay == 0


def test_the_choice_is_fair_and_draws_nothing() -> None:
    places, counts = Places(16, seed=1), torch.zeros(60)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()
    for _ in range(3000):
        chosen = places.choose(60)
        assert chosen is not None
        assert len(set(chosen.tolist())) == 16
        counts[chosen] += 1
    # 3000 choices of 16 in 60 are 800 each; a deviation of five times the binomial's 24 would be no chance.
    assert bool(((counts - 800).abs() < 120).all())
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert all(np.array_equal(a, b) for a, b in zip(states[2], np.random.get_state(), strict=True))
    assert places.choose(16) is None
    assert places.choose(0) is None
    assert Places(None).choose(10**9) is None
    assert sorted(Places(1, seed=3).choose(2).tolist()) in ([0], [1])  # type: ignore[union-attr]


def test_sums_over_samples_estimate_the_whole() -> None:
    held, places = weights(10, 64 * 64), Places(64, seed=2)
    held[0].data.view(64, 64)[:, 7] *= 1000  # one column moves more than all others
    optimizer = SGD(held, lr=0.1, weight_decay=0.1)
    held[0].grad, start = torch.zeros(64 * 64), held[0].detach().clone()
    estimates: list[float] = []
    for _ in range(400):
        with torch.no_grad():
            held[0].copy_(start)
        snapshot = Snapshot(optimizer, held, places)
        optimizer.step()
        parts = snapshot.parts(had)[id(held[0])]
        assert parts.decay is not None
        estimates.append(parts.decay * parts.of / parts.sampled)
    whole = 0.01 * total(start)
    assert np.mean(estimates) == pytest.approx(whole, abs=5 * np.std(estimates) / 20)
    assert np.std(estimates) < 2 * whole  # a choice that kept to columns would see 64 times too much, or nothing
