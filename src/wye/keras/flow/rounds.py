"""Rounds of a loop in a captured graph: a few are written out, many become one loop of the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from ..kernels import ON_JAX, ops, truth
from .routing import states

WRITTEN_OUT = 32
"""So many rounds are written out, and samples parted in each of them; in more they are masked."""
State = tuple[Any, ...]


def loop(step: Callable[[Any, State], State], state: State, most: int, layers: Sequence[keras.Layer]) -> State:
    """`most` rounds, of which each gets its number and what the one before it gave.

    XLA gives wrong gradients where rows are gathered within a loop of TensorFlow's graph, so what runs here masks. JAX
    has a gradient for loops of a known number of rounds alone, and there what layers write is handed on.
    """
    if not ON_JAX:

        def body(place: Any, *inner: Any) -> State:
            return (place + 1, *step(place, inner))

        return ops.while_loop(lambda place, *_: place < most, body, (0, *state), maximum_iterations=most)[1:]
    variables, written = states(layers)

    def within(place: Any, carried: tuple[State, list[Any]]) -> tuple[State, list[Any]]:
        inner, values = carried
        known = {id(one): value for one, value in zip(written, values, strict=True)}
        held = [(one, known.get(id(one), one.value)) for one in variables]
        with keras.StatelessScope(state_mapping=held) as scope:
            found = step(place, inner)
        return found, [scope.get_current_value(one) for one in written]

    found, values = ops.fori_loop(0, most, within, (state, [one.value for one in written]))
    for variable, value in zip(written, values, strict=True):
        variable.assign(value)
    return found


def is_known(x: Any) -> bool:
    """Whether the entries of a tensor are known, as they are in eager."""
    return truth(ops.all(ops.equal(x, x))) is not None
