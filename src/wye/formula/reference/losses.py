"""The losses of the catalogue, evaluated through their formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from ...errors import FormulaError, RangeError, ShapeError
from ..catalogue.loss import Loss
from ..contrast_calls import CONTRASTS
from ..expansion import behind, program_of
from ..losses import CATALOGUE
from ..tree import Program
from .contrasts import contrast
from .given import Given
from .meeting import Rules
from .values import REST, Array, Items, Named, Order, Term, derived, describe, floating, number

Run = Callable[[Program, str, Mapping[str, Named | Items], Rules], Named]

OWN = "'"
"""What stands behind the names of the caller's axes, so that they are none of the formula's."""
WANTED = {"labels": (0, 1), "signs": (-1, 1)}


def loss(given: Given, run: Run) -> Named:
    """The value of a loss; `run` evaluates a program on named values."""
    if given.function.name in CONTRASTS:
        return contrast(given)
    known = CATALOGUE[given.function.name]
    terms = {**dict(zip(known.values, given.terms, strict=True)), **given.extra}
    if all(term.value.number for name, term in terms.items() if name in known.values) and known.name != "mse":
        raise _shapes_differ(given, "tensors")
    probabilities = known.name == "cross_entropy" and terms["target"].value.array.dtype.kind == "f"
    values = {name: _in_its_role(given, known, name, term, probabilities) for name, term in terms.items()}
    declared = any(value.axes for value in values.values())
    over: Order = ()
    if declared:
        over = _axes_over(given, known, values)
        count = len(over)
        values = {name: _laid(known, name, value, over) for name, value in values.items()}
        bare = [name for name in values if not over or known.arguments[name].axes == "..."]
    else:
        count = {"all": given.options.get("dims") or 0}.get(known.over, 1)
        assert isinstance(count, int)
        _check_exact(given, known, values, count, probabilities)
        bare = [name for name, value in values.items() if value.number or value.axes == ()]
    if "ignore_index" in known.settings and not probabilities:
        logits, target = (values[name] for name in known.values)
        _check_classes(given, target.array, logits.shape[-1])
    program = program_of(known, given.options, list(given.extra), count, bare, probabilities)
    value = _run(given, run, program, values)
    operands = [term.value for term in terms.values()]
    axes = None if not declared or value.axes is None else tuple(name.removesuffix(OWN) for name in value.axes)
    return derived(value.array, axes, operands)


def _run(given: Given, run: Run, program: Program, values: Mapping[str, Named]) -> Named:
    options = {**given.function.options, **given.options}
    named: dict[str, Named | Items] = {**values}
    named |= {name: number(value) for name, value in options.items() if isinstance(value, (int, float))}
    named |= {name: Items(value, False) for name, value in options.items() if isinstance(value, tuple)}
    try:
        return run(program, given.site.words, named, given.rules)
    except FormulaError as error:
        raise given.site.error(error.what, error.got, error.fix, type(error)) from error


# values


def _in_its_role(given: Given, known: Loss, name: str, term: Term, probabilities: bool) -> Named:
    value, role = term.value, known.arguments[name].role
    site, kind = given.site.at(term.node), value.array.dtype.kind
    if role == "floats" or probabilities:
        return replace(value, array=floating(value.array))
    if role == "ids":
        if kind not in ("iub" if known.name == "cross_entropy" else "iu"):
            raise site.error(f"`{site.words}` holds no class ids.", str(value.array.dtype), "give integers", ShapeError)
        return replace(value, array=value.array.astype(np.int64))
    if kind not in ("iub" if role == "labels" else "iubf"):
        fix = f"say which are 1: {site.words} > 0"
        raise site.error(f"`{site.words}` holds fractions, and labels are 0 and 1.", kind, fix, ShapeError)
    if role == "signs" and kind == "b":
        return replace(value, array=np.where(value.array, 1.0, -1.0))
    if not np.isin(value.array, WANTED[role]).all():
        low, high = WANTED[role]
        raise site.error(
            f"`{site.words}` holds a label other than {low} and {high}.",
            f"{value.array.min()} to {value.array.max()}",
            f"say which are 1: {site.words} > 0",
            RangeError,
        )
    return value if role == "labels" else replace(value, array=floating(value.array))


def _check_classes(given: Given, ids: Array, count: int) -> None:
    ids = ids[ids != given.options.get("ignore_index", given.function.options["ignore_index"])]
    if ids.size and (ids.min() < 0 or ids.max() >= count):
        worst = int(ids.min()) if ids.min() < 0 else int(ids.max())
        raise given.site.at(given.terms[1].node).error(
            f"`{given.words(1)}` holds a class id outside of the logits.",
            f"{worst}, of {count} classes, 0 to {count - 1}",
            "leave an id out with ignore_index=...",
            RangeError,
        )


def _check_exact(given: Given, known: Loss, values: Mapping[str, Named], count: int, probabilities: bool) -> None:
    """The shapes of undeclared values are those that the catalogue says."""
    if known.name == "mse" and not given.rules.strict:
        return
    layout = {name: known.arguments[name].axes for name in values}
    if probabilities:
        layout["target"] = layout["logits"]
    tensors = {name: value.shape for name, value in values.items() if name in known.values or not value.number}
    first = next(iter(known.values))
    shape = tensors[first]
    lead = len(shape) - (count if layout[first] == "..., k" else 0)
    last = shape[-1:] if layout[first] == "..." else shape[max(lead, 0) :]
    wanted = {"...": shape[: max(lead, 0)], "..., k": shape, "k": last}
    if lead < 0 or any(tensors[name] != wanted[layout[name]] for name in tensors):
        rules = {
            "mse": "equal shapes",
            "cross_entropy": "class ids shaped like the logits but for their last axis, or probabilities",
        }
        raise _shapes_differ(given, rules.get(known.name, f"exact shapes, `k` behind the others: {layout}"))


def _axes_over(given: Given, known: Loss, values: Mapping[str, Named]) -> Order:
    """The axes that a loss of declared values goes over: those named, or the one that a value lacks."""
    rows = [value.axes or () for name, value in values.items() if known.arguments[name].axes == "..., k"]
    lacking = {n for name, value in values.items() if known.arguments[name].axes == "..." for n in value.axes or ()}
    over = tuple(node.id for node in given.axes)
    if known.over == "lacked":
        over = tuple(name for name in rows[0] if name not in lacking and all(name in axes for axes in rows))
    if not over and known.over in ("", "all"):
        return ()
    fits = len(set(over)) == len(over) > 0 and REST not in over and (known.over != "lacked" or len(over) == 1)
    for name, value in values.items():
        axes, own = known.arguments[name].axes, set(value.axes or ())
        fits = fits and {"...": not own & {*over}, "..., k": {*over} <= own, "k": own == {*over}}[axes]
    if not fits:
        raise _shapes_differ(given, "one axis that all rows have, and that the other values lack")
    return over


def _laid(known: Loss, name: str, value: Named, over: Order) -> Named:
    """The value with the axes `over` last, called as in the catalogue; the others are the caller's own."""
    if value.axes is None:
        return value
    order: Order = value.axes
    called = {axis: axis if axis == REST else axis + OWN for axis in order}
    if over and known.arguments[name].axes != "...":
        order = (*(axis for axis in order if axis not in over), *over)
        called |= dict(zip(over, behind(len(over)), strict=True))
    turned = value.transposed(order)
    axes = tuple(called[axis] for axis in order)
    return replace(turned, axes=axes, written=(axes,) if axes else ())


def _shapes_differ(given: Given, wanted: str) -> FormulaError:
    shown = [f"{given.words(place)} {describe(term.value)}" for place, term in enumerate(given.terms)]
    return given.site.error(
        f"`{given.function.name}` wants {wanted}.",
        ", ".join(shown),
        "give such values; for other shapes write the loss out with its axes named",
        ShapeError,
    )
