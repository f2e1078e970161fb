"""The named losses as functions of Keras tensors, on whatever backend Keras runs; symbols and NumPy arrays too.

Each is also a function in formulas, under the same name. What a model is compiled with is an Objective: Keras calls
a loss with the target first, and casts it.
"""

from __future__ import annotations

from ..formula.callable_losses import Losses
from .evaluation import evaluate

__all__ = ["cross_entropy", "edge_cosine_loss", "edge_distance_loss", "mse", "pair", "pair_margin"]

_LOSSES = Losses(evaluate)
mse = _LOSSES.mse
cross_entropy = _LOSSES.cross_entropy
pair = _LOSSES.pair
pair_margin = _LOSSES.pair_margin
edge_cosine_loss = _LOSSES.edge_cosine_loss
edge_distance_loss = _LOSSES.edge_distance_loss
