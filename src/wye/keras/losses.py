"""The named losses as functions of Keras tensors, on whatever backend Keras runs; symbols and NumPy arrays too.

Each is also a function in formulas, under the same name. What a model is compiled with is an Objective: Keras calls
a loss with the target first, and casts it.
"""

from __future__ import annotations

from ..formula.callable_contrasts import Contrasts
from .evaluation import evaluate

__all__ = [
    "clip_loss",
    "cross_entropy",
    "info_nce",
    "mse",
    "nt_xent",
    "pair",
    "pair_margin",
    "siglip_loss",
    "sup_con",
]

_LOSSES = Contrasts(evaluate)
mse = _LOSSES.mse
cross_entropy = _LOSSES.cross_entropy
pair = _LOSSES.pair
pair_margin = _LOSSES.pair_margin
info_nce = _LOSSES.info_nce
clip_loss = _LOSSES.clip_loss
siglip_loss = _LOSSES.siglip_loss
nt_xent = _LOSSES.nt_xent
sup_con = _LOSSES.sup_con
