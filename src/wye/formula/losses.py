"""The catalogue: the field's named losses as formulas, written once for every front.

A front may compute a loss by a kernel of its own; the formula here says what it must equal.
"""

from __future__ import annotations

MSE = {
    "none": "(pred - target) ** 2",
    "sum": "sum((pred - target) ** 2)",
    "mean": "mean((pred - target) ** 2)",
}

_PER_ENTRY = """\
kept = target[...] != ignore_index
total = logsumexp(logits[..., k], k)
picked = total - logits[..., where(kept, target[...], 0)]
smooth = total - mean(logits[..., k], k)
entry = where(label_smoothing == 0, picked, (1 - label_smoothing) * picked + label_smoothing * smooth)
"""
CROSS_ENTROPY = {
    "none": _PER_ENTRY + "where(kept, entry, 0)",
    "sum": _PER_ENTRY + "sum(entry, where=kept)",
    "mean": _PER_ENTRY + "mean(entry, where=kept)",
}
"""`target` holds class ids shaped like `logits` without its last axis; see Goodfellow et al. 2016, section 6.2,
and for `label_smoothing` Szegedy et al. 2016, section 7."""


def _of_pairs(together: str) -> dict[str, str]:
    entry = f"""\
s = dot(a, b)
entry = where(label == 1, {together}, max(0, s + margin))
weighted = where(label == 1, label_weights[1], label_weights[0]) * entry
"""
    return {"none": entry + "weighted", "sum": entry + "sum(weighted)", "mean": entry + "mean(weighted)"}


PAIR = _of_pairs("1 - s")
"""`label` is 1 for pairs that belong together, else 0; see Hadsell, Chopra and LeCun 2006 for a loss of pairs with a
margin, here of products instead of distances. Without `label_weights` both are 1."""
PAIR_MARGIN = _of_pairs("max(0, margin - s)")

CATALOGUE: dict[str, dict[str, str]] = {
    "mse": MSE,
    "cross_entropy": CROSS_ENTROPY,
    "pair": PAIR,
    "pair_margin": PAIR_MARGIN,
}
