"""Random nestings of flow: drawn as plain data, from which a net is built, and which a loop over samples can read."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

import wye.keras as wye
from tests.keras.plain import BACKEND

WIDTH = 3
SHARED = ("table",)
ROWS = ("control", "gain", "ticket", "column")
"""Side inputs that have one row for each sample."""
Margin = Callable[[Any, dict[str, Any]], float]


class Turned(keras.Layer):
    """tanh(x · w + b), on each tensor of a value; with a gain of each sample and a table that all share, it takes them.

    y = tanh(x · w + b) · gain + table[0]
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        drawn = np.random.default_rng(seed)
        self.kernel = self.add_weight(shape=(WIDTH, WIDTH), initializer=constant(drawn.normal(size=(WIDTH, WIDTH))))
        self.bias = self.add_weight(shape=(WIDTH,), initializer=constant(drawn.normal(size=WIDTH) / 2))
        self.built = True

    def turned(self, x: Any) -> Any:
        return keras.tree.map_structure(lambda one: ops.tanh(ops.matmul(one, self.kernel) + self.bias), x)

    def call(self, x: Any) -> Any:
        return self.turned(x)


class Gained(Turned):
    """The same with side inputs."""

    def call(self, x: Any, gain: Any, table: Any) -> Any:
        return keras.tree.map_structure(lambda one: one * ops.expand_dims(gain, 1) + table[0], self.turned(x))


def constant(value: Any) -> Callable[..., Any]:
    return lambda shape, dtype: ops.cast(value, dtype)


@dataclass
class Rule:
    """What decides: as wye is given it, and how far a sample is on the side of yes; of counts, the count itself."""

    given: Any
    plain: Margin
    per: str = "sample"
    parts: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass
class Spec:
    """A node: its kind, what decides, and what it holds; `place` is that of its layer or of its die."""

    kind: str
    inner: list[Spec | None] = field(default_factory=list["Spec | None"])
    rule: Rule | None = None
    place: int = 0
    steps: int = 0
    weights: tuple[float, ...] | None = None


def often(x: Any, control: Any) -> Any:
    return control > 0.375


def conditions(item: str, bound: float, whole: bool) -> list[Rule]:
    found = [
        Rule(f"norm({item}) > {bound}", lambda x, s: norm(x) - bound),
        Rule(f"mean({item}) < {bound - 1}", lambda x, s: bound - 1 - x.mean()),
        Rule(f"max({item}[d]) > limit", lambda x, s: x.max() - bound, parts={"limit": bound}),
        Rule("control > 0.5", lambda x, s: s["control"] - 0.5),
        Rule(f"control > 0.5 and sum({item}) > 0", lambda x, s: min(s["control"] - 0.5, x.sum())),
        Rule("column", lambda x, s: s["column"][0] - 0.5),
        Rule("level > 0", lambda x, s: s["level"]),
        Rule("scale > 1", lambda x, s: s["scale"] - 1),
        Rule(often, lambda x, s: s["control"] - 0.375),
    ]
    if whole:
        found.append(Rule(f"mean({item}) > 0", lambda x, s: x.mean(), per="batch"))
        found.append(Rule("any(control > 0.875)", lambda x, s: s["control"].max() - 0.875, per="batch"))
    return found


def indices(item: str, bound: float, count: int) -> list[Rule]:
    return [
        Rule(f"ticket % {count}", lambda x, s: s["ticket"] % count),
        Rule(f"where(norm({item}) > {bound}, 1, 0)", lambda x, s: int(norm(x) > bound)),
        Rule(f"rounds % {count}", lambda x, s: s["rounds"] % count),
        Rule(1, lambda x, s: 1),
    ]


def depths(most: int) -> list[Rule]:
    return [
        Rule("clamp(ticket % 4, 0, 3)", lambda x, s: s["ticket"] % 4),
        Rule("min(ticket, 2)", lambda x, s: min(s["ticket"], 2)),
        Rule("min(rounds, 3)", lambda x, s: min(s["rounds"], 3)),
        Rule(f"clamp(2 * (control > 0.5), 0, {most})", lambda x, s: 2 * (s["control"] > 0.5)),
        Rule(2, lambda x, s: 2),
    ]


def norm(x: Any) -> float:
    return float(np.sqrt((x**2).sum()))


class Drawn:
    """A random nesting, its layers, and the nest of the value that flows."""

    def __init__(self, seed: int, depth: int = 3) -> None:
        self.random = random.Random(seed)
        self.nest = self.random.choice(("tensor", "tensor", "tuple", "dict"))
        self.item = {"tensor": "x", "tuple": "x[0]", "dict": "x['a']"}[self.nest]
        self.layers: list[Turned] = []
        self.dice = 0
        self.spec = Spec("chain", [*(self._node(depth, True, True) for _ in range(2)), self._leaf()])

    def _leaf(self) -> Spec:
        drawn = self.random.random()
        if drawn < 0.2 and self.layers:
            return Spec("layer", place=self.random.randrange(len(self.layers)))
        if drawn < 0.4 and self.nest == "tensor":
            return Spec("formula")
        seed = self.random.randrange(10**6)
        self.layers.append(Gained(seed) if drawn < 0.65 else Turned(seed))
        return Spec("layer", place=len(self.layers) - 1)

    def _node(self, depth: int, whole: bool, bare: bool) -> Spec:
        """A node.

        Args:
            depth: how many may be within it.
            whole: it sees all samples, so that it may decide by all of them where rows are masked, too.
            bare: it is in no branch, where XLA has no gradient of a loop.
        """
        if depth == 0:
            return self._leaf()
        kind = self.random.choice("chain when when_else repeat repeat_list while switch choice".split())
        inside = whole and kind in ("chain", "choice") if BACKEND == "jax" else True
        count = {"chain": 2, "when_else": 2, "repeat_list": 3, "switch": 3, "choice": 2}.get(kind, 1)
        inner: list[Spec | None] = [self._node(depth - 1, inside, bare and kind == "chain") for _ in range(count)]
        if kind in ("switch", "choice") and self.random.random() < 0.4:
            inner[self.random.randrange(count)] = None
        spec = Spec(kind, inner)
        bound = self.random.uniform(0.5, 1.5)
        if kind == "choice":
            spec.weights = self.random.choice((None, (1.0, 3.0), (0.0, 1.0)))
            spec.place, self.dice = self.dice, self.dice + 1
        elif kind.startswith("repeat"):
            spec.rule = self.random.choice(depths(40 if bare or BACKEND != "tensorflow" else 3))
        elif kind == "switch":
            spec.rule = self.random.choice(indices(self.item, bound, count))
        elif kind != "chain":
            spec.rule = self.random.choice(conditions(self.item, bound, whole))
        spec.steps = self.random.choice((1, 2, 3, 4, 34 if bare or BACKEND != "tensorflow" else 5))
        return spec

    def built(self) -> tuple[Any, dict[int, Any]]:
        """The net, and its nodes that throw a die."""
        dice: dict[int, Any] = {}
        return self._built(self.spec, dice), dice

    def _built(self, spec: Spec | None, dice: dict[int, Any]) -> Any:
        if spec is None:
            return None
        if spec.kind == "layer":
            return self.layers[spec.place]
        if spec.kind == "formula":
            return "tanh(x) * scale + level"
        inner = [self._built(one, dice) for one in spec.inner]
        if spec.kind == "chain":
            return wye.Chain(*inner, shared=SHARED)
        if spec.kind == "choice":
            dice[spec.place] = wye.RandomChoice(*inner, weights=spec.weights, shared=SHARED)
            return dice[spec.place]
        rule = spec.rule
        assert rule is not None
        settings: dict[str, Any] = {"per": rule.per, "shared": SHARED, **rule.parts}
        if spec.kind == "switch":
            return wye.Switch(rule.given, *inner, **settings)
        if spec.kind == "while":
            return wye.While(rule.given, inner[0], max_steps=spec.steps, **settings)
        if spec.kind.startswith("repeat"):
            return wye.Repeat(inner if spec.kind == "repeat_list" else inner[0], rule.given, **settings)
        return wye.When(rule.given, *inner, **settings)


def batch(seed: int, size: int, nest: str) -> dict[str, Any]:
    """The value that flows as `x`, and side inputs: rows, columns, whole numbers, without axes, numbers, shared."""
    drawn = np.random.default_rng(seed)

    def rows(*shape: int) -> Any:
        return np.asarray(drawn.normal(size=shape), "float32")

    x, y = rows(size, WIDTH), rows(size, WIDTH)
    return {
        "x": {"tensor": x, "tuple": (x, y), "dict": {"a": x, "b": y}}[nest],
        "control": np.asarray(drawn.random(size), "float32"),
        "gain": rows(size),
        "ticket": drawn.integers(0, 12, size).astype("int32"),
        "column": drawn.random((size, 1)) > 0.5,
        "table": rows(2, WIDTH),
        "level": rows(),
        "scale": float(drawn.random()) * 2,
        "rounds": int(drawn.integers(0, 5)),
    }
