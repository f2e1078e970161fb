"""What each loss of the catalogue is given, as NumPy arrays of any number of rows, and what is special about some."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Given = dict[str, Array]
WIDTH = 4

ELEMENTWISE = ("mse", "mae", "huber", "smooth_l1", "log_cosh", "quantile")
LOGITS = ("binary_cross_entropy", "focal", "cross_entropy", "focal_cross_entropy")
"""Losses of logits: defined however large these are."""
REGIONS = ("dice", "tversky", "jaccard")


def _floats(rows: int, seed: int) -> Array:
    return np.random.default_rng(seed).normal(size=(rows, WIDTH))


def _probabilities(rows: int, seed: int) -> Array:
    found = np.exp(_floats(rows, seed))
    return found / found.sum(-1, keepdims=True)


def _ids(rows: int) -> Array:
    return np.arange(rows) * 7 % WIDTH


def _yes(rows: int) -> Array:
    return _floats(rows, 3) > 0


def _signs(rows: int) -> Array:
    return np.where(np.arange(rows) % 3 == 0, 1, -1)


def _three(rows: int) -> Given:
    return {name: _floats(rows, seed) for seed, name in enumerate(("anchor", "positive", "negative"))}


def _pairs(rows: int) -> Given:
    return {"a": _floats(rows, 1), "b": _floats(rows, 2)}


SAMPLES: dict[str, Callable[[int], Given]] = {
    **dict.fromkeys(ELEMENTWISE, lambda rows: {"pred": _floats(rows, 1), "target": _floats(rows, 2)}),
    "cross_entropy": lambda rows: {"logits": _floats(rows, 1), "target": _ids(rows)},
    "focal_cross_entropy": lambda rows: {"logits": _floats(rows, 1), "target": _ids(rows)},
    "nll": lambda rows: {"log_probs": np.log(_probabilities(rows, 1)), "target": _ids(rows)},
    "binary_cross_entropy": lambda rows: {"logits": _floats(rows, 1), "target": _yes(rows)},
    "focal": lambda rows: {"logits": _floats(rows, 1), "target": _yes(rows)},
    "hinge": lambda rows: {"pred": _floats(rows, 1), "label": 2 * _yes(rows) - 1},
    "squared_hinge": lambda rows: {"pred": _floats(rows, 1), "label": 2 * _yes(rows) - 1},
    "kl_divergence": lambda rows: {"log_pred": np.log(_probabilities(rows, 1)), "target": _probabilities(rows, 2)},
    "js_divergence": lambda rows: {"pred": _probabilities(rows, 1), "target": _probabilities(rows, 2)},
    "poisson_nll": lambda rows: {"pred": _floats(rows, 1), "target": np.floor(np.exp(_floats(rows, 2)))},
    "gaussian_nll": lambda rows: {
        "pred": _floats(rows, 1),
        "target": _floats(rows, 2),
        "var": np.exp(_floats(rows, 3)),
    },
    **dict.fromkeys(REGIONS, lambda rows: {"pred": _probabilities(rows, 1), "target": _yes(rows)}),
    "pair": lambda rows: {**_pairs(rows), "label": (_signs(rows) + 1) // 2},
    "pair_margin": lambda rows: {**_pairs(rows), "label": (_signs(rows) + 1) // 2},
    "margin_ranking": lambda rows: {**_pairs(rows), "label": 2 * _yes(rows) - 1},
    "cosine_embedding": lambda rows: {**_pairs(rows), "label": _signs(rows)},
    "triplet": _three,
    "triplet_cosine": _three,
}
