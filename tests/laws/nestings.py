"""Random nestings of flow: drawn as plain data, from which a wye net is built, and a loop over samples is run."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

import wye

WIDTH = 4


class Spy(nn.Module):
    """A block that treats samples alone, and counts the rows that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(WIDTH, WIDTH, dtype=torch.float64)
        self.rows = 0

    def forward(self, x: Any) -> Any:
        first = next(iter(x.values())) if isinstance(x, dict) else x[0] if isinstance(x, tuple) else x
        self.rows += len(first)
        if isinstance(x, dict):
            return {key: torch.tanh(self.inner(item)) for key, item in x.items()}
        if isinstance(x, tuple):
            return tuple(torch.tanh(self.inner(item)) for item in x)
        return torch.tanh(self.inner(x))


class Gained(Spy):
    """One that takes a row for each sample, a value that all samples share, and one without axes."""

    def forward(self, x: Any, gain: Tensor, table: Tensor, scale: Any = 1.0) -> Any:
        y = super().forward(x)

        def changed(item: Tensor) -> Tensor:
            return item * gain[:, None] + table.mean(0) * scale

        if isinstance(y, dict):
            return {key: changed(item) for key, item in y.items()}
        return tuple(map(changed, y)) if isinstance(y, tuple) else changed(y)


@dataclass(frozen=True)
class Rule:
    """What decides: as wye reads it, and as a plain function of the value and sides of a sample, or of the batch."""

    given: Any
    plain: Callable[[Tensor, dict[str, Any]], Any]
    per: str = "sample"
    die: bool = False


@dataclass
class Spec:
    """A node: its kind, what decides, and what it holds; `place` is that of its layer, or of its die."""

    kind: str
    rule: Rule | None = None
    inner: list[Spec] = field(default_factory=list["Spec"])
    place: int = 0
    steps: int = 0


def norm(x: Tensor) -> float:
    return float(x.pow(2).sum().sqrt())


def conditions(bound: float, nest: str) -> list[Rule]:
    """Conditions of every kind; `x` is read as the first item where the value is nested."""
    x = {"tensor": "x", "tuple": "x[0]", "dict": 'x["a"]'}[nest]

    def item(value: Any) -> Tensor:
        return value if isinstance(value, Tensor) else value[0] if isinstance(value, tuple) else value["a"]

    return [
        Rule(f"norm({x}) > {bound}", lambda v, s: norm(v) > bound),
        Rule(f"sum({x}) > mean(table)", lambda v, s: float(v.sum()) > float(s["table"].mean())),
        Rule(f"max({x}[d]) < {bound}", lambda v, s: float(v.max()) < bound),
        Rule("control > 0.5", lambda v, s: float(s["control"]) > 0.5),
        Rule("column", lambda v, s: bool(s["column"])),
        Rule("ticket < 3", lambda v, s: int(s["ticket"]) < 3),
        Rule(f"control > 0.3 and norm({x}) < {bound}", lambda v, s: float(s["control"]) > 0.3 and norm(v) < bound),
        Rule(f"any({x} * control > 0.7)", lambda v, s: bool((v * float(s["control"]) > 0.7).any())),
        Rule("scale > 1", lambda v, s: float(s["scale"]) > 1),
        Rule("level > 0", lambda v, s: float(s["level"]) > 0),
        Rule(
            lambda x, control: (control > 0.4) & (item(x)[:, 0] > 0), lambda v, s: s["control"] > 0.4 and v[..., 0] > 0
        ),
        Rule(f"mean({x}) > 0", lambda v, s: float(v.mean()) > 0, "batch"),
        Rule(f"norm({x}) < {2 * bound}", lambda v, s: norm(v) < 2 * bound, "batch"),
        Rule("mean(control) > 0.5", lambda v, s: float(s["control"].mean()) > 0.5, "batch"),
        Rule(lambda x: item(x).mean() > 0, lambda v, s: float(v.mean()) > 0, "batch"),
    ]


def depths(most: int) -> list[Rule]:
    """Times of every kind, from 0 to `most`."""
    return [
        Rule("ticket % 4" if most == 3 else "ticket % 3", lambda v, s: int(s["ticket"]) % (most + 1)),
        Rule("where(control > 0.5, 2, 1)", lambda v, s: 2 if float(s["control"]) > 0.5 else 1),
        Rule("floor(control * 2.5)", lambda v, s: int(float(s["control"]) * 2.5)),
        Rule("rounds", lambda v, s: int(s["rounds"])),
        Rule(2, lambda v, s: 2),
        Rule(f"die(0, {most})", lambda v, s: 0, die=True),
        Rule("max(ticket) % 3", lambda v, s: int(s["ticket"].max()) % 3, "batch"),
        Rule(lambda x, ticket: ticket % 2, lambda v, s: int(s["ticket"]) % 2),
    ]


class Drawn:
    """A random nesting: its spec, its layers, and the nest of the value that flows."""

    def __init__(self, seed: int, depth: int = 3) -> None:
        self.random = random.Random(seed)
        torch.manual_seed(seed)
        self.nest = self.random.choice(("tensor", "tensor", "tuple", "dict"))
        self.layers = nn.ModuleList()
        self.dice = 0
        self.spec = Spec("chain", inner=[self._node(depth) for _ in range(2)] + [self._leaf()])

    def _leaf(self) -> Spec:
        if self.nest == "tensor" and self.random.random() < 0.2:
            return Spec("formula")
        kind = Gained if self.random.random() < 0.3 else Spy
        self.layers.append(kind())
        return Spec("layer", place=len(self.layers) - 1)

    def _condition(self) -> Rule:
        return self.random.choice(conditions(self.random.uniform(0.5, 1.5), self.nest))

    def _node(self, depth: int) -> Spec:
        if depth == 0:
            return self._leaf()
        kind = self.random.choice(("chain", "when", "when else", "repeat", "repeat list", "while", "again"))
        if kind == "chain":
            return Spec(kind, inner=[self._node(depth - 1) for _ in range(2)])
        if kind == "again" and len(self.layers):
            return Spec("layer", place=self.random.randrange(len(self.layers)))
        if kind.startswith("repeat"):
            count = 3 if kind == "repeat list" else 1
            rule = self.random.choice(depths(3))
            place, self.dice = self.dice, self.dice + rule.die
            return Spec(kind, rule, [self._node(depth - 1) for _ in range(count)], place)
        if kind == "while":
            return Spec(kind, self._condition(), [self._node(depth - 1)], steps=self.random.randint(1, 4))
        count = 2 if kind == "when else" else 1
        return Spec("when", self._condition(), [self._node(depth - 1) for _ in range(count)])

    def built(self) -> tuple[wye.Chain, dict[int, wye.Repeat]]:
        """The net of wye over the drawn layers, and its nodes that throw a die."""
        dice: dict[int, wye.Repeat] = {}
        net = self._built(self.spec, dice)
        assert isinstance(net, wye.Chain)
        return net, dice

    def _built(self, spec: Spec, dice: dict[int, wye.Repeat]) -> Any:
        inner = [self._built(one, dice) for one in spec.inner]
        shared = ("table",)
        if spec.kind == "layer":
            return self.layers[spec.place]
        if spec.kind == "formula":
            return "tanh(x) * scale + level"
        if spec.kind == "chain":
            return wye.Chain(*inner, shared=shared)
        assert spec.rule is not None
        given, per = spec.rule.given, spec.rule.per
        if spec.kind == "when":
            return wye.When(given, *inner, per=per, shared=shared)
        if spec.kind == "while":
            return wye.While(given, inner[0], max_steps=spec.steps, per=per, shared=shared)
        node = wye.Repeat(inner if spec.kind == "repeat list" else inner[0], given, per=per, shared=shared)
        if spec.rule.die:
            dice[spec.place] = node
        return node


def batch(seed: int, size: int, nest: str) -> tuple[Any, dict[str, Any]]:
    """A value that flows, and side inputs: rows, columns, whole numbers, without axes, numbers, shared."""
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
    }
    x, y = rows(size, WIDTH).requires_grad_(), rows(size, WIDTH).requires_grad_()
    return {"tensor": x, "tuple": (x, y), "dict": {"a": x, "b": y}}[nest], sides
