"""`Switch` and `When` per sample on TensorFlow, forward and backward in one graph."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

import wye.keras as wye

from .keras_steps import compiled
from .table import Row, milliseconds
from .timing import Run, interleaved

COUNT, WIDTH = 16, 512
SWITCHED, PARTED = 1024, 4096
LIMIT = 0.25
"""Of computing all branches and selecting: at least four times as fast."""
FRACTIONS = (0.0, 0.1, 0.25, 0.5, 1.0)
DRAW = np.random.default_rng(0)


def floats(*shape: int) -> Any:
    return ops.convert_to_tensor(DRAW.standard_normal(shape).astype("float32"))


def block() -> keras.Layer:
    made = layers.Dense(WIDTH, activation="relu")
    made.build((None, WIDTH))
    return made


def step(function: Any, x: Any, side: Any, models: Any, grad: Any) -> Run:
    """Forward and backward of a block within a network: its gradient is given, as by what stands behind."""
    weights = [variable.value for model in models for variable in model.trainable_variables]
    return compiled(lambda x, *rest: ops.sum(function(x, rest[-2]) * rest[-1]), [x, *weights], [side, grad])


def rows() -> list[Row]:
    return [switch_row(), *(when_row(fraction) for fraction in FRACTIONS)]


def switch_row() -> Row:
    branches = [block() for _ in range(COUNT)]
    switch, index = wye.Switch("kind", *branches), ops.convert_to_tensor(DRAW.integers(0, COUNT, SWITCHED))
    x, grad = floats(SWITCHED, WIDTH), floats(SWITCHED, WIDTH)
    everything = {
        "all, take_along_axis": lambda x, kind: ops.take_along_axis(
            ops.stack([branch(x) for branch in branches], 1), ops.reshape(kind, (-1, 1, 1)), 1
        )[:, 0],
        "all, one_hot": lambda x, kind: ops.einsum(
            "nbk,bn->bk", ops.stack([branch(x) for branch in branches]), ops.one_hot(kind, COUNT, dtype="float32")
        ),
        "all, where": lambda x, kind: chosen(branches, x, kind),
    }
    forms = {"wye": lambda x, kind: switch(x, kind=kind), **everything, "one": lambda x, kind: branches[0](x)}
    values = [ops.convert_to_numpy(form(x, index)) for name, form in forms.items() if name != "one"]
    for value in values[1:]:
        np.testing.assert_allclose(value, values[0], atol=1e-4)
    runs = {
        name: step(form, x, index, branches if name != "one" else branches[:1], grad) for name, form in forms.items()
    }
    samples = interleaved(runs, seconds=20.0)
    peer = samples.fastest([*everything])
    shown = ", ".join(f"{name} {samples.ratio(name, peer):.2f}" for name in everything if name != peer)
    note = f"{milliseconds(samples.median('wye'))} against {peer}, {milliseconds(samples.median(peer))}; {shown}"
    note += f"; over one branch on the full batch {samples.ratio('wye', 'one'):.2f}"
    return Row(f"Switch, {COUNT} branches, {SWITCHED}x{WIDTH}", samples.ratio("wye", peer), LIMIT, note)


def chosen(branches: list[Any], x: Any, kind: Any) -> Any:
    """All branches on the full batch, one after the other put where it belongs."""
    found = branches[0](x)
    for place, branch in enumerate(branches[1:], 1):
        found = ops.where(ops.expand_dims(kind == place, 1), branch(x), found)
    return found


def when_row(fraction: float) -> Row:
    part = block()
    when, control = wye.When("control > 0.5", part), np.zeros(PARTED, "float32")
    control[DRAW.permutation(PARTED)[: round(PARTED * fraction)]] = 1.0
    x, grad = floats(PARTED, WIDTH), floats(PARTED, WIDTH)
    forms = {
        "wye": lambda x, control: when(x, control=control),
        "full": lambda x, control: part(x),
        "ops.where": lambda x, control: ops.where(ops.expand_dims(control > 0.5, 1), part(x), x),
    }
    side = ops.convert_to_tensor(control)
    runs = {name: step(form, x, side, [part], grad) for name, form in forms.items()}
    samples = interleaved(runs, seconds=8.0)
    note = f"full {milliseconds(samples.median('full'))}; ops.where {samples.ratio('ops.where', 'full'):.2f}"
    return Row(f"When, {PARTED}x{WIDTH}, {fraction:g} taken", samples.ratio("wye", "full"), None, note)
