"""The contrastive losses, with every logit written out."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ...errors import FormulaError, ShapeError
from .. import refusals
from ..contrast_shapes import EQUAL
from .functions import cast_to
from .given import Given
from .meeting import laid_out
from .values import REST, Array, Named, derived, describe, floating


def contrast(given: Given) -> Named:
    """The value of a contrastive loss."""
    named = dict(zip(given.function.values, (term.value for term in given.terms), strict=True))
    named |= {role: term.value for role, term in given.extra.items()}
    order = _order(given, named)
    if order is not None:
        named = {role: _laid(value, _axes(role, order)) for role, value in named.items()}
    _check(given, named)
    arrays = {role: value.array for role, value in named.items()}
    options = {**given.function.options, **given.options}
    losses, kept = LOSSES[given.function.name](arrays, bool(options["normalize"]), options["multiply"] is not None)
    operands = [*(term.value for term in given.terms), *(term.value for term in given.extra.values())]
    if options["reduction"] == "none":
        return derived(losses, (order[0],) if order else None, operands)
    total = losses.sum() if options["reduction"] == "sum" else losses.sum() / max(kept, 1)
    return derived(np.asarray(total), () if order else None, operands)


Loss = Callable[[dict[str, Array], bool, bool], tuple[Array, int]]


def _unit(x: Array, normalize: bool) -> Array:
    norm = np.sqrt((floating(x) ** 2).sum(1, keepdims=True))
    return np.where(norm == 0, 0.0, x / np.where(norm == 0, 1.0, norm)) if normalize else floating(x)


def _logits(x: Array, y: Array, given: dict[str, Array], normalize: bool, rounded: bool) -> Array:
    left = _unit(x, normalize) / floating(given["temperature"]).reshape(())
    right = _unit(y, normalize)
    if rounded:
        left, right = cast_to(left, "bfloat16"), cast_to(right, "bfloat16")
    return left @ right.T


def _weights(given: dict[str, Array], rows: int, columns: int) -> Array:
    """How much each column belongs to each row."""
    if "target" in given:
        return floating(given["target"])
    if "label" in given:
        label = given["label"]
        alike = (label[:, None] == given.get("key_label", label)).astype(np.float64)
        return alike / np.maximum(alike.sum(1, keepdims=True), 1)
    return np.eye(rows, columns)


def _chosen(logits: Array, weights: Array) -> Array:
    """Σ_j P_ij (logsumexp(L_i) - L_ij), of entries that are not -inf."""
    peak: Array = logits.max(1, keepdims=True, initial=-np.inf)
    shifted = logits - np.where(peak == -np.inf, 0.0, peak)
    with np.errstate(divide="ignore"):
        logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return 0.0 - np.where(weights == 0, 0.0, weights * np.where(weights == 0, 0.0, logs)).sum(1)


def _info_nce(given: dict[str, Array], normalize: bool, rounded: bool) -> tuple[Array, int]:
    query, key = given["query"], given["key"]
    weights = _weights(given, len(query), len(key))
    kept = int((weights.sum(1) > 0).sum()) if "label" in given else len(query)
    return _chosen(_logits(query, key, given, normalize, rounded), weights), kept


def _clip_loss(given: dict[str, Array], normalize: bool, rounded: bool) -> tuple[Array, int]:
    logits = _logits(given["a"], given["b"], given, normalize, rounded)
    weights = _weights(given, *logits.shape)
    return (_chosen(logits, weights) + _chosen(logits.T, weights.T)) / 2, len(logits)


def _siglip_loss(given: dict[str, Array], normalize: bool, rounded: bool) -> tuple[Array, int]:
    logits = _logits(given["a"], given["b"], given, normalize, rounded) + floating(given["bias"]).reshape(())
    weights = _weights(given, *logits.shape)
    if "label" in given:
        weights = (weights > 0).astype(np.float64)
    return (np.logaddexp(0, logits) - weights * logits).sum(1), len(logits)


def _against_itself(x: Array, label: Array, given: dict[str, Array], normalize: bool, rounded: bool) -> Array:
    logits = _logits(x, x, given, normalize, rounded)
    np.fill_diagonal(logits, -math.inf)
    alike = (label[:, None] == label).astype(np.float64)
    np.fill_diagonal(alike, 0)
    return _chosen(logits, alike / np.maximum(alike.sum(1, keepdims=True), 1))


def _nt_xent(given: dict[str, Array], normalize: bool, rounded: bool) -> tuple[Array, int]:
    count = len(given["a"])
    views, label = np.concatenate([given["a"], given["b"]]), np.tile(np.arange(count), 2)
    losses = _against_itself(views, label, given, normalize, rounded)
    return (losses[:count] + losses[count:]) / 2, count


def _sup_con(given: dict[str, Array], normalize: bool, rounded: bool) -> tuple[Array, int]:
    label = given["label"]
    kept = int(((label[:, None] == label).sum(1) > 1).sum()) if len(label) else 0
    return _against_itself(given["x"], label, given, normalize, rounded), kept


LOSSES: dict[str, Loss] = {
    "info_nce": _info_nce,
    "clip_loss": _clip_loss,
    "siglip_loss": _siglip_loss,
    "nt_xent": _nt_xent,
    "sup_con": _sup_con,
}


def _order(given: Given, named: dict[str, Named]) -> tuple[str, str, str] | None:
    """The names of the axes of rows, of columns and of features; None where none are declared."""
    values = {role: value for role, value in named.items() if role not in ("temperature", "bias")}
    if all(not value.axes for value in values.values()):
        return None
    sides = [value.axes or () for role, value in values.items() if role in ("a", "b", "query", "key", "x")]
    first, last = sides[0], sides[-1]
    if len(first) != 2 or len(last) != 2 or REST in (*first, *last):
        raise _unfit(given, "rows of features with two named axes")
    shared = [axis for axis in first if axis in last]
    features = shared[0] if len(shared) == 1 else first[1]
    rows = next(axis for axis in first if axis != features)
    columns = next((axis for axis in last if axis != features), rows)
    order = (rows, columns, features)
    wrong = [role for role, value in values.items() if sorted(value.axes or ()) != sorted(_axes(role, order))]
    if wrong or (rows == columns and "target" in values):
        raise _unfit(given, "rows that share an axis of features, and labels with the axis of the rows")
    return order


def _axes(role: str, order: tuple[str, str, str]) -> tuple[str, ...]:
    rows, columns, features = order
    known = {"label": (rows,), "key_label": (columns,), "target": (rows, columns), "temperature": (), "bias": ()}
    return known.get(role, (columns if role in ("b", "key") else rows, features))


def _laid(value: Named, axes: tuple[str, ...]) -> Named:
    return Named(laid_out(value, axes, 0)) if value.axes else value


def _check(given: Given, named: dict[str, Named]) -> None:
    name = given.function.name
    sides = [value.shape for role, value in named.items() if role in ("a", "b", "query", "key", "x")]
    if any(named[role].array.size != 1 for role in ("temperature", "bias") if role in named):
        raise _unfit(given, "one number for `temperature` and `bias`")
    if (temperature := float(named["temperature"].array.reshape(()))) <= 0:
        error = refusals.not_above_zero(temperature)
        raise given.site.error(error.what, error.got, error.fix, error.kind)
    if any(len(shape) != 2 for shape in sides) or sides[0][1] != sides[-1][1]:
        raise _unfit(given, "rows of as many features on both sides")
    rows, columns = sides[0][0], sides[-1][0]
    by_place = "label" not in named and "target" not in named
    if (name in EQUAL and rows != columns) or (by_place and name == "info_nce" and rows > columns):
        raise _unfit(given, "as many rows on both sides")
    wanted = {"label": (rows,), "key_label": (columns,), "target": (rows, columns)}
    if any(role in named and named[role].shape != shape for role, shape in wanted.items()):
        raise _unfit(given, "a label for each row, a weight for each pair")
    labels = [role for role in ("label", "key_label") if role in named]
    if any(named[role].array.dtype.kind not in "iub" for role in labels):
        raise _unfit(given, "labels that are whole numbers")
    if ("target" in named and labels and name != "sup_con") or (name == "info_nce" and len(labels) == 1):
        raise given.site.error(
            f"`{name}` is told by labels of both sides or by `target` which rows belong together.",
            ", ".join([*labels, *(["target"] if "target" in named else [])]),
            "give label and key_label, or target" if name == "info_nce" else "give one of them",
            FormulaError,
        )


def _unfit(given: Given, wanted: str) -> FormulaError:
    shown = [f"{given.words(place)} {describe(term.value)}" for place, term in enumerate(given.terms)]
    return given.site.error(
        f"`{given.function.name}` wants {wanted}.", ", ".join(shown), "give such values", ShapeError
    )
