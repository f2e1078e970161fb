"""The losses of the catalogue, evaluated through their formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from ...errors import FormulaError, RangeError, ShapeError
from ..contrast_calls import CONTRASTS
from ..functions import FUNCTIONS
from ..losses import CATALOGUE
from ..tree import Name
from .calls import called
from .contrasts import contrast
from .given import Given
from .meeting import Rules, laid_out, spread, together
from .values import REST, Array, Items, Named, Order, Term, derived, describe, floating, number

Run = Callable[[str, Mapping[str, Named | Items], Rules], Named]

_PROBABILITIES = """\
kind = target[..., k] * (1 - label_smoothing) + label_smoothing / size(k)
entry = sum(kind * (logits[..., k] - logsumexp(logits[..., k], k)), k)
"""
PROBABILITIES = {
    "none": _PROBABILITIES + "-entry",
    "sum": _PROBABILITIES + "-sum(entry)",
    "mean": _PROBABILITIES + "-mean(entry)",
}


def loss(given: Given, run: Run) -> Named:
    """The value of a loss; `run` evaluates a text on named values."""
    if given.function.name in CONTRASTS:
        return contrast(given)
    if given.function.name == "cross_entropy":
        return _cross_entropy(given, run)
    if "label" in given.function.values:
        return _pair(given, run)
    values = [term.value for term in given.terms]
    if given.rules.strict and all(value.axes is None for value in values) and len({v.shape for v in values}) > 1:
        raise _shapes_differ(given, "equal shapes")
    return _catalogued(given, CATALOGUE[given.function.name], values, run)


def _catalogued(given: Given, formulas: Mapping[str, str], values: list[Named], run: Run) -> Named:
    options = {**given.function.options, **given.options}
    named: dict[str, Named | Items] = dict(zip(given.function.values, values, strict=True))
    named |= {name: term.value for name, term in given.extra.items()}
    named |= {name: number(value) for name, value in options.items() if isinstance(value, (int, float))}
    if "label_weights" in options:
        weights = options["label_weights"]
        named["label_weights"] = Items(weights if isinstance(weights, tuple) else (1, 1), False)
    text = formulas[str(options["reduction"])]
    try:
        value = run(text, named, given.rules)
    except FormulaError as error:
        raise given.site.error(error.what, error.got, error.fix, type(error)) from error
    operands = [term.value for term in (*given.terms, *given.extra.values())]
    declared = any(operand.axes is not None for operand in values)
    return derived(value.array, value.axes if declared else None, operands)


def _cross_entropy(given: Given, run: Run) -> Named:
    logits, target = (term.value for term in given.terms)
    if logits.axes is not None and target.axes is not None:
        axes, arrays = _class_last(given, logits, target, logits.axes, target.axes)
        bare = replace(given, terms=tuple(Term(Named(a), t.node) for a, t in zip(arrays, given.terms, strict=True)))
        value = _cross_entropy(bare, run)
        return derived(value.array, axes if given.options.get("reduction") == "none" else (), [logits, target])
    if logits.axes is not None or target.axes is not None:
        raise _shapes_differ(given, "both values declared, or neither")
    whole = target.array.dtype.kind in "iub"
    if not logits.shape or target.shape != (logits.shape[:-1] if whole else logits.shape):
        raise _shapes_differ(given, "class ids shaped like the logits but for their last axis, or probabilities")
    ids = target.array.astype(np.int64) if whole else floating(target.array)
    if whole:
        ignored = given.options.get("ignore_index", given.function.options["ignore_index"])
        _check_classes(given, ids[ids != ignored], logits.shape[-1])
    return _catalogued(given, CATALOGUE["cross_entropy"] if whole else PROBABILITIES, [logits, Named(ids)], run)


def _check_classes(given: Given, ids: Array, count: int) -> None:
    if ids.size and (ids.min() < 0 or ids.max() >= count):
        worst = int(ids.min()) if ids.min() < 0 else int(ids.max())
        raise given.site.at(given.terms[1].node).error(
            f"`{given.words(1)}` holds a class id outside of the logits.",
            f"{worst}, of {count} classes, 0 to {count - 1}",
            "leave an id out with ignore_index=...",
            RangeError,
        )


def _class_last(
    given: Given, logits: Named, target: Named, first: Order, second: Order
) -> tuple[Order, tuple[Array, Array]]:
    """Both arrays in the order of the target, with the axis of classes last."""
    classes = [name for name in first if name not in second]
    if len(classes) != 1 or classes[0] == REST or set(second) - set(first):
        raise given.site.error(
            "the axis of classes is the one that the logits have and the target lacks.",
            f"{given.words(0)} {describe(logits)}, {given.words(1)} {describe(target)}",
            f"name them like cross_entropy({given.words(0).split('[')[0]}[b, k], {given.words(1).split('[')[0]}[b])",
            ShapeError,
        )
    if target.sizes().get(REST) != logits.sizes().get(REST):
        raise _shapes_differ(given, "equal axes behind `...`")
    rest = len(target.places().get(REST, ()))
    return second, (laid_out(logits, (*second, classes[0]), rest), target.array)


def _pair(given: Given, run: Run) -> Named:
    values = [term.value for term in given.terms]
    if any(value.number for value in values):
        raise _shapes_differ(given, "tensors")
    _check_labels(given, values[2])
    if not any(value.axes for value in values):
        a, b, label = (value.shape for value in values)
        if not a or a != b or label != a[:-1]:
            raise _shapes_differ(given, "two values of one shape, and a label of that shape but for its last axis")
        return _catalogued(given, CATALOGUE[given.function.name], values, run)
    first, second, own = (value.axes or () for value in values)
    lost = [name for name in first if name in second and name not in own]
    if len(lost) != 1 or lost[0] == REST or {*first, *second} - {*lost} != {*own}:
        raise _shapes_differ(given, "values that share one axis which the label lacks, and a label with all others")
    rules = replace(given.rules, meant=True)
    dot = replace(given, function=FUNCTIONS["dot"], terms=given.terms[:2], axes=(Name(lost[0]),), options={})
    alike = Term(called(replace(dot, rules=rules)), given.terms[0].node)
    like = together([alike, given.terms[2]], rules, given.site.span)
    row = spread(alike.value, like)[..., None]
    bare = [Named(array, data=True) for array in (row, np.ones_like(row), spread(values[2], like))]
    terms = tuple(Term(value, term.node) for value, term in zip(bare, given.terms, strict=True))
    value = _catalogued(replace(given, terms=terms), CATALOGUE[given.function.name], bare, run)
    return derived(value.array, like.axes if given.options.get("reduction") == "none" else (), values)


def _check_labels(given: Given, label: Named) -> None:
    site = given.site.at(given.terms[2].node)
    if label.array.dtype.kind not in "iub":
        raise site.error(
            f"`{site.words}` holds fractions, and labels are 0 and 1.",
            str(label.array.dtype),
            f"say which are 1: {site.words} > 0",
            ShapeError,
        )
    if not np.isin(label.array, (0, 1)).all():
        raise site.error(
            f"`{site.words}` holds a label other than 0 and 1.",
            f"{label.array.min()} to {label.array.max()}",
            f"say which are 1: {site.words} > 0",
            RangeError,
        )


def _shapes_differ(given: Given, wanted: str) -> FormulaError:
    shown = [f"{given.words(place)} {describe(term.value)}" for place, term in enumerate(given.terms)]
    return given.site.error(
        f"`{given.function.name}` wants {wanted}.",
        ", ".join(shown),
        "give such values; for other shapes write the loss out with its axes named",
        ShapeError,
    )
