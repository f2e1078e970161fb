"""What a nesting means, said by a plain Python loop over samples in NumPy; no line of wye is used here.

Gradients come of it by complex steps: each number that may change has a copy of the whole run, in which it alone is
moved by i·h. All copies run at once, as the last axis of every array; Im(f)/h is the slope, without any cancelling.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tests.keras.flow_nestings import ROWS, SHARED, Drawn, Gained, Spec
from tests.keras.plain import numbers

TINY = 1e-30
Sample = tuple[Any, dict[str, Any]]


def each(function: Any, *values: Any) -> Any:
    return keras.tree.map_structure(function, *values)


def first(x: Any) -> Any:
    """What conditions read: the real part of the first tensor."""
    return keras.tree.flatten(x)[0][..., 0].real


class Moved:
    """Arrays, each number of which is moved in one copy of the run."""

    def __init__(self, *nests: Any) -> None:
        self.count = sum(leaf.size for nest in nests for leaf in keras.tree.flatten(nest))
        self.next = 0

    def __call__(self, array: Any) -> Any:
        found = np.repeat(np.asarray(array, complex)[..., None], self.count, -1)
        flat = found.reshape(array.size, self.count)
        flat[np.arange(array.size), self.next + np.arange(array.size)] += 1j * TINY
        self.next += array.size
        return found


class Loop:
    """Runs a nesting one sample at a time.

    Args:
        drawn: the nesting.
        bits: of each die, 32 random bits for each call; None: in eval.
    """

    def __init__(self, drawn: Drawn, bits: Any) -> None:
        self.drawn, self.bits = drawn, bits
        self.calls = dict[int, int]()
        self.margin = np.inf

    def __call__(self, given: dict[str, Any]) -> tuple[Any, dict[str, Any], list[Any]]:
        """The value, and the gradients of its weighted sum in inputs of floats and in the weights of the layers."""
        weights = [numbers(one) for layer in self.drawn.layers for one in (layer.kernel, layer.bias)]
        floats = {n: v for n, v in given.items() if n in ("x", "control", "gain", "table", "level")}
        moved = Moved(floats, weights)
        order = [moved(one) for one in keras.tree.flatten(floats)]  # dicts are flattened by their keys' order
        inputs = {**given, **keras.tree.pack_sequence_as(floats, order)}
        held = [moved(one) for one in weights]
        self.weights = list(zip(held[::2], held[1::2], strict=True))
        size = len(given["control"])
        samples = [
            (
                each(lambda one, i=i: one[i], inputs["x"]),
                {name: value[i] if name in ROWS else value for name, value in inputs.items() if name != "x"},
            )
            for i in range(size)
        ]
        done = self.run(self.drawn.spec, samples)
        value = each(lambda *rows: np.array(rows), *done)
        slopes = sum(
            (one * (1 + np.arange(one.shape[1]) % 3)[:, None] / 2).sum((0, 1)) for one in keras.tree.flatten(value)
        ).imag / TINY  # fmt: skip
        flat, at = list[Any](), 0
        for array in [*keras.tree.flatten(floats), *weights]:
            flat.append(slopes[at : at + array.size].reshape(array.shape))
            at += array.size
        found = keras.tree.pack_sequence_as([floats, weights], flat)
        return each(lambda one: one[..., 0].real, value), *found

    def run(self, spec: Spec | None, samples: list[Sample]) -> list[Any]:
        """The samples that come to a node, each as it leaves it."""
        if spec is None or not samples:
            return [x for x, _ in samples]
        if spec.kind in ("layer", "formula"):
            return [self.leaf(spec, x, sides) for x, sides in samples]
        if spec.kind == "chain":
            for inner in spec.inner:
                samples = self.through(inner, samples)
            return [x for x, _ in samples]
        if spec.kind == "choice":
            return self.run(spec.inner[self.chosen(spec)], samples)
        if spec.kind == "while":
            return self.loop(spec, samples, lambda step, now: [m > 0 for m in self.says(spec, now)], spec.steps)
        said = self.says(spec, samples)
        if spec.kind.startswith("repeat"):
            left = list(said)  # of those who are still going

            def goes(step: int, now: list[Sample]) -> list[bool]:
                nonlocal left
                going = [count > step for count in left]
                left = [count for count, on in zip(left, going, strict=True) if on]
                return going

            return self.loop(spec, samples, goes, int(max(said)))
        places = [int(one) if spec.kind == "switch" else int(not one > 0) for one in said]
        done = [x for x, _ in samples]
        for branch, inner in enumerate(spec.inner):
            taken = [i for i, place in enumerate(places) if place == branch]
            for i, new in zip(taken, self.run(inner, [samples[i] for i in taken]), strict=True):
                done[i] = new
        return done

    def through(self, spec: Spec | None, samples: list[Sample]) -> list[Sample]:
        return [(new, sides) for new, (_, sides) in zip(self.run(spec, samples), samples, strict=True)]

    def leaf(self, spec: Spec, x: Any, sides: dict[str, Any]) -> Any:
        if spec.kind == "formula":
            return np.tanh(x) * sides["scale"] + sides["level"]
        kernel, bias = self.weights[spec.place]
        turned = each(lambda one: np.tanh(np.einsum("dn,den->en", one, kernel) + bias), x)
        if not isinstance(self.drawn.layers[spec.place], Gained):
            return turned
        return each(lambda one: one * sides["gain"] + sides["table"][0], turned)

    def chosen(self, spec: Spec) -> int:
        weights = np.ones(len(spec.inner)) if spec.weights is None else np.array(spec.weights)
        if self.bits is None:
            return int(weights.argmax())
        call = self.calls[spec.place] = self.calls.get(spec.place, -1) + 1
        return int(sum(self.bits(spec.place, call) / 2**32 >= np.cumsum(weights)[:-1] / weights.sum()))

    def says(self, spec: Spec, samples: list[Sample]) -> list[Any]:
        """What decides, for each sample; where it is per batch, from all that came, for all alike."""
        rule = spec.rule
        assert rule is not None
        plain = [(first(x), {name: real(name, value) for name, value in sides.items()}) for x, sides in samples]
        if rule.per == "sample":
            found = [rule.plain(x, sides) for x, sides in plain]
        else:
            rows = {name: np.array([sides[name] for _, sides in plain]) for name in ROWS}
            found = [rule.plain(np.array([x for x, _ in plain]), rows)] * len(samples)
        if spec.kind in ("when", "when_else", "while"):
            self.margin = min(self.margin, *(abs(one) for one in found))
        return found

    def loop(self, spec: Spec, samples: list[Sample], goes: Any, most: int) -> list[Any]:
        samples, live = list(samples), list(range(len(samples)))
        for step in range(most):
            if not live:
                break
            live = [i for i, on in zip(live, goes(step, [samples[i] for i in live]), strict=True) if on]
            block = spec.inner[step] if spec.kind == "repeat_list" else spec.inner[0]
            for i, new in zip(live, self.through(block, [samples[i] for i in live]), strict=True):
                samples[i] = new
        return [x for x, _ in samples]


def real(name: str, value: Any) -> Any:
    moved = isinstance(value, np.ndarray) and value.dtype == complex
    return value[..., 0].real if moved and name not in SHARED else value
