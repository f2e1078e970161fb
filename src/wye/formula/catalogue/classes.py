"""Losses of classes: of logits and ids, of logits and probabilities, of a sign."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .loss import Argument, Loss, Option, Setting

LOGITS = Argument("floats of shape (..., k), the classes along the last axis.", "..., k")
IDS = Argument("class ids, whole numbers of shape (...).", "...", "ids")
SIGNS = Argument("1 or True, -1 or False, of that shape.", "...", "signs")
IGNORE = Setting(-100, "the class id of targets that are left out.")
WEIGHT = Argument("of shape (k,): what the targets of each class count; the mean is over their sum.", "k")

_KEPT = "kept = target[...] != ignore_index\nid = where(kept, target[...], 0)\n"
_SHARE = "share = where(kept, weight[id[...]], 0)\n"
_OVER_SHARES = "total = sum(share)\nwhere(total == 0, 0, sum(entry) / where(total == 0, 1, total))"


def _mean_of_kept(settings: Mapping[str, Option], given: Collection[str]) -> str:
    return _OVER_SHARES if "weight" in given else "mean(entry, where=kept)"


def _nll(settings: Mapping[str, Option], given: Collection[str]) -> str:
    if "weight" in given:
        return _KEPT + _SHARE + "entry = where(kept, -share * log_probs[..., id[...]], 0)"
    return _KEPT + "entry = where(kept, -log_probs[..., id[...]], 0)"


def _cross_entropy(settings: Mapping[str, Option], given: Collection[str]) -> str:
    text = _KEPT + "logs = log_softmax(logits[..., k], k)\n"
    if "weight" in given:
        text += _SHARE + "cost = -share * logs[..., id[...]]\n"
    else:
        text += "cost = -logs[..., id[...]]\n"
    if not settings["label_smoothing"]:
        return text + "entry = where(kept, cost, 0)"
    spread = "mean(weight[k] * logs, k)" if "weight" in given else "mean(logs, k)"
    mixed = f"(1 - label_smoothing) * cost - label_smoothing * {spread}"
    return text + f"entry = where(kept, {mixed}, 0)"


def _of_probabilities(settings: Mapping[str, Option], given: Collection[str]) -> str:
    weight = "weight[k] * " if "weight" in given else ""
    wanted = "target[..., k]"
    if settings["label_smoothing"]:
        wanted = f"({wanted} * (1 - label_smoothing) + label_smoothing / size(k))"
    return f"entry = -sum({weight}{wanted} * log_softmax(logits[..., k], k), k)"


def _binary(settings: Mapping[str, Option], given: Collection[str]) -> str:
    if "pos_weight" not in given:
        return "entry = softplus(logits) - target * logits"
    return (
        "weight = 1 + (pos_weight[k] - 1) * target[..., k]\n"
        "entry = (1 - target[..., k]) * logits[..., k] + weight * softplus(-logits[..., k])"
    )


def _focal(settings: Mapping[str, Option], given: Collection[str]) -> str:
    ours, theirs = ("", "") if settings["alpha"] is None else ("alpha * ", "(1 - alpha) * ")
    return (
        f"positive = {ours}target * exp(-gamma * softplus(logits)) * softplus(-logits)\n"
        f"negative = {theirs}(1 - target) * exp(-gamma * softplus(-logits)) * softplus(logits)\n"
        "entry = positive + negative"
    )


def _focal_cross_entropy(settings: Mapping[str, Option], given: Collection[str]) -> str:
    others = "clamp(-expm1(logs), low=1e-30) ** gamma * " if settings["gamma"] else ""
    return (
        _KEPT
        + "chosen = log_softmax(logits[..., k], k)\n"
        + "logs = where(kept, chosen[..., id[...]], 0)\n"
        + f"entry = {others}(-logs)"
    )


CLASSES = (
    Loss(
        "cross_entropy",
        "The cross entropy of the predicted classes.",
        "-log(softmax(logits)[target]) over the last axis, mean over the targets kept; of probabilities "
        "-Σ target log(softmax(logits)), mean over rows.",
        "Goodfellow, Bengio and Courville 2016, section 6.2; `label_smoothing`: Szegedy et al. 2016, section 7",
        {
            "logits": LOGITS,
            "target": Argument(
                "class ids, whole numbers of shape (...); or probabilities of shape (..., k).", "...", "ids"
            ),
        },
        _cross_entropy,
        (
            "logits, label = numpy.array([[2.0, 0.0], [0.0, 0.0]]), numpy.array([0, 1])\n"
            "round(float(wye.losses.cross_entropy(logits, label)), 4)",
            "0.41",
        ),
        extra={"weight": WEIGHT},
        settings={
            "ignore_index": IGNORE,
            "label_smoothing": Setting(0.0, "how much of the target is spread over all classes, from 0 to 1."),
        },
        mean=_mean_of_kept,
        over="lacked",
        kernel=True,
        probabilities=_of_probabilities,
    ),
    Loss(
        "nll",
        "The negative log likelihood of classes, from logarithms of probabilities.",
        "-log_probs[target] over the last axis, mean over the targets kept.",
        "Goodfellow, Bengio and Courville 2016, section 5.5",
        {"log_probs": Argument("logarithms of probabilities, of shape (..., k).", "..., k"), "target": IDS},
        _nll,
        ("round(float(wye.losses.nll(numpy.log([[0.5, 0.5]]), numpy.array([1]))), 4)", "0.6931"),
        extra={"weight": WEIGHT},
        settings={"ignore_index": IGNORE},
        mean=_mean_of_kept,
        over="lacked",
    ),
    Loss(
        "binary_cross_entropy",
        "The cross entropy of yes and no, from logits.",
        "target log(1 + exp(-logits)) + (1 - target) log(1 + exp(logits)), the first times `pos_weight`.",
        "Goodfellow, Bengio and Courville 2016, section 6.2.2.2",
        {
            "logits": Argument("floats of any shape: the logits, no probabilities."),
            "target": Argument("probabilities of that shape, or 0 and 1, False and True."),
        },
        _binary,
        ("round(float(wye.losses.binary_cross_entropy(numpy.zeros(2), numpy.array([0, 1]))), 4)", "0.6931"),
        extra={"pos_weight": Argument("a number, or one for each entry of the last axis: what a yes counts.", "k")},
    ),
    Loss(
        "focal",
        "The binary cross entropy, less where the answer is right already, from logits.",
        "-α (1 - p)^gamma log(p) of a yes with p = sigmoid(logits), -(1 - α) p^gamma log(1 - p) of a no, α being "
        "`alpha`; without it both count 1. Between 0 and 1 the target is a mixture of both.",
        "Lin, Goyal, Girshick, He and Dollár 2017, Focal loss for dense object detection, equation 5",
        {
            "logits": Argument("floats of any shape: the logits, no probabilities."),
            "target": Argument("0 and 1, False and True, of that shape."),
        },
        _focal,
        ("round(float(wye.losses.focal(numpy.zeros(2), numpy.array([0, 1]))), 4)", "0.1733"),
        settings={
            "gamma": Setting(2.0, "how much less right answers count; at 0 it is the binary cross entropy."),
            "alpha": Setting(None, "what a yes counts, from 0 to 1; a no counts the rest. The paper takes 0.25."),
        },
    ),
    Loss(
        "focal_cross_entropy",
        "The cross entropy of class ids, less where the answer is right already.",
        "-(1 - p)^gamma log(p) with p = softmax(logits)[target] over the last axis, mean over the targets kept.",
        "Lin, Goyal, Girshick, He and Dollár 2017, Focal loss for dense object detection, equation 4",
        {"logits": LOGITS, "target": IDS},
        _focal_cross_entropy,
        ("round(float(wye.losses.focal_cross_entropy(numpy.zeros((1, 2)), numpy.array([1]))), 4)", "0.1733"),
        settings={
            "gamma": Setting(2.0, "how much less right answers count; at 0 it is the cross entropy."),
            "ignore_index": IGNORE,
        },
        mean="mean(entry, where=kept)",
        over="lacked",
    ),
    Loss(
        "hinge",
        "The loss of a side and a margin, as of a support vector machine.",
        "max(0, margin - label pred); the gradient at the margin is 0.",
        "Cortes and Vapnik 1995, Support-vector networks",
        {"pred": Argument("floats of any shape."), "label": SIGNS},
        "entry = relu(margin - label * pred)",
        ("float(wye.losses.hinge(numpy.array([0.5, 2.0]), numpy.array([1, -1])))", "1.75"),
        settings={"margin": Setting(1.0, "how far on its side a prediction costs nothing.")},
    ),
    Loss(
        "squared_hinge",
        "The square of the hinge loss.",
        "max(0, margin - label pred)².",
        "Lee and Mangasarian 2001, SSVM: a smooth support vector machine, equation 3",
        {"pred": Argument("floats of any shape."), "label": SIGNS},
        "entry = relu(margin - label * pred) ** 2",
        ("float(wye.losses.squared_hinge(numpy.array([0.5, 2.0]), numpy.array([1, -1])))", "4.625"),
        settings={"margin": Setting(1.0, "how far on its side a prediction costs nothing.")},
    ),
)
