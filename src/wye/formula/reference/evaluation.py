"""A formula and the formulas it names, evaluated on given values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..tree import Name, Program, walk
from .interpreter import Interpreter
from .scope import Value, World
from .values import Named, Site, given_back


def evaluate(
    program: Program,
    values: Mapping[str, object],
    text: str,
    *,
    formulas: Mapping[str, tuple[Program, str]] | None = None,
    context: frozenset[str] = frozenset(),
    strict: bool = True,
) -> object:
    """The value of a formula, computed in float64.

    Args:
        program: the tree.
        values: for each name a number, an array, a tuple or dict of such, or a callable. Floating arrays are computed
            in float64; int32 and int64 stay whole until they meet floats; booleans and smaller integers become floats.
        text: what the tree was parsed from.
        formulas: names that stand for formulas, each with its tree and its text.
        context: the names whose values are context, not data.
        strict: whether undeclared values meet strictly.

    Returns:
        An array, or a scalar for a value without axes; a Python number if only such went in; a tuple if several
        values are written.

    Raises:
        FormulaError: the text does not fit the values; ShapeError and RangeError tell of shapes and picks.
    """
    world = World(values, formulas or {}, context, strict)
    with np.errstate(all="ignore"):
        try:
            settle(world, program, text)
            value = Interpreter(world, program, text).result()
        except RecursionError as error:
            raise Site(text, program.span).error(
                "the formula nests too deep to be evaluated.", f"{len(text):,} characters", "bind inner pieces in lines"
            ) from error
    return given_back(value)


def settle(world: World, program: Program, text: str) -> None:
    """Evaluate the formulas that a program names, the innermost first, so that none waits for another."""
    waiting = [(program, text, "")]
    while waiting:
        current, words, own = waiting[-1]
        names = (node for node in walk(current) if isinstance(node, Name))
        missing = next((n for n in names if n.id in world.formulas and n.id not in world.found), None)
        path = [name for _, _, name in waiting if name]
        if missing is None:
            waiting.pop()
            if own:
                world.found[own] = _released(Interpreter(world, current, words).result())
        elif missing.id in path:
            site = Site(words, missing.span)
            raise site.error(f"`{missing.id}` is made of itself.", " -> ".join([*path, missing.id]), "cut the circle")
        else:
            waiting.append((*world.formulas[missing.id], missing.id))


def _released(value: Value) -> Value:
    """The value of a named formula as others see it: of the axes inside, only its own remain."""
    if not isinstance(value, Named) or value.axes is None:
        return value
    orders = (tuple(name for name in order if name in (value.axes or ())) for order in value.written)
    return replace(value, written=tuple(order for order in dict.fromkeys(orders) if order))
