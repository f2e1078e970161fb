"""Random nestings of flow: drawn as plain data, from which a wye net is built, and a loop over samples is run."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

import wye
from tests.laws.blocks import WIDTH, Gained, Pitched, Spy
from tests.laws.rules import Rule, Setting, coins, conditions, depths, indices

TOKENS = 3
KINDS = "chain when when_else repeat repeat_list while again switch switch choice exit token".split()
SHARED = ("table",)


@dataclass
class Spec:
    """A node: its kind, what decides and for whom, and what it holds.

    `place` is that of its layer, or of its die; `exits` are as many as `inner`; None among `inner` lets samples pass.
    """

    kind: str
    rule: Rule | None = None
    inner: list[Spec | None] = field(default_factory=list["Spec | None"])
    per: str = "sample"
    place: int = 0
    steps: int = 0
    weights: tuple[float, ...] | None = None
    exits: list[Spec] = field(default_factory=list["Spec"])


class Drawn:
    """A random nesting: its spec, its layers, and the nest of the value that flows, of shape (B, D) or (B, T, D)."""

    def __init__(self, seed: int, depth: int = 3) -> None:
        self.random = random.Random(seed)
        torch.manual_seed(seed)
        self.nest = self.random.choice(("tensor", "tensor", "tuple", "dict"))
        self.texts = self.random.random() < 0.4
        self.layers = nn.ModuleList()
        self.dice = 0
        top = Setting(self.nest, "text" if self.texts else "row")
        self.spec = Spec("chain", inner=[self._node(depth, top) for _ in range(2)] + [self._leaf()])

    def _leaf(self) -> Spec:
        if self.nest == "tensor" and self.random.random() < 0.2:
            return Spec("formula")
        drawn = self.random.random()
        self.layers.append(Gained() if drawn < 0.3 else Pitched() if self.texts and drawn < 0.6 else Spy())
        return Spec("layer", place=len(self.layers) - 1)

    def _node(self, depth: int, at: Setting) -> Spec:
        if depth == 0:
            return self._leaf()
        kind = self.random.choice(KINDS)
        if kind == "chain":
            return Spec(kind, inner=[self._node(depth - 1, at) for _ in range(2)])
        if kind == "again":
            return Spec("layer", place=self.random.randrange(len(self.layers))) if len(self.layers) else self._leaf()
        if kind == "choice":
            return self._choice(depth, at)
        if kind == "token" or (at.sample == "text" and self.random.random() < 0.4):
            kind = self.random.choice("when when_else repeat while switch exit".split()) if kind == "token" else kind
            inside = Setting(self.nest, "token" if at.sample == "text" else at.sample)
            return self._deciding(kind, depth, inside, token=True)
        return self._deciding(kind, depth, at, token=False)

    def _deciding(self, kind: str, depth: int, at: Setting, token: bool) -> Spec:
        """A node with a rule, per token or as the rule says."""
        bound, count = self.random.uniform(0.5, 1.5), self.random.randint(2, 3)
        found, throws = conditions(bound, at), coins(bound, at)
        if kind.startswith("repeat"):
            found, throws = depths(3, at), []
        elif kind == "switch":
            found, throws = indices(count, bound, at), []
        elif kind == "while":
            throws = []
        rules = [rule for rule in found if not token or rule.per == "sample"]
        rule = self.random.choice(throws if throws and self.random.random() < 0.15 else rules)
        spec = Spec(kind, rule, per="token" if token else rule.per)
        if rule.place is not None:
            spec.place, self.dice = self.dice, self.dice + 1
        if kind == "exit":
            spec.exits = [self._leaf() for _ in range(count)]
        spec.steps = self.random.randint(1, 4)
        most = {"when_else": 2, "repeat_list": 3, "switch": count, "exit": count}.get(kind, 1)
        spec.inner = [self._node(depth - 1, at) for _ in range(most)]
        if kind == "switch" and self.random.random() < 0.5:
            spec.inner[self.random.randrange(count)] = None
        return spec

    def _choice(self, depth: int, at: Setting) -> Spec:
        count = self.random.randint(2, 3)
        inner = [None if self.random.random() < 0.2 else self._node(depth - 1, at) for _ in range(count)]
        weights = tuple(self.random.choice((0.5, 1.0, 3.0)) for _ in inner) if self.random.random() < 0.5 else None
        self.dice += 1
        return Spec("choice", inner=inner, place=self.dice - 1, weights=weights)

    def built(self) -> tuple[wye.Chain, dict[int, nn.Module]]:
        """The net of wye over the drawn layers, and its nodes that throw a die."""
        dice: dict[int, nn.Module] = {}
        net = self._built(self.spec, dice)
        assert isinstance(net, wye.Chain)
        return net, dice

    def _built(self, spec: Spec | None, dice: dict[int, nn.Module]) -> Any:
        if spec is None:
            return None
        if spec.kind == "layer":
            return self.layers[spec.place]
        if spec.kind == "formula":
            return "tanh(x) * scale + level"
        inner = [self._built(one, dice) for one in spec.inner]
        if spec.kind == "chain":
            return wye.Chain(*inner, shared=SHARED)
        node = self._node_of(spec, inner, [self._built(one, dice) for one in spec.exits])
        if spec.kind == "choice" or (spec.rule is not None and spec.rule.place is not None):
            dice[spec.place] = node
        return node

    def _node_of(self, spec: Spec, inner: list[Any], exits: list[Any]) -> nn.Module:
        if spec.kind == "choice":
            return wye.RandomChoice(*inner, weights=spec.weights, shared=SHARED)
        assert spec.rule is not None
        given, per = spec.rule.given, spec.per
        if spec.kind in ("when", "when_else"):
            return wye.When(given, *inner, per=per, shared=SHARED)
        if spec.kind == "switch":
            return wye.Switch(given, *inner, per=per, shared=SHARED)
        if spec.kind == "exit":
            return wye.EarlyExit(inner, exits, given, per=per, shared=SHARED)
        if spec.kind == "while":
            return wye.While(given, inner[0], max_steps=spec.steps, per=per, shared=SHARED)
        return wye.Repeat(inner if spec.kind == "repeat_list" else inner[0], given, per=per, shared=SHARED)


def batch(seed: int, size: int, nest: str, texts: bool = False) -> tuple[Any, dict[str, Any]]:
    """A value that flows, and side inputs: rows, columns, whole numbers, without axes, numbers, shared, per token."""
    made = torch.Generator().manual_seed(seed)

    def rows(*shape: int) -> Tensor:
        return torch.randn(shape, generator=made, dtype=torch.float64)

    sides = {
        "control": torch.rand(size, generator=made, dtype=torch.float64),
        "gain": rows(size).requires_grad_(),
        "ticket": torch.randint(0, 12, (size,), generator=made),
        "column": torch.rand((size, 1), generator=made) > 0.5,
        "table": rows(3, WIDTH).requires_grad_(),
        "level": rows().requires_grad_(),
        "scale": float(torch.rand((), generator=made)) * 2,
        "rounds": int(torch.randint(0, 4, (), generator=made)),
        "pitch": rows(size, TOKENS).requires_grad_(),
        "offset": rows(size, TOKENS, WIDTH).requires_grad_(),
        "mark": torch.randint(0, 4, (size, TOKENS), generator=made),
    }
    shape = (size, TOKENS, WIDTH) if texts else (size, WIDTH)
    x, y = rows(*shape).requires_grad_(), rows(*shape).requires_grad_()
    return {"tensor": x, "tuple": (x, y), "dict": {"a": x, "b": y}}[nest], sides
