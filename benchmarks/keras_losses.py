"""The named losses, over the same written directly in `keras.ops`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from wye.keras import losses

from .keras_steps import BACKEND, compiled, eager
from .table import Row, milliseconds
from .timing import interleaved

LIMIT = 1.05
SMALL = 256
"""Rows of a batch that is shown for information: looking at the labels costs as much as the arithmetic there."""
DRAW = np.random.default_rng(0)


@dataclass(frozen=True)
class Case:
    """A loss and its forms by hand.

    Args:
        name: what it is called.
        loss: ours.
        forms: the same by hand; the fastest is the peer.
        learned: how many of the inputs get a gradient, the first ones.
        inputs: arrays.
    """

    name: str
    loss: Callable[..., Any]
    forms: Mapping[str, Callable[..., Any]]
    learned: int
    inputs: Sequence[Any]


def floats(*shape: int) -> Any:
    return DRAW.standard_normal(shape).astype("float32")


def ids(size: int, classes: int) -> Any:
    return DRAW.integers(0, classes, size).astype("int32")


MSE = {
    "mean of squares": lambda pred, target: ops.mean(ops.square(pred - target)),
    "a power": lambda pred, target: ops.mean((pred - target) ** 2),
}
CROSS_ENTROPY = {
    "sparse_categorical_crossentropy": lambda logits, label: ops.mean(
        ops.sparse_categorical_crossentropy(label, logits, from_logits=True)
    ),
    "log_softmax, take_along_axis": lambda logits, label: (
        -ops.mean(ops.take_along_axis(ops.log_softmax(logits), ops.expand_dims(label, 1), 1))
    ),
    "log_softmax, one_hot": lambda logits, label: (
        -ops.mean(ops.sum(ops.one_hot(label, logits.shape[1], dtype=logits.dtype) * ops.log_softmax(logits), 1))
    ),
}


def pair_sum(a: Any, b: Any, label: Any) -> Any:
    alike = ops.sum(a * b, -1)
    return ops.mean(ops.where(label == 1, 1 - alike, ops.relu(alike + 0.1)))


def pair_einsum(a: Any, b: Any, label: Any) -> Any:
    alike = ops.einsum("bk,bk->b", a, b)
    return ops.mean(ops.where(label == 1, 1 - alike, ops.relu(alike + 0.1)))


def margin_sum(a: Any, b: Any, label: Any) -> Any:
    alike = ops.sum(a * b, -1)
    return ops.mean(ops.where(label == 1, ops.relu(0.2 - alike), ops.relu(alike + 0.2)))


def margin_einsum(a: Any, b: Any, label: Any) -> Any:
    alike = ops.einsum("bk,bk->b", a, b)
    return ops.mean(ops.where(label == 1, ops.relu(0.2 - alike), ops.relu(alike + 0.2)))


PAIR = {"multiply and sum": pair_sum, "einsum": pair_einsum}
PAIR_MARGIN = {"multiply and sum": margin_sum, "einsum": margin_einsum}


def cases() -> list[Case]:
    found: list[Case] = []
    for rows, width in ((4096, 256), (256, 10)):
        size, inputs = f"{rows}x{width}", [floats(rows, width), floats(rows, width)]
        pairs = [*inputs, ids(rows, 2)]
        found.append(Case(f"mse {size}", losses.mse, MSE, 1, inputs))
        found.append(Case(f"pair {size}", losses.pair, PAIR, 2, pairs))
        found.append(Case(f"pair_margin {size}", losses.pair_margin, PAIR_MARGIN, 2, pairs))
    for rows, classes in ((2048, 1000), (4096, 10), (256, 10)):
        inputs = [floats(rows, classes), ids(rows, classes)]
        found.append(Case(f"cross_entropy {rows}x{classes}", losses.cross_entropy, CROSS_ENTROPY, 1, inputs))
    return found


def rows() -> list[Row]:
    return [row for case in cases() for row in measured(case)]


def measured(case: Case) -> list[Row]:
    """In a compiled step, and in eager for information; torch has eager alone."""
    tensors = [ops.convert_to_tensor(one) for one in case.inputs]
    learned, given = tensors[: case.learned], tensors[case.learned :]
    forms = {"wye": case.loss, **case.forms}
    values = [float(keras.ops.convert_to_numpy(form(*tensors))) for form in forms.values()]
    np.testing.assert_allclose(values, values[0], rtol=1e-5)
    found: list[Row] = []
    for words, step in (("compiled", compiled), ("eager", eager)):
        if words == "compiled" and BACKEND == "torch":
            continue
        runs = {name: step(form, learned, given) for name, form in forms.items()}
        samples = interleaved(runs, seconds=4.0, rounds=200, least=5e-3)
        peer = samples.fastest([*case.forms])
        shown = ", ".join(f"{name} {samples.ratio(name, peer):.2f}" for name in case.forms if name != peer)
        note = f"{milliseconds(samples.median('wye'))} against {peer}, {milliseconds(samples.median(peer))}; {shown}"
        limit = LIMIT if words == "compiled" and len(tensors[0]) > SMALL else None
        found.append(Row(f"{case.name}, {words}", samples.ratio("wye", peer), limit, note))
    return found
