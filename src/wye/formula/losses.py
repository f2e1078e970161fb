"""The catalogue: the field's named losses as formulas, written once for every front.

A loss is its formula: where one is called, its formula is read with the arguments for its names. A few have a kernel
on each front as well; the formula then says what that must equal. NumPy computes every one of them by its formula.

What holds for all of them:

- **Shapes** are exact. Undeclared values that are to have one shape have it, (N, 1) beside (N,) is a ShapeError.
  Values with named axes meet by name.
- **`reduction`** is "mean" over all entries, rows or pairs, "sum", or "none": one loss for each.
- **Of nothing the mean is 0**: an empty batch, every target ignored, weights that sum to 0. The gradient is 0 and
  attached.
- **Rows of zeros** have a cosine of 0 with any other, and finite gradients.
- **Large values**: no loss of logits overflows; where a loss is infinite by its mathematics, it is infinite.
- **16 bits**: floats of 16 bits are computed with, and summed, in 32, and the result is rounded once.
- **Whole numbers and booleans** become floats before they are computed with: nothing wraps.
- **Ids** that are negative or too large are refused, or give NaN where a captured graph cannot refuse; so are labels
  that are none, and temperatures that are not above 0.
"""

from __future__ import annotations

from ..errors import InputError, did_you_mean
from .catalogue.classes import CLASSES
from .catalogue.contrasts import CONTRASTS
from .catalogue.densities import DENSITIES
from .catalogue.differences import DIFFERENCES
from .catalogue.graphs import GRAPHS
from .catalogue.loss import Argument, Loss, Setting
from .catalogue.overlaps import OVERLAPS
from .catalogue.pairs import PAIRS

CATALOGUE: dict[str, Loss] = {loss.name: loss for loss in (*DIFFERENCES, *CLASSES, *DENSITIES, *OVERLAPS, *PAIRS)}

NAMED: dict[str, Loss] = {**CATALOGUE, **{loss.name: loss for loss in (*CONTRASTS, *GRAPHS)}}
"""All named losses: those of the catalogue, those that compare every row with every other, and those over graphs."""


def written(loss: Loss) -> str:
    """The call as one would write it in Python."""
    words = [*loss.values, *(f"{name}={default!r}" for name, default in loss.options.items())]
    return f"{loss.name}({', '.join([*words, *(f'{name}=None' for name in loss.extra)])})"


def told(loss: Loss) -> str:
    """What a docstring says of a loss: title, mathematics, arguments, errors, an example and the source."""
    example = "".join(f"    >>> {line}\n" for line in ("import numpy, wye", *loss.example[0].split("\n")))
    return (
        f"{loss.title}\n\n{loss.mathematics}\n\nArgs:\n{_arguments(loss)}\n\nReturns:\n"
        '    Without axes, or with `reduction="none"` one loss for each entry, row or pair; in the floats\' dtype.\n\n'
        f"Raises:\n    ShapeError: the shapes do not fit. In a formula, name the axes to broadcast on purpose.\n"
        f"{_range_error(loss)}\nExample:\n{example}    {loss.example[1]}\n\nSource: {loss.source}.\n"
    )


def show(name: str) -> str:
    """A loss of the catalogue as a text to read: its call, mathematics, formula, arguments and source.

    The formula is that of the defaults, on values without names for their axes; it can be copied and changed. Losses
    that are told in several ways which rows belong together have one for each.

    Raises:
        InputError: there is no such loss.

    Example:
        >>> import wye
        >>> print(wye.losses.show("mae"))
        mae(pred, target, reduction='mean')
        The mean absolute error.
        <BLANKLINE>
        mathematics: |pred - target|, mean over all entries; the gradient at 0 is 0.
        <BLANKLINE>
            entry = abs(pred - target)
            mean(entry)
        <BLANKLINE>
            pred: floats of any shape.
            target: numbers of that shape.
            reduction: "mean", "sum", or "none".
        <BLANKLINE>
        source: Boscovich 1757; see Hastie, Tibshirani and Friedman 2009, section 10.6
    """
    if name not in NAMED:
        fix = did_you_mean(str(name), NAMED, f"choose from {' '.join(NAMED)}")
        raise InputError("the catalogue has no such loss.", f"losses.show({name!r})", str(name), fix)
    loss = NAMED[name]
    parts = [f"{written(loss)}\n{loss.title}", f"mathematics: {loss.mathematics}"]
    parts += [_indented(loss.text())] if loss.lines else []
    for given in loss.variants:
        parts += [f"with {' and '.join(given)}:", _indented(loss.text(given=given))]
    return "\n\n".join([*parts, _arguments(loss), f"source: {loss.source}"])


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.split("\n"))


def _arguments(loss: Loss) -> str:
    known: dict[str, Argument | Setting] = {**loss.values, **loss.settings, "reduction": loss.reduction, **loss.extra}
    return "\n".join(f"    {name}: {one.told}" for name, one in known.items())


def _range_error(loss: Loss) -> str:
    roles = {one.role for one in loss.values.values()}
    if "ids" in roles:
        return "    RangeError: a class id is out of range. A captured graph cannot refuse it: there it is NaN.\n"
    wanted = {
        "labels": "a label is neither 0 nor 1",
        "signs": "a label is neither 1 nor -1",
        "scale": "the temperature is not above 0",
    }
    return "".join(
        f"    RangeError: {wanted[role]}. Where nobody can look, its loss is NaN.\n"
        for role in sorted(roles & wanted.keys())
    )
