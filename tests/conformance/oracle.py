"""What a formula is worth and how it slopes, in NumPy float64: the reference, and difference quotients of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tests.conformance.cases import VALUES, Array, Case
from wye.formula.formula import Formula
from wye.formula.reference import evaluate

STEP = 2.0**-7
STENCIL = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
"""A difference quotient whose error is of the eighth order in the step."""


@dataclass(frozen=True)
class Expected:
    """The value, and the gradient of its weighted sum in every value of floats."""

    value: Array
    gradients: dict[str, Array]


def given(case: Case) -> dict[str, Array]:
    """The values that the formula reads."""
    formula = Formula(case.text)
    return {name: VALUES[name] for name in VALUES if name in formula.names}


def weights_of(case: Case, shape: tuple[int, ...]) -> Array:
    """What the entries of a value count in the sum that is differentiated; all alike where gradients are written."""
    return np.ones(shape) if case.gradients else weights(shape)


def weights(shape: tuple[int, ...]) -> Array:
    """Seven weights in turn, all exact in float32."""
    return np.asarray((1 + np.arange(np.prod(shape, dtype=int)) % 7).reshape(shape) / 8)


def value(case: Case, values: dict[str, Array]) -> Array:
    formula = Formula(case.text)
    return np.asarray(evaluate(formula.program, values, formula.text), float)


def expected(case: Case) -> Expected:
    values = given(case)
    found = value(case, values)
    floats = [name for name, array in values.items() if array.dtype.kind == "f"]
    if case.gradients:
        written = {
            name: np.broadcast_to(np.asarray(case.gradients[name], float), values[name].shape) for name in floats
        }
        return Expected(found, written)
    return sloped(partial(value, case), values)


def sloped(function: Callable[[dict[str, Array]], Array], values: dict[str, Array]) -> Expected:
    """The value of a function of values by name, and how its weighted sum changes with each of floats."""
    found = function(values)
    floats = [name for name, array in values.items() if array.dtype.kind == "f"]
    return Expected(found, {name: slope(function, values, name, found.shape) for name in floats})


def slope(
    function: Callable[[dict[str, Array]], Array], values: dict[str, Array], name: str, shape: tuple[int, ...]
) -> Array:
    """How the weighted sum changes with each entry of one value."""
    at, weight = values[name], weights(shape)
    found = np.zeros(at.shape)
    for place in np.ndindex(at.shape):
        for steps, share in STENCIL.items():
            for side in (1, -1):
                moved = at.copy()
                moved[place] += side * steps * STEP
                total = (weight * function({**values, name: moved})).sum()
                found[place] += side * share * total / STEP
    return found


def far(left: Any, right: Any, tolerance: float) -> bool:
    """Whether two arrays differ in shape or by more than the tolerance, absolute and relative."""
    one, two = np.asarray(left, float), np.asarray(right, float)
    return one.shape != two.shape or not np.allclose(one, two, tolerance, tolerance, equal_nan=True)


def furthest(pairs: Iterable[tuple[Any, Any]]) -> float:
    """The largest difference, for a message."""
    return max((float(np.abs(np.asarray(a, float) - np.asarray(b, float)).max(initial=0)) for a, b in pairs), default=0)
