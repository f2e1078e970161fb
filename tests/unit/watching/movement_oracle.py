"""The split of a step by hand: real optimizers, copied whole, step whole tensors with a gradient of zero."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from wye.watching.movement import Parts, Places, Snapshot


def moved_to(weights: Sequence[nn.Parameter], optimizer: Optimizer, had: Sequence[bool], decay: bool) -> list[Tensor]:
    """Where the weights would be after a step of a copy of this optimizer with a gradient of zero."""
    twins: list[nn.Parameter]
    twins, twin = copy.deepcopy((list(weights), optimizer))
    for weight, has in zip(twins, had, strict=True):
        weight.grad = torch.zeros_like(weight) if has else None
    for group in twin.param_groups:
        for name in () if decay else ("weight_decay", "lambd"):
            if name in group:
                group[name] = 0
    twin.step()
    return [weight.detach() for weight in twins]


def stations(weights: Sequence[nn.Parameter], optimizer: Optimizer, had: Sequence[bool]) -> list[list[Tensor]]:
    """Of each weight: before, after a step with neither gradient nor decay, after one with decay alone."""
    before = [weight.detach().clone() for weight in weights]
    bare, idle = (moved_to(weights, optimizer, had, decay) for decay in (False, True))
    return [list(three) for three in zip(before, bare, idle, strict=True)]


def split(before: Tensor, bare: Tensor, idle: Tensor, after: Tensor) -> dict[str, Tensor]:
    """The movement of each element and its parts, in double precision."""
    wide = torch.complex128 if before.is_complex() else torch.float64
    before, bare, idle, after = (one.to(wide) for one in (before, bare, idle, after))
    return {"moved": after - before, "gradient": after - idle, "momentum": bare - before, "decay": idle - bare}


def total(values: Tensor) -> float:
    return sum(abs(value) for value in values.reshape(-1).tolist())


def same_bits(one: Any, other: Any) -> bool:
    """Whether two nests of dicts, lists and tensors are the same to the last bit."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_bits(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same_bits, one, other))
    return bool(one == other)


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
