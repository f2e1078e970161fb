"""Losses of what is predicted less what is wanted, entry by entry."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .loss import Argument, Loss, Option, Setting

PRED = Argument("floats of any shape.")
TARGET = Argument("numbers of that shape.")
BOTH = {"pred": PRED, "target": TARGET}
CALL = "float(wye.losses.{}(numpy.array([1.0, 3.0]), numpy.array([0.0, 1.0]){}))"


def _smooth_l1(settings: Mapping[str, Option], given: Collection[str]) -> str:
    if not settings["beta"]:
        return "entry = abs(pred - target)"
    return "gap = pred - target\nclose = clamp(gap, -beta, beta)\nentry = close * (gap - close / 2) / beta"


DIFFERENCES = (
    Loss(
        "mse",
        "The mean squared error.",
        "(pred - target)², mean over all entries.",
        "Legendre 1805, Nouvelles méthodes pour la détermination des orbites des comètes, appendix",
        BOTH,
        "entry = (pred - target) ** 2",
        (CALL.format("mse", ""), "2.5"),
        kernel=True,
    ),
    Loss(
        "mae",
        "The mean absolute error.",
        "|pred - target|, mean over all entries; the gradient at 0 is 0.",
        "Boscovich 1757; see Hastie, Tibshirani and Friedman 2009, section 10.6",
        BOTH,
        "entry = abs(pred - target)",
        (CALL.format("mae", ""), "1.5"),
    ),
    Loss(
        "huber",
        "Squares for small differences, straight lines for large ones.",
        "With g = |pred - target|: g² / 2 where g < delta, delta (g - delta / 2) elsewhere.",
        "Huber 1964, Robust estimation of a location parameter",
        BOTH,
        "gap = pred - target\nclose = clamp(gap, -delta, delta)\nentry = close * (gap - close / 2)",
        (CALL.format("huber", ""), "1.0"),
        settings={"delta": Setting(1.0, "where the square ends, above 0.")},
    ),
    Loss(
        "smooth_l1",
        "The Huber loss over beta: the slope far out is 1.",
        "With g = |pred - target|: g² / (2 beta) where g < beta, g - beta / 2 elsewhere.",
        "Girshick 2015, Fast R-CNN, equation 3",
        BOTH,
        _smooth_l1,
        (CALL.format("smooth_l1", ", beta=0.5"), "1.25"),
        settings={"beta": Setting(1.0, "where the square ends; at 0 it is `mae`.")},
    ),
    Loss(
        "log_cosh",
        "A square for small differences, a straight line for large ones, smooth everywhere.",
        "log(cosh(pred - target)), without overflow.",
        "Chen, Chen, Lu and Song 2018, Log hyperbolic cosine loss improves variational auto-encoder",
        BOTH,
        "gap = abs(pred - target)\nentry = gap + softplus(-2 * gap) - log(2)",
        ("round(" + CALL.format("log_cosh", "") + ", 4)", "0.8794"),
    ),
    Loss(
        "quantile",
        "The pinball loss, least at a quantile of the target.",
        "max(q g, (q - 1) g) with g = target - pred.",
        "Koenker and Bassett 1978, Regression quantiles, equation 2.3",
        BOTH,
        "gap = target - pred\nentry = max(q * gap, (q - 1) * gap)",
        ("round(" + CALL.format("quantile", ", q=0.9") + ", 4)", "0.15"),
        settings={"q": Setting(0.5, "the quantile, from 0 to 1.")},
    ),
)
