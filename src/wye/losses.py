"""The named losses as functions: of torch tensors, of Keras tensors, and of NumPy arrays.

Each is also a function in formulas, under the same name.
"""

from __future__ import annotations

from .evaluation import evaluate
from .formula.callable_losses import Losses

__all__ = ["cross_entropy", "edge_cosine_loss", "edge_distance_loss", "mse", "pair", "pair_margin"]

_LOSSES = Losses(evaluate)
mse = _LOSSES.mse
cross_entropy = _LOSSES.cross_entropy
pair = _LOSSES.pair
pair_margin = _LOSSES.pair_margin
edge_cosine_loss = _LOSSES.edge_cosine_loss
edge_distance_loss = _LOSSES.edge_distance_loss
