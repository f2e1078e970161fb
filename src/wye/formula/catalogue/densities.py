"""Losses of what is predicted as a density, and divergences between two."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .loss import Argument, Loss, Option, Setting

FULL = Setting(False, "whether terms that do not change with the prediction are added.")


def _poisson(settings: Mapping[str, Option], given: Collection[str]) -> str:
    text = "rate = pred\nentry = rate - target * log(rate + eps)"
    if settings["log_input"]:
        text = "rate = exp(pred)\nentry = rate - target * pred"
    if not settings["full"]:
        return text
    return (
        text.replace("entry", "part")
        + "\nlarge = where(target > 1, target, 1)"
        + "\nfactorial = large * log(large) - large + log(6.283185307179586 * large) / 2"
        + "\nentry = part + where(target > 1, factorial, 0)"
    )


def _gaussian(settings: Mapping[str, Option], given: Collection[str]) -> str:
    rest = " + log(6.283185307179586) / 2" if settings["full"] else ""
    return (
        f"held = stop(max(var, eps)) + (var - stop(var))\nentry = (log(held) + (pred - target) ** 2 / held) / 2{rest}"
    )


DENSITIES = (
    Loss(
        "kl_divergence",
        "The Kullback-Leibler divergence of the predicted from the wanted distribution.",
        "Σ target (log(target) - log_pred) over the last axis; a target of 0 counts 0. The mean is over rows: that of "
        'torch\'s `kl_div` under "batchmean".',
        "Kullback and Leibler 1951, On information and sufficiency, equation 2.4",
        {
            "log_pred": Argument("logarithms of probabilities, of shape (..., k).", "..., k"),
            "target": Argument("probabilities of that shape.", "..., k"),
        },
        "some = target[..., k] > 0\n"
        "logs = log(where(some, target[..., k], 1))\n"
        "entry = sum(where(some, target[..., k] * (logs - log_pred[..., k]), 0), k)",
        (
            "round(float(wye.losses.kl_divergence(numpy.log([[0.5, 0.5]]), numpy.array([[1.0, 0.0]]))), 4)",
            "0.6931",
        ),
        over="last",
    ),
    Loss(
        "js_divergence",
        "The Jensen-Shannon divergence between two distributions: symmetric, at most log 2.",
        "(KL(pred, m) + KL(target, m)) / 2 with m = (pred + target) / 2, over the last axis; a probability of 0 "
        "counts 0, with a finite gradient.",
        "Lin 1991, Divergence measures based on the Shannon entropy, equation 4.1",
        {
            "pred": Argument("probabilities of shape (..., k).", "..., k"),
            "target": Argument("probabilities of that shape.", "..., k"),
        },
        "middle = (pred[..., k] + target[..., k]) / 2\n"
        "first = pred[..., k] > 0\n"
        "second = target[..., k] > 0\n"
        "ours = where(first, pred[..., k], 1) / where(first, middle, 1)\n"
        "theirs = where(second, target[..., k], 1) / where(second, middle, 1)\n"
        "both = pred[..., k] * log(ours) + target[..., k] * log(theirs)\n"
        "entry = sum(both, k) / 2",
        (
            "round(float(wye.losses.js_divergence(numpy.array([[1.0, 0.0]]), numpy.array([[0.0, 1.0]]))), 4)",
            "0.6931",
        ),
        over="last",
    ),
    Loss(
        "poisson_nll",
        "The negative log likelihood of counts.",
        "exp(pred) - target pred, or pred - target log(pred + eps) where `log_input=False`.",
        "Nelder and Wedderburn 1972, Generalized linear models; torch.nn.functional.poisson_nll_loss",
        {"pred": Argument("the rate or its logarithm."), "target": Argument("counts of that shape.")},
        _poisson,
        ("round(float(wye.losses.poisson_nll(numpy.zeros(2), numpy.array([0, 3]))), 4)", "1.0"),
        settings={
            "log_input": Setting(True, "whether `pred` is the logarithm of the rate; exp overflows above 88."),
            "full": Setting(False, "whether Stirling's log(target!) is added, for targets above 1."),
            "eps": Setting(1e-8, "keeps the logarithm of a rate of 0 finite."),
        },
    ),
    Loss(
        "gaussian_nll",
        "The negative log likelihood of numbers with a predicted variance.",
        "(log(v) + (pred - target)² / v) / 2 with v = max(var, eps), past which the gradient goes as if it were var.",
        "Nix and Weigend 1994, Estimating the mean and variance of the target probability distribution, equation 5",
        {
            "pred": Argument("the mean."),
            "target": Argument("numbers of that shape."),
            "var": Argument("the variance, of that shape; below `eps` it counts as that."),
        },
        _gaussian,
        ("float(wye.losses.gaussian_nll(numpy.zeros(2), numpy.array([0.0, 2.0]), numpy.ones(2)))", "1.0"),
        settings={"full": FULL, "eps": Setting(1e-6, "the least variance, above 0.")},
    ),
)
