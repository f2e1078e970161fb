"""First and second derivatives of each loss of the catalogue, at each of its settings, against differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import wye
from tests.unit.loss_samples import SAMPLES, WIDTH
from wye.formula.losses import CATALOGUE

Settings = dict[str, Any]
WEIGHT = np.array([0.5, 2.0, 0.25, 1.0])
SOFT = np.linspace(0.1, 0.9, 5 * WIDTH).reshape(5, WIDTH)
FIXED = {"poisson_nll": ("target",), "gaussian_nll": ("var",)}
"""Counts; and variances, whose gradient below the least one is not that of the value, by design."""
STRAIGHT = ("nll", "quantile", "margin_ranking")
"""Losses of straight lines, whose gradients hang on nothing."""

SETTINGS: list[tuple[str, Settings]] = [
    *((name, {}) for name in SAMPLES),
    ("huber", {"delta": 0.3}),
    ("smooth_l1", {"beta": 0.3}),
    ("smooth_l1", {"beta": 0}),
    ("quantile", {"q": 0.9}),
    ("cross_entropy", {"label_smoothing": 0.2}),
    ("cross_entropy", {"ignore_index": 2}),
    ("cross_entropy", {"weight": WEIGHT}),
    ("cross_entropy", {"weight": WEIGHT, "label_smoothing": 0.2, "ignore_index": 2}),
    ("cross_entropy", {"target": SOFT}),
    ("cross_entropy", {"target": SOFT, "weight": WEIGHT, "label_smoothing": 0.2}),
    ("nll", {"weight": WEIGHT, "ignore_index": 2}),
    ("binary_cross_entropy", {"pos_weight": WEIGHT}),
    ("binary_cross_entropy", {"target": SOFT}),
    ("focal", {"gamma": 0.5, "alpha": 0.25}),
    ("focal", {"gamma": 0}),
    ("focal_cross_entropy", {"gamma": 0.5, "ignore_index": 2}),
    ("focal_cross_entropy", {"gamma": 0}),
    ("hinge", {"margin": 0.25}),
    ("squared_hinge", {"margin": 2}),
    ("poisson_nll", {"full": True}),
    ("poisson_nll", {"log_input": False, "eps": 1e-3, "pred": SOFT}),
    ("gaussian_nll", {"full": True, "eps": 1e-3}),
    *((name, {"dims": 1, "smooth": 0}) for name in ("dice", "tversky", "jaccard")),
    ("tversky", {"alpha": 1, "beta": 0.5}),
    *((name, {"margin": 0.4, "label_weights": (0.7, 0.3)}) for name in ("pair", "pair_margin")),
    ("margin_ranking", {"margin": 0.4}),
    ("cosine_embedding", {"margin": -0.4}),
    ("triplet", {"margin": 3, "swap": True, "eps": 1e-3}),
    ("triplet_cosine", {"margin": 2}),
]


def test_every_setting_is_here() -> None:
    for name, loss in CATALOGUE.items():
        told = {key for other, settings in SETTINGS for key in settings if other == name}
        assert {*loss.settings, *loss.extra} <= told, name


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("name", "settings"), SETTINGS, ids=lambda one: one if isinstance(one, str) else ",".join(one))
def test_derivatives_are_those_of_differences(name: str, settings: Settings, reduction: str) -> None:
    arrays = SAMPLES[name](5) | {key: value for key, value in settings.items() if isinstance(value, np.ndarray)}
    constants = {key: value for key, value in settings.items() if key not in arrays}
    tensors = {key: torch.from_numpy(np.array(value)) for key, value in arrays.items()}
    learnt = [key for key, value in tensors.items() if value.is_floating_point() and key not in FIXED.get(name, ())]

    def of_all(*inputs: Tensor) -> Tensor:
        given = tensors | dict(zip(learnt, inputs, strict=True))
        return getattr(wye.losses, name)(**given, **constants, reduction=reduction)

    inputs = [tensors[key].requires_grad_() for key in learnt]
    assert gradcheck(of_all, inputs, fast_mode=True, rtol=1e-5, atol=1e-7)
    if name not in STRAIGHT or "weight" in settings:
        assert gradgradcheck(of_all, inputs, fast_mode=True, rtol=1e-5, atol=1e-7)
