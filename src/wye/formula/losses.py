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

CATALOGUE: dict[str, dict[str, str]] = {"mse": MSE, "cross_entropy": CROSS_ENTROPY}
