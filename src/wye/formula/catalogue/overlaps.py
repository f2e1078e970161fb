"""Losses of two regions: how little they overlap."""

from __future__ import annotations

from .loss import Argument, Loss, Setting

REGIONS = {
    "pred": Argument("probabilities of shape (..., k): how far each place belongs to the region.", "..., k"),
    "target": Argument("0 and 1, or probabilities, of that shape.", "..., k"),
}
DIMS = Setting(
    None,
    "how many of the last axes are one region, as 2 for (samples, classes, height, width); left out, all are. Of "
    "declared values the axes are named: dice(p[b, c, h, w], t[b, c, h, w], h, w).",
)
SMOOTH = Setting(1.0, "what is added above and below; at 0 two empty regions cost 0.")
_SUMS = """\
both = sum(pred[..., k] * target[..., k], k)
ours = sum(pred[..., k], k)
theirs = sum(target[..., k], k)
"""
_ENTRY = "entry = where(total == 0, 0, 1 - {} / where(total == 0, 1, total))"
_CALL = "round(float(wye.losses.{}(numpy.array([1.0, 1.0, 0.0]), numpy.array([1, 0, 0]))), 4)"

OVERLAPS = (
    Loss(
        "dice",
        "One less the soft Dice coefficient of two regions, mean over regions.",
        "1 - (2 Σ pred target + smooth) / (Σ pred + Σ target + smooth).",
        "Milletari, Navab and Ahmadi 2016, V-Net, section 3; with plain sums below as in Sudre et al. 2017",
        REGIONS,
        _SUMS + "total = ours + theirs + smooth\n" + _ENTRY.format("(2 * both + smooth)"),
        (_CALL.format("dice"), "0.25"),
        settings={"smooth": SMOOTH, "dims": DIMS},
        over="all",
    ),
    Loss(
        "tversky",
        "One less the Tversky index of two regions: false alarms and misses count apart.",
        "1 - (B + smooth) / (B + alpha Σ pred (1 - target) + beta Σ (1 - pred) target + smooth), B = Σ pred target.",
        "Salehi, Erdogmus and Gholipour 2017, Tversky loss function for image segmentation, equation 3",
        REGIONS,
        _SUMS
        + "total = both + alpha * (ours - both) + beta * (theirs - both) + smooth\n"
        + _ENTRY.format("(both + smooth)"),
        (_CALL.format("tversky"), "0.1304"),
        settings={
            "alpha": Setting(0.3, "what false alarms count."),
            "beta": Setting(0.7, "what misses count."),
            "smooth": SMOOTH,
            "dims": DIMS,
        },
        over="all",
    ),
    Loss(
        "jaccard",
        "One less the soft Jaccard index of two regions: intersection over union.",
        "1 - (B + smooth) / (Σ pred + Σ target - B + smooth), B = Σ pred target.",
        "Rahman and Wang 2016, Optimizing intersection-over-union in deep neural networks, equation 3",
        REGIONS,
        _SUMS + "total = ours + theirs - both + smooth\n" + _ENTRY.format("(both + smooth)"),
        (_CALL.format("jaccard"), "0.3333"),
        settings={"smooth": SMOOTH, "dims": DIMS},
        over="all",
    ),
)
