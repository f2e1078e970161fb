"""Early-learning regularisation on Keras, held against a loop over the samples in NumPy and float64."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import wye.keras as wye
from tests.keras.plain import BACKEND, alike, array, dense, numbers

SAMPLES, CLASSES, BATCH = 9, 4, 5
LOW, HIGH = 0.05, 0.6  # narrow, so that some probabilities lie at both bounds
RATE, MOMENTUM = 0.3, 0.9
WAYS: dict[str, dict[str, Any]] = {
    "eager": {"run_eagerly": True},
    "fit": {"jit_compile": False},
    "xla": {"jit_compile": True},
}
if BACKEND == "torch":
    del WAYS["xla"]  # there it would be torch's compiler, which writes C++ first
if BACKEND == "jax":
    del WAYS["fit"]  # the other one is what a fit does there


def elr() -> wye.Objective:
    return wye.Objective(
        "ce + weight * mean(log(1 - dot(p, t)))",
        ce="cross_entropy(net(x), label)",
        p=f"clamp(softmax(net(x)), {LOW}, {HIGH})",
        t=wye.Table(np.zeros((SAMPLES, CLASSES), "float32"), by="id", update="keep * t + (1 - keep) * p"),
        net=dense(1, CLASSES, 3),
        weight=3.0,
        keep=0.7,
    )


def data() -> dict[str, Any]:
    """Four batches, the last one a small one; ids come twice in a batch, and in several of them."""
    ids = [8, 1, 1, 0, 2, 5, 5, 5, 5, 5, 0, 1, 2, 3, 4, 8, 8]
    return {"x": 2 * array(3, len(ids), 3), "label": np.arange(len(ids)) % CLASSES, "id": np.array(ids)}


class Loop:
    """The same, sample by sample: a linear layer, its targets in a dict, and SGD with momentum."""

    def __init__(self, loss: wye.Objective) -> None:
        self.weights = [numbers(one).astype("float64") for one in (loss.net.kernel, loss.net.bias)]
        self.speeds = [np.zeros_like(one) for one in self.weights]
        self.targets: dict[int, Any] = {}
        self.weight, self.keep = 3.0, 0.7

    def call(self, x: Any, label: Any, ids: Any) -> tuple[float, float, list[Any]]:
        """The total, the cross-entropy, and the gradients; the targets are new behind it."""
        (kernel, bias), total, ce = self.weights, 0.0, 0.0
        gradients, seen = [np.zeros_like(kernel), np.zeros_like(bias)], dict[int, list[Any]]()
        for row, place, one in zip(x.astype("float64"), label, ids, strict=True):
            scores = np.exp(row @ kernel + bias)
            scores /= scores.sum()
            old = self.targets.get(int(one), np.zeros(CLASSES))
            p = np.array([min(max(score, LOW), HIGH) for score in scores])
            left = 1 - sum(p[k] * old[k] for k in range(CLASSES))
            ce -= np.log(scores[place])
            total += self.weight * np.log(left) - np.log(scores[place])
            toward = [-self.weight * old[k] / left if LOW < scores[k] < HIGH else 0.0 for k in range(CLASSES)]
            along = sum(scores[k] * toward[k] for k in range(CLASSES))
            slope = np.array([scores[k] * (toward[k] - along) + scores[k] - (k == place) for k in range(CLASSES)])
            gradients[0] += np.outer(row, slope) / len(ids)
            gradients[1] += slope / len(ids)
            seen.setdefault(int(one), []).append(self.keep * old + (1 - self.keep) * p)
        self.targets |= {one: sum(entries) / len(entries) for one, entries in seen.items()}
        return total / len(ids), ce / len(ids), gradients

    def epoch(self, given: dict[str, Any]) -> tuple[float, float]:
        """One epoch of a fit: the mean loss and cross-entropy, a batch counted by its samples."""
        sums, count = np.zeros(2), len(given["id"])
        for start in range(0, count, BATCH):
            batch = [given[name][start : start + BATCH] for name in ("x", "label", "id")]
            total, ce, gradients = self.call(*batch)
            sums += np.array([total, ce]) * len(batch[0]) / count
            for place, gradient in enumerate(gradients):
                self.speeds[place] = MOMENTUM * self.speeds[place] - RATE * gradient
                self.weights[place] = self.weights[place] + self.speeds[place]
        return sums[0], sums[1]

    def table(self) -> Any:
        return np.array([self.targets.get(one, np.zeros(CLASSES)) for one in range(SAMPLES)])


@pytest.mark.parametrize("way", WAYS)
def test_a_fit(way: str) -> None:
    loss, given = elr(), data()
    loop = Loop(loss)
    loss.compile(keras.optimizers.SGD(RATE, momentum=MOMENTUM), **WAYS[way])
    for keep, weight, epochs in ((0.7, 3.0, 2), (0.4, 1.5, 1)):  # numbers that are switched between two steps
        loss.keep = loop.keep = keep
        loss.weight = loop.weight = weight
        seen = loss.fit(given, batch_size=BATCH, epochs=epochs, shuffle=False, verbose=0).history
        wanted = [loop.epoch(given) for _ in range(epochs)]
        alike(seen["loss"], [one[0] for one in wanted], 1e-4)
        alike(seen["ce"], [one[1] for one in wanted], 1e-4)
    alike(loss.net.kernel, loop.weights[0], 1e-4)
    alike(loss.net.bias, loop.weights[1], 1e-4)
    alike(loss.t, loop.table(), 1e-4)
    assert set(loop.targets) == {0, 1, 2, 3, 4, 5, 8}
    loss.evaluate(given, batch_size=BATCH, verbose=0)
    alike(loss.t, loop.table(), 1e-4)  # it is read there, and not written


def batches() -> list[dict[str, Any]]:
    given = data()
    return [{name: value[start : start + BATCH] for name, value in given.items()} for start in (0, 5, 10, 0)]


def test_calls_in_a_loop_of_ones_own() -> None:
    loss = elr()
    loop = Loop(loss)
    for batch in batches():
        total, terms = loss(**batch, training=True)
        wanted, ce, _ = loop.call(batch["x"], batch["label"], batch["id"])
        alike(total, wanted)
        alike(terms["ce"], ce)
        alike(loss.t, loop.table())


@pytest.mark.skipif(BACKEND == "torch", reason="nothing is captured there")
def test_calls_in_a_captured_graph() -> None:
    loss, order = elr(), ("x", "label", "id")
    loop = Loop(loss)
    loss(**batches()[0])
    if BACKEND == "jax":
        import jax

        step = jax.jit(lambda trained, rest, given: loss.stateless_call(trained, rest, **given, training=True))
        trained, rest = (
            [one.value for one in held] for held in (loss.trainable_variables, loss.non_trainable_variables)
        )
        place = next(i for i, one in enumerate(loss.non_trainable_variables) if one is loss.t)
        for batch in batches():
            (total, _), rest = step(trained, rest, batch)
            alike(total, loop.call(*(batch[name] for name in order))[0])
            alike(rest[place], loop.table())
        return
    import tensorflow as tf

    call = tf.function(lambda **given: loss(**given, training=True), autograph=False)
    for batch in batches():
        total, _ = call(**{name: tf.constant(value) for name, value in batch.items()})
        alike(total, loop.call(*(batch[name] for name in order))[0])
        alike(loss.t, loop.table())
