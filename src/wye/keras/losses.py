"""The named losses as functions of Keras tensors, on whatever backend Keras runs; symbols and NumPy arrays too.

Each is also a function in formulas, under the same name. What a model is compiled with is an Objective: Keras calls
a loss with the target first, and casts it.
"""

from __future__ import annotations

from ..formula.callable_losses import functions
from ..formula.losses import show
from .evaluation import evaluate

__all__ = [
    "binary_cross_entropy",
    "clip_loss",
    "cosine_embedding",
    "cross_entropy",
    "dice",
    "edge_cosine_loss",
    "edge_distance_loss",
    "focal",
    "focal_cross_entropy",
    "gaussian_nll",
    "hinge",
    "huber",
    "info_nce",
    "jaccard",
    "js_divergence",
    "kl_divergence",
    "log_cosh",
    "mae",
    "margin_ranking",
    "mse",
    "nll",
    "nt_xent",
    "pair",
    "pair_margin",
    "poisson_nll",
    "quantile",
    "show",
    "siglip_loss",
    "smooth_l1",
    "squared_hinge",
    "sup_con",
    "triplet",
    "triplet_cosine",
    "tversky",
]

_LOSSES = functions(evaluate, __name__)
mse = _LOSSES["mse"]
mae = _LOSSES["mae"]
huber = _LOSSES["huber"]
smooth_l1 = _LOSSES["smooth_l1"]
log_cosh = _LOSSES["log_cosh"]
quantile = _LOSSES["quantile"]
cross_entropy = _LOSSES["cross_entropy"]
nll = _LOSSES["nll"]
binary_cross_entropy = _LOSSES["binary_cross_entropy"]
focal = _LOSSES["focal"]
focal_cross_entropy = _LOSSES["focal_cross_entropy"]
hinge = _LOSSES["hinge"]
squared_hinge = _LOSSES["squared_hinge"]
kl_divergence = _LOSSES["kl_divergence"]
js_divergence = _LOSSES["js_divergence"]
poisson_nll = _LOSSES["poisson_nll"]
gaussian_nll = _LOSSES["gaussian_nll"]
dice = _LOSSES["dice"]
tversky = _LOSSES["tversky"]
jaccard = _LOSSES["jaccard"]
pair = _LOSSES["pair"]
pair_margin = _LOSSES["pair_margin"]
margin_ranking = _LOSSES["margin_ranking"]
cosine_embedding = _LOSSES["cosine_embedding"]
triplet = _LOSSES["triplet"]
triplet_cosine = _LOSSES["triplet_cosine"]
edge_cosine_loss = _LOSSES["edge_cosine_loss"]
edge_distance_loss = _LOSSES["edge_distance_loss"]
clip_loss = _LOSSES["clip_loss"]
info_nce = _LOSSES["info_nce"]
nt_xent = _LOSSES["nt_xent"]
siglip_loss = _LOSSES["siglip_loss"]
sup_con = _LOSSES["sup_con"]
