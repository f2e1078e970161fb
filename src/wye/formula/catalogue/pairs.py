"""Losses of pairs and of three: what belongs together is drawn together."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .loss import Argument, Lines, Loss, Option, Setting

ROWS = Argument("floats of shape (..., k).", "..., k")
SAME = Argument("floats of that shape.", "..., k")
LABEL = Argument(
    "1 or True for pairs that belong together, 0 or False for others; of shape (...). Others are refused; in a "
    "captured graph, and on an accelerator under torch, nobody looks: the loss of that pair is NaN there.",
    "...",
    "labels",
)
SIGN = Argument("1 or True for pairs that belong together, -1 or False for others; of shape (...).", "...", "signs")
WEIGHTS = Setting(None, "(w0, w1) multiply the losses of labels 0 and 1; left out, both are 1.")
TRIPLE = {"anchor": ROWS, "positive": SAME, "negative": SAME}
_PAIR_CALL = (
    "a, b = numpy.array([[{}, 0.0], [0.5, 0.5]]), numpy.array([[0.5, 1.0], [1.0, 0.0]])\n"
    "wye.losses.{}(a, b, numpy.array([1, 0]){}, reduction='none').round(4)"
)
_TRIPLE_CALL = (
    "rows = [numpy.array([row]) for row in ([1.0, 0.0], [0.0, 1.0], [0.6, 0.8])]\nround(float(wye.losses.{}(*rows)), 4)"
)


def _of_pairs(together: str) -> Lines:
    def lines(settings: Mapping[str, Option], given: Collection[str]) -> str:
        text = "s = dot(a[..., k], b[..., k], k)\n"
        if settings["label_weights"] is None:
            return text + f"entry = where(label[...] == 1, {together}, max(0, s + margin))"
        return (
            text
            + f"cost = where(label[...] == 1, {together}, max(0, s + margin))\n"
            + "entry = where(label[...] == 1, label_weights[1], label_weights[0]) * cost"
        )

    return lines


def _triplet(settings: Mapping[str, Option], given: Collection[str]) -> str:
    swapped = "norm(positive[..., k] - negative[..., k] + eps, k)"
    far = "norm(anchor[..., k] - negative[..., k] + eps, k)"
    return (
        "near = norm(anchor[..., k] - positive[..., k] + eps, k)\n"
        f"far = {f'min({far}, {swapped})' if settings['swap'] else far}\n"
        "entry = clamp(margin + near - far, low=0)"
    )


PAIRS = (
    Loss(
        "pair",
        "Draws pairs together or apart: by 1 - s, or until s is below a margin.",
        "With s = Σ a b over the last axis: 1 - s where the label is 1, max(0, s + margin) where it is 0. s is not "
        "normalised: give unit(a) for cosines.",
        "Hadsell, Chopra and LeCun 2006, Dimensionality reduction by learning an invariant mapping: a loss of pairs "
        "with a margin, there of distances",
        {"a": ROWS, "b": SAME, "label": LABEL},
        _of_pairs("1 - s"),
        (_PAIR_CALL.format("1.0", "pair", ", label_weights=(0.7, 0.3)"), "array([0.15, 0.42])"),
        settings={
            "margin": Setting(0.1, "how far below 0 the products of pairs that do not belong together are to be."),
            "label_weights": WEIGHTS,
        },
        over="lacked",
        kernel=True,
    ),
    Loss(
        "pair_margin",
        "Draws pairs together or apart, up to a margin on either side.",
        "With s = Σ a b over the last axis: max(0, margin - s) where the label is 1, max(0, s + margin) where it is 0; "
        "s is as in `pair`.",
        "Hadsell, Chopra and LeCun 2006, as for `pair`",
        {"a": ROWS, "b": SAME, "label": LABEL},
        _of_pairs("max(0, margin - s)"),
        (_PAIR_CALL.format("0.1", "pair_margin", ""), "array([0.15, 0.7 ])"),
        settings={
            "margin": Setting(0.2, "how far on their side of 0 the products are to be."),
            "label_weights": WEIGHTS,
        },
        over="lacked",
        kernel=True,
    ),
    Loss(
        "margin_ranking",
        "Ranks the first value above the second, or below it.",
        "max(0, margin - label (a - b)).",
        "Herbrich, Graepel and Obermayer 2000, Large margin rank boundaries for ordinal regression",
        {
            "a": Argument("floats of any shape."),
            "b": Argument("floats of that shape."),
            "label": Argument("1 or True where `a` is to be above, -1 or False where below.", "...", "signs"),
        },
        "entry = clamp(margin - label * (a - b), low=0)",
        ("float(wye.losses.margin_ranking(numpy.ones(2), numpy.zeros(2), numpy.array([1, -1])))", "0.5"),
        settings={"margin": Setting(0.0, "how far apart they are to be.")},
    ),
    Loss(
        "cosine_embedding",
        "Draws pairs together or apart by the cosine between them.",
        "1 - cos(a, b) over the last axis where the label is 1, max(0, cos(a, b) - margin) where it is -1; the cosine "
        "with a row of zeros is 0.",
        "Bromley et al. 1993, Signature verification using a siamese time delay neural network",
        {"a": ROWS, "b": SAME, "label": SIGN},
        "s = cosine(a[..., k], b[..., k], k)\n"
        "together = (1 + label[...]) / 2\n"
        "entry = together * (1 - s) + (1 - together) * clamp(s - margin, low=0)",
        (
            "a, b = numpy.array([[1.0, 0.0], [1.0, 0.0]]), numpy.array([[0.0, 2.0], [3.0, 0.0]])\n"
            "wye.losses.cosine_embedding(a, b, numpy.array([1, -1]), reduction='none')",
            "array([1., 1.])",
        ),
        settings={"margin": Setting(0.0, "the cosine below which pairs that do not belong together cost nothing.")},
        over="lacked",
    ),
    Loss(
        "triplet",
        "Draws an anchor nearer to a positive than to a negative, by a margin of distances.",
        "max(0, margin + |anchor - positive| - |anchor - negative|) with lengths over the last axis, `eps` added to "
        "each difference.",
        "Schroff, Kalenichenko and Philbin 2015, FaceNet, equation 3; `swap`: Balntas et al. 2016",
        TRIPLE,
        _triplet,
        (_TRIPLE_CALL.format("triplet"), "1.5198"),
        settings={
            "margin": Setting(1.0, "how much nearer the positive is to be."),
            "swap": Setting(False, "whether the negative's distance is that to the nearer of anchor and positive."),
            "eps": Setting(1e-6, "what keeps the distance of equal rows from a kink."),
        },
        over="last",
    ),
    Loss(
        "triplet_cosine",
        "Draws an anchor nearer to a positive than to a negative, by a margin of cosines.",
        "max(0, margin - cos(anchor, positive) + cos(anchor, negative)) over the last axis; the cosine with a row of "
        "zeros is 0.",
        "Schroff, Kalenichenko and Philbin 2015, FaceNet, equation 3, with cosines for distances",
        TRIPLE,
        "near = cosine(anchor[..., k], positive[..., k], k)\n"
        "far = cosine(anchor[..., k], negative[..., k], k)\n"
        "entry = clamp(margin - near + far, low=0)",
        (_TRIPLE_CALL.format("triplet_cosine"), "0.8"),
        settings={"margin": Setting(0.2, "how much larger the cosine with the positive is to be.")},
        over="last",
    ),
)
