"""Random formulas with the values that they read, and what the reference makes of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from tests.laws import named_values, random_formulas, random_shapes
from wye.errors import WyeError
from wye.formula.grammar import parse
from wye.formula.reference import evaluate

Values = dict[str, Any]
REFUSED = "refused"
RESTS: tuple[tuple[int, ...], ...] = ((3,), (3, 2), ())


@dataclass(frozen=True)
class Case:
    """A formula and the values that it reads."""

    text: str
    values: Values


def drawn(seed: int, wrong: float = 0.1) -> Iterator[Case]:
    """Random formulas: most with named axes, some of them with `...`, the others without; some of them wrong."""
    random = Random(seed)
    named = {rest: named_values.values(seed, rest) for rest in RESTS}
    plain = random_shapes.values(seed)
    while True:
        depth, kind = random.choice((1, 2, 2, 3, 3)), random.random()
        if kind < 0.2:
            text, values = random_shapes.ShapeWriter(random).formula(depth), plain
        else:
            rest = kind < 0.35
            text = random_formulas.Writer(random, rest).formula(depth)
            values = named[random.choice(RESTS) if rest else RESTS[0]]
        yield Case(random_formulas.wrong(text, random) if random.random() < wrong else text, values)


def cases(count: int, seed: int, wrong: float = 0.1) -> Iterator[Case]:
    return itertools.islice(drawn(seed, wrong), count)


def on_arrays(text: str, values: Values) -> Any:
    return evaluate(parse(text), {**values, "f": lambda x: np.cumsum(x, 0) if np.ndim(x) else x}, text)


def told(function: Callable[[str, Values], Any], text: str, values: Values) -> Any:
    """The value, or that there is none."""
    try:
        return function(text, values)
    except WyeError:
        return REFUSED


def differ(left: Any, right: Any, tolerance: float = 1e-10) -> bool:
    if isinstance(left, str) or isinstance(right, str):
        return not (isinstance(left, str) and isinstance(right, str))
    if isinstance(left, tuple):
        return len(left) != len(right) or any(map(differ, left, right))
    one, two = (np.asarray(value.detach() if hasattr(value, "detach") else value) for value in (left, right))
    if one.shape != two.shape:
        return True
    return not np.allclose(one.astype(float), two.astype(float), tolerance, tolerance, equal_nan=True)
