"""Contrastive losses with every kind of target, and small values for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import wye
from wye.torch.tiles import contrast, dense, losses
from wye.torch.tiles.plan import Plan, plain

LABEL = torch.tensor([0, 1, 0, 2, 1, 3, 3])
KEY_LABEL = torch.tensor([0, 1, 2, 5, 5, 1, 1, 0, 9, 9, 3])
SOFT = torch.linspace(0, 1, 77, dtype=torch.float64).sin().reshape(7, 11)
SQUARE = torch.linspace(0, 1, 49, dtype=torch.float64).cos().reshape(7, 7)

CASES: dict[str, tuple[str, dict[str, Tensor]]] = {
    "info_nce": ("info_nce", {}),
    "info_nce by label": ("info_nce", {"label": LABEL, "key_label": KEY_LABEL}),
    "info_nce soft": ("info_nce", {"target": SOFT}),
    "clip_loss": ("clip_loss", {}),
    "clip_loss by label": ("clip_loss", {"label": LABEL}),
    "clip_loss soft": ("clip_loss", {"target": SQUARE}),
    "siglip_loss": ("siglip_loss", {}),
    "siglip_loss by label": ("siglip_loss", {"label": LABEL}),
    "siglip_loss soft": ("siglip_loss", {"target": SQUARE}),
    "nt_xent": ("nt_xent", {}),
    "sup_con": ("sup_con", {"label": LABEL}),
}


def values(case: str, dtype: torch.dtype = torch.float64, temperature: float = 0.3) -> dict[str, Tensor]:
    """What a loss takes beside its target; all of it learns."""
    generator = torch.Generator().manual_seed(3)

    def rows(count: int) -> Tensor:
        return torch.randn(count, 5, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()

    name = CASES[case][0]
    wide = dtype if dtype is torch.float64 else torch.float32
    numbers = {"temperature": torch.tensor(temperature, dtype=wide, requires_grad=True)}
    if name == "siglip_loss":
        numbers["bias"] = torch.tensor(-0.5, dtype=wide, requires_grad=True)
    sides = {"info_nce": {"query": 7, "key": 11}, "sup_con": {"x": 7}}.get(name, {"a": 7, "b": 7})
    return {**{role: rows(count) for role, count in sides.items()}, **numbers}


def loss(case: str, given: dict[str, Any], **options: Any) -> Tensor:
    name, target = CASES[case]
    return getattr(wye.losses, name)(**given, **target, **options)


def value_and_slopes(case: str, given: dict[str, Tensor], **options: Any) -> list[Tensor]:
    """The losses, and the gradients of their sum in which each counts differently."""
    found = loss(case, given, **options)
    weights = torch.linspace(1, 2, found.numel(), dtype=found.dtype).reshape(found.shape)
    return [found.detach(), *torch.autograd.grad((found * weights).sum(), list(given.values()))]


@contextmanager
def in_tiles(edge: int) -> Iterator[None]:
    """Tiles of so many rows, however few rows there are."""

    def cut(*args: Any, **settings: Any) -> Plan:
        return replace(Plan(*args, **settings), edge=edge)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(losses, "Plan", cut)
        patch.setattr(dense, "FEW", 0)
        yield


@contextmanager
def written_out(form: Callable[..., Any] = plain) -> Iterator[None]:
    """The plain form, differentiated by autograd."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(losses, "contrast", form)
        yield


__all__ = ["CASES", "contrast", "in_tiles", "loss", "value_and_slopes", "values", "written_out"]
