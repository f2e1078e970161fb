"""Rounds of a loop in a captured graph: a few are written out, many become one loop of the graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from ...errors import FlowError
from ..kernels import ON_JAX, by_xla, graphs, ops, truth
from .routing import states

WRITTEN_OUT = 32
"""So many rounds are written out, and samples parted in each of them; in more they are masked."""
State = tuple[Any, ...]


def loop(
    step: Callable[[Any, State], State], state: State, most: int, layers: Sequence[keras.Layer], node: Any
) -> State:
    """`most` rounds, of which each gets its number and what the one before it gave.

    XLA gives wrong gradients where rows are gathered within a loop of TensorFlow's graph, so what runs here masks. JAX
    has a gradient for loops of a known number of rounds alone. Variables are read before the loop, and what layers
    write is handed on from round to round.

    Raises:
        FlowError: in training on TensorFlow XLA compiles a loop within a branch, of which it has no gradient.
    """
    if node._trains and has_no_gradient(keras.tree.flatten(state)[0]):
        what = "XLA on TensorFlow has no gradient of a loop within a branch."
        fix = f"bound it by {WRITTEN_OUT} rounds, which are written out; or compile with jit_compile=False"
        raise FlowError(what, node.line, f"up to {most} rounds", fix)
    _, written = states(layers)
    variables = list({id(one): one for one in node.variables}.values())  # its condition reads some of its own
    before = {id(one): ops.convert_to_tensor(one.value) for one in variables}

    def turned(place: Any, inner: State, values: Sequence[Any]) -> tuple[State, list[Any]]:
        held = {**before, **{id(one): value for one, value in zip(written, values, strict=True)}}
        with keras.StatelessScope(state_mapping=[(one, held[id(one)]) for one in variables]) as scope:
            found = step(place, inner)
        return found, [scope.get_current_value(one) for one in written]

    first = (state, [before[id(one)] for one in written])
    if ON_JAX:
        found, values = ops.fori_loop(0, most, lambda place, carried: turned(place, *carried), first)
    else:
        body = lambda place, *carried: (place + 1, *turned(place, *carried))  # noqa: E731
        _, found, values = ops.while_loop(lambda place, *_: place < most, body, (0, *first), maximum_iterations=most)
    for variable, value in zip(written, values, strict=True):
        variable.assign(value)
    return found


def has_no_gradient(x: Any) -> bool:
    """Whether it is within a branch of a graph that XLA compiles."""
    return by_xla(x) and any(type(one).__name__ == "CondBranchFuncGraph" for one in graphs(x))


def is_known(x: Any) -> bool:
    """Whether the entries of a tensor are known, as they are in eager."""
    return truth(ops.all(ops.equal(x, x))) is not None
