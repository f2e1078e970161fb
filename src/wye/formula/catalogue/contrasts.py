"""Losses that compare every row with every other. Each front computes them in tiles, without the matrix of all pairs.

All logits of such a loss are N×M numbers. They are computed tile by tile and forgotten, in the forward and its gradient
alike: memory grows with the rows, not with their pairs. Few rows, second derivatives and captured graphs take the plain
form, which writes all logits out; so do weights `target` that have a gradient.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .loss import Argument, Lines, Loss, Option, Setting

QUERY = Argument("floats of shape (N, d).", "..., k")
SAME = Argument("floats of that shape; row i belongs to row i of a.", "..., k")
TEMPERATURE = Argument(
    "a number or a tensor of one element, above 0, which divides the products and may learn.", "", "scale"
)
LABEL = Argument("whole numbers, one for each pair: all rows of one label belong together.", "...", "groups")
TARGET = Argument("how much row i of one side belongs to row j of the other, floats of shape (N, N).", "..., k")
SETTINGS: Mapping[str, Setting] = {
    "normalize": Setting(
        True, "whether rows are divided by their norms; a row of zeros stays one, without a gradient."
    ),
    "multiply": Setting(None, '"bfloat16" rounds what is multiplied; sums are in 32 bits at least, whatever the rows.'),
}
_EYES = "numpy.eye(2), numpy.array([[2.0, 0.0], [1.0, 1.0]])"
_MINE = "mine[i, j] = label[i] == {}[j]\n"
_COUNT = "count[i] = sum(mine[i, j], j)\n"
_OF_LABEL = "logsumexp(s[i, j], j{}) - mean(s[i, j], j, where=mine[i, j])"


def _logits(a: str, b: str, settings: Mapping[str, Option], more: str = "") -> str:
    left, right = f"{a}[i, d]", f"{b}[j, d]"
    if settings["normalize"]:
        left, right = f"unit({left}, d)", f"unit({right}, d)"
    return f"s[i, j] = sum({left} * {right}, d) / temperature{more}\n"


def _info_nce(settings: Mapping[str, Option], given: Collection[str]) -> str:
    text = _logits("query", "key", settings)
    if "target" in given:
        return text + "entry[i] = sum(target[i, j], j) * logsumexp(s[i, j], j) - sum(target[i, j] * s[i, j], j)"
    if "label" in given:
        entry = f"entry[i] = where(count > 0, {_OF_LABEL.format('')}, 0)"
        return text + _MINE.format("key_label") + _COUNT + entry
    return text + "entry[i] = logsumexp(s[i, j], j) - sum(s[i, j] * (i == j), j)"


def _clip_loss(settings: Mapping[str, Option], given: Collection[str]) -> str:
    text = _logits("a", "b", settings)
    if "target" in given:
        return (
            text + "row[n] = sum(target[n, j], j) * logsumexp(s[n, j], j) - sum(target[n, j] * s[n, j], j)\n"
            "column[n] = sum(target[i, n], i) * logsumexp(s[i, n], i) - sum(target[i, n] * s[i, n], i)\n"
            "entry = (row + column) / 2"
        )
    if "label" in given:
        return (
            text + _MINE.format("label") + "row[n] = logsumexp(s[n, j], j) - mean(s[n, j], j, where=mine[n, j])\n"
            "column[n] = logsumexp(s[i, n], i) - mean(s[i, n], i, where=mine[i, n])\n"
            "entry = (row + column) / 2"
        )
    return text + "entry[n] = (logsumexp(s[n, j], j) + logsumexp(s[i, n], i)) / 2 - s[n, n]"


def _siglip_loss(settings: Mapping[str, Option], given: Collection[str]) -> str:
    mine = "target[i, j]" if "target" in given else "(label[i] == label[j])" if "label" in given else "(i == j)"
    return _logits("a", "b", settings, " + bias") + f"entry[i] = sum(softplus(s[i, j]) - s[i, j] * {mine}, j)"


def _nt_xent(settings: Mapping[str, Option], given: Collection[str]) -> str:
    views = "concat(unit(a), unit(b), axis=0)" if settings["normalize"] else "concat(a, b, axis=0)"
    return (
        f"x = {views}\ns[i, j] = sum(x[i, d] * x[j, d], d) / temperature\nn = size(i) / 2\n"
        "entry[i] = logsumexp(s[i, j], j, where=i != j) - sum(s[i, j] * (abs(i - j) == n), j)"
    )


def _sup_con(settings: Mapping[str, Option], given: Collection[str]) -> str:
    mine = "mine[i, j] = (label[i] == label[j]) and i != j\n"
    entry = f"entry[i] = where(count > 0, {_OF_LABEL.format(', where=i != j')}, 0)"
    return _logits("x", "x", settings) + mine + _COUNT + entry


def _mean_of_kept(settings: Mapping[str, Option], given: Collection[str]) -> str:
    return "mean(entry, where=count > 0)" if "label" in given else "mean(entry)"


def _contrast(
    name: str, title: str, mathematics: str, source: str, values: dict[str, Argument], lines: Lines,
    example: tuple[str, str], extra: dict[str, Argument] | None = None, mean: Lines = "mean(entry)",
    variants: tuple[tuple[str, ...], ...] = (),
) -> Loss:  # fmt: skip
    return Loss(
        name, title, mathematics, source, values, lines, example, extra or {}, SETTINGS, mean, kernel=True,
        variants=variants,
    )  # fmt: skip


CONTRASTS = (
    _contrast(
        "info_nce",
        "Each query is to choose its key among all keys.",
        "With s_ij = query_i · key_j / temperature of unit rows, query i has logsumexp_j(s_ij) - Σ_j P_ij s_ij. P_ij "
        "is 1 for j = i, keys behind the last query belonging to nobody. With labels P_ij is 1 over the count of keys "
        "of the query's label, and queries without such a key are left out. Nothing to compare is a loss of 0.",
        "van den Oord, Li and Vinyals 2018, Representation learning with contrastive predictive coding, equation 4",
        {
            "query": QUERY,
            "key": Argument("floats of shape (M, d); without labels and target M is N or more.", "..., k"),
            "temperature": TEMPERATURE,
        },
        _info_nce,
        (
            "query, key = numpy.eye(2), numpy.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])\n"
            "wye.losses.info_nce(query, key, 0.5, reduction='none').round(4)",
            "array([0.1429, 0.2395])",
        ),
        {
            "label": Argument("whole numbers, one for each query; with `key_label`.", "...", "groups"),
            "key_label": Argument("whole numbers, one for each key.", "...", "groups"),
            "target": Argument(
                "P itself, floats of shape (N, M); rows that do not sum to 1 multiply the logsumexp by their sum.",
                "..., k",
            ),
        },
        _mean_of_kept,
        (("label", "key_label"), ("target",)),
    ),
    _contrast(
        "clip_loss",
        "Each row of a is to choose its row of b, and the other way round.",
        "½ (info_nce(a, b) + info_nce(b, a)), both from one product; the columns of `target` serve the other direction "
        "as they are. Nothing to compare is a loss of 0.",
        "Radford et al. 2021, Learning transferable visual models from natural language supervision, figure 3",
        {"a": QUERY, "b": SAME, "temperature": TEMPERATURE},
        _clip_loss,
        (f"image, text = {_EYES}\nround(float(wye.losses.clip_loss(image, text, 0.5)), 4)", "0.3701"),
        {"label": LABEL, "target": TARGET},
        variants=(("label",), ("target",)),
    ),
    _contrast(
        "siglip_loss",
        "Each pair of rows is to be told right or wrong by itself.",
        "With s_ij = a_i · b_j / temperature + bias of unit rows, row i of a has Σ_j (softplus(s_ij) - P_ij s_ij), "
        "which is -Σ_j log σ(± s_ij). P_ij is 1 for j = i, or for rows of one label. Of nothing it is 0.",
        "Zhai et al. 2023, Sigmoid loss for language image pre-training, section 3.2; from a temperature of 0.1 "
        "and a bias of -10",
        {
            "a": QUERY,
            "b": SAME,
            "temperature": TEMPERATURE,
            "bias": Argument("a number or a tensor of one element, which may learn.", ""),
        },
        _siglip_loss,
        ("round(float(wye.losses.siglip_loss(numpy.eye(2), numpy.eye(2), 0.1, -10.0)), 4)", "0.6932"),
        {"label": LABEL, "target": TARGET},
        variants=(("label",), ("target",)),
    ),
    _contrast(
        "nt_xent",
        "Each view of a sample is to choose the other one among all other views.",
        "Of the 2N rows of both, row i has logsumexp_{j≠i}(s_ij) - s_ip, p being the sample's other view; a sample "
        "has the mean of both. Views in one tensor, in whatever order, are `sup_con` with their samples for labels.",
        "Chen et al. 2020, A simple framework for contrastive learning of visual representations, equation 1",
        {"a": QUERY, "b": SAME, "temperature": TEMPERATURE},
        _nt_xent,
        (
            "first, second = numpy.eye(2), numpy.array([[1.0, 0.0], [1.0, 1.0]])\n"
            "wye.losses.nt_xent(first, second, 0.5, reduction='none').round(4)",
            "array([0.5259, 0.7474])",
        ),
    ),
    _contrast(
        "sup_con",
        "Each row is to choose those of its label among all others.",
        "Row i has -1/|P(i)| Σ_{p ∈ P(i)} log(exp(s_ip) / Σ_{j≠i} exp(s_ij)), P(i) being the other rows of its label. "
        "Rows that have no other are left out; they remain among those to choose from.",
        "Khosla et al. 2020, Supervised contrastive learning, equation 2, L_out",
        {
            "x": Argument("floats of shape (N, d), all views of all samples.", "..., k"),
            "label": Argument("whole numbers, one for each row.", "...", "groups"),
            "temperature": TEMPERATURE,
        },
        _sup_con,
        (
            "x, label = numpy.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]), numpy.array([0, 0, 1])\n"
            "wye.losses.sup_con(x, label, 0.5, reduction='none').round(4)",
            "array([0.2176, 0.6931, 0.    ])",
        ),
        mean="mean(entry, where=count > 0)",
    ),
)
