"""The rows of a batch: some are taken out and put back, or all are parted among branches and merged again.

On TensorFlow and torch, rows are gathered: a branch sees its samples and no others. JAX knows all shapes before a run,
so there a branch sees the whole batch, and what is not its own is masked. So it is in graphs of TensorFlow that XLA
compiles (`jit_compile=True`), for its gradients of gathered rows are wrong. In the place of samples that are not taken
stands a copy of one that is, so that nothing which is not finite comes from the side not taken, in gradients neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from ...errors import FlowError
from ..kernels import ON_JAX, Array, by_xla, ops, sizes, truth
from .values import Value, mapped

Sides = Mapping[str, Any]
Run = Callable[[Value, dict[str, Any]], Value]


def masks(mask: Array) -> bool:
    """Whether samples are masked rather than gathered: on JAX, and in a graph of TensorFlow that XLA compiles."""
    return ON_JAX or by_xla(mask)


def take(value: Value, index: Array) -> Value:
    """The samples at `index`; tensors without axes stay as they are."""
    return mapped(lambda tensor: ops.take(tensor, index, axis=0) if len(tensor.shape) else tensor, value)


def splice(rest: Value, index: Array, rows: Value) -> Value:
    """The value with other samples at `index`."""
    places = ops.expand_dims(index, 1)
    return mapped(lambda old, new: ops.scatter_update(old, places, new), rest, rows)


def merge(places: Array, pieces: Sequence[Value]) -> Value:
    """Pieces of a batch, one for each place and in their order, in the order of the batch."""
    count = ops.shape(places)[0]
    keys = ops.multiply(places, count) + ops.arange(count, dtype=places.dtype)  # no two alike: sorting is not stable
    order = ops.argsort(ops.argsort(keys))
    return mapped(lambda *rows: ops.take(ops.concatenate(rows, 0), order, axis=0), *pieces)


def select(mask: Array, value: Value, other: Value) -> Value:
    """The samples of one value where the mask holds, else those of the other."""

    def one(yes: Array, no: Array) -> Array:
        wide = mask
        for _ in range(len(yes.shape) - 1):
            wide = ops.expand_dims(wide, -1)
        return ops.where(wide, yes, no)

    return mapped(one, value, other)


def instead(mask: Array, value: Value) -> Value:
    """The value with a copy of the first sample that is taken in the place of each that is not."""
    first = ops.argmax(ops.cast(mask, "int32"))
    row = mapped(lambda tensor: ops.stop_gradient(ops.take(tensor, ops.expand_dims(first, 0), axis=0)), value)
    return select(mask, value, row)


def within(mask: Array, sides: Sides, moving: frozenset[str]) -> dict[str, Any]:
    """Side inputs for a branch that sees the whole batch, those of samples not taken replaced."""
    return {name: instead(mask, value) if name in moving else value for name, value in sides.items()}


def one_of(place: Any, runs: Sequence[Callable[[], Any]], layers: Sequence[keras.Layer]) -> Any:
    """What one of several functions gives, chosen by a number that the run alone may know.

    What a branch writes, such as the averages of a batch norm, would be lost on JAX, and leak from a graph within a
    graph on TensorFlow: it is handed out, and written behind the branches.
    """
    if isinstance(place, int):
        return runs[place]()
    refuse_penalties(layers)
    variables, written = states(layers)
    if not written:
        return ops.switch(ops.cast(place, "int32"), list(runs))
    found, values = ops.switch(ops.cast(place, "int32"), [apart(run, variables, written) for run in runs])
    for variable, value in zip(written, values, strict=True):
        variable.assign(value)
    return found


def refuse_penalties(layers: Sequence[keras.Layer]) -> None:
    """What a layer adds to the loss within a branch cannot leave a captured graph's branch."""
    for layer in layers:
        for inner in layer._flatten_layers():  # pyright: ignore[reportPrivateUsage]
            if getattr(inner, "activity_regularizer", None) is not None:
                raise FlowError(
                    "a captured graph loses what a layer within a branch adds to the loss.",
                    f"{type(inner).__name__}(activity_regularizer=...)",
                    f"the layer {inner.name}",
                    "write the penalty as a term of an Objective",
                )


def states(layers: Sequence[keras.Layer]) -> tuple[list[Any], list[Any]]:
    """All variables of some layers, and those among them that a call may write."""
    variables = {id(one): one for layer in layers for one in layer.variables}
    written = {id(one): one for layer in layers for one in layer.non_trainable_variables}
    return list(variables.values()), list(written.values())


def apart(run: Callable[[], Any], variables: Sequence[Any], written: Sequence[Any]) -> Callable[[], Any]:
    """The function, which hands out what it would have written."""

    def pure() -> tuple[Any, list[Any]]:
        with keras.StatelessScope(state_mapping=[(one, one.value) for one in variables]) as scope:
            found = run()
        return found, [scope.get_current_value(one) for one in written]

    return pure


def on_taken(
    mask: Array,
    x: Value,
    sides: Sides,
    moving: frozenset[str],
    run: Run,
    layers: Sequence[keras.Layer],
    masked: bool = False,
    once: bool = False,
) -> Value:
    """The value with the samples of the mask replaced by what a function makes of them; of none it makes nothing.

    Args:
        mask: one truth for each sample.
        x: the value that flows.
        sides: side inputs.
        moving: names of those that travel with their samples.
        run: from samples, and side inputs of theirs, to new samples of the same shape.
        layers: those that the function calls.
        masked: whether samples are masked where they could be gathered, too.
        once: whether this is no round of a loop: a graph then holds the function twice, to gather nothing where all
            samples are taken.
    """
    some = truth(ops.any(mask))
    if some is False:
        return x
    if some and truth(ops.all(mask)):
        return run(x, dict(sides))

    def partly() -> Value:
        if masked or masks(mask):
            return select(mask, run(instead(mask, x), within(mask, sides, moving)), x)
        index = ops.nonzero(mask)[0]
        return splice(
            x, index, run(take(x, index), {n: take(v, index) if n in moving else v for n, v in sides.items()})
        )

    if some:
        return partly()
    if once and not masks(mask):
        place = ops.cast(ops.any(mask), "int32") + ops.cast(ops.all(mask), "int32")
        return one_of(place, [lambda: x, partly, lambda: run(x, dict(sides))], layers)
    return one_of(ops.any(mask), [lambda: x, partly], layers)


def parted(
    places: Array,
    x: Value,
    sides: Sides,
    moving: frozenset[str],
    runs: Sequence[Run],
    empty: Callable[[int], Value],
    layers: Sequence[keras.Layer],
) -> Value:
    """Each sample by the function of its place.

    Args:
        places: for each sample the number of its function.
        x: the value that flows.
        sides: side inputs.
        moving: names of those that travel with their samples.
        runs: from samples, and side inputs of theirs, to new samples.
        empty: what each function makes of nothing, without running it.
        layers: those that the functions call.
    """
    if masks(places):
        count = sizes(places)[0]
        found = mapped(lambda none: ops.zeros((count, *sizes(none)[1:]), none.dtype), empty(0))
        for place, run in enumerate(runs):
            mask = ops.equal(places, place)
            if truth(ops.any(mask)) is False:
                continue

            def mine(found: Value = found, mask: Array = mask, run: Run = run) -> Value:
                return select(mask, run(instead(mask, x), within(mask, sides, moving)), found)

            found = one_of(ops.any(mask), [lambda found=found: found, mine], layers)
        return found
    pieces = list[Value]()
    for place, run in enumerate(runs):
        index = ops.nonzero(ops.equal(places, place))[0]

        def rows(index: Array = index, run: Run = run) -> Value:
            return run(take(x, index), {n: take(v, index) if n in moving else v for n, v in sides.items()})

        some = truth(ops.size(index) > 0)
        if some is not False:
            none = lambda place=place: empty(place)  # noqa: E731
            if not some:
                refuse_penalties(layers)
            pieces.append(rows() if some else ops.cond(ops.size(index) > 0, rows, none))
    return merge(places, pieces) if len(pieces) > 1 else pieces[0]
