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


def _of_rows(text: str, every: str) -> dict[str, str]:
    return {"none": f"{text}{every}", "sum": f"{text}sum({every})", "mean": f"{text}mean({every})"}


_LOGITS = "s[i, j] = sum(unit(a[i, d], d) * unit(b[j, d], d), d) / temperature\n"
INFO_NCE = _of_rows(
    _LOGITS.replace("a[", "query[").replace("b[", "key["), "logsumexp(s[i, j], j) - sum(s[i, j] * (i == j), j)"
)
"""Keys by place, and rows by their norms, as in those below; see van den Oord, Li and Vinyals 2018, equation 4."""
CLIP = _of_rows(_LOGITS, "(logsumexp(s[n, j], j) + logsumexp(s[i, n], i)) / 2 - s[n, n]")
"""See Radford et al. 2021, figure 3."""
SIGLIP = _of_rows(
    _LOGITS.replace("temperature", "temperature + bias"), "sum(softplus(s[i, j]) - s[i, j] * (i == j), j)"
)
"""See Zhai et al. 2023, section 3.2."""
NT_XENT = _of_rows(
    """\
x = concat(unit(a), unit(b), axis=0)
s[i, j] = sum(x[i, d] * x[j, d], d) / temperature
n = size(i) / 2
own[i] = logsumexp(s[i, j], j, where=i != j) - sum(s[i, j] * (abs(i - j) == n), j)
""",
    "own",
)
"""The losses of all 2N views, of which those of a sample are averaged; see Chen et al. 2020, equation 1."""
SUP_CON = _of_rows(
    """\
s[i, j] = sum(unit(x[i, d], d) * unit(x[j, d], d), d) / temperature
mine[i, j] = (label[i] == label[j]) and i != j
count[i] = sum(mine[i, j], j)
all[i] = logsumexp(s[i, j], j, where=i != j) - mean(s[i, j], j, where=mine[i, j])
""",
    "all[i], where=count[i] > 0",
)
"""See Khosla et al. 2020, equation 2."""

CATALOGUE: dict[str, dict[str, str]] = {
    "mse": MSE,
    "cross_entropy": CROSS_ENTROPY,
    "pair": PAIR,
    "pair_margin": PAIR_MARGIN,
    "info_nce": INFO_NCE,
    "clip_loss": CLIP,
    "siglip_loss": SIGLIP,
    "nt_xent": NT_XENT,
    "sup_con": SUP_CON,
}
