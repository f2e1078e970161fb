"""What decides in random nestings: as wye reads it, and as a plain function of a sample's value and side inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from tests.laws.blocks import first


@dataclass(frozen=True)
class Rule:
    """What decides.

    Args:
        given: what wye is given.
        plain: the same of the value and the side inputs of one sample, or of the batch; `s["bits"]` are the 32 bits
            of its die.
        per: `sample` or `batch`.
        place: where its die stands in the text; None: it throws none.
    """

    given: Any
    plain: Callable[[Tensor, dict[str, Any]], Any]
    per: str = "sample"
    place: int | None = None


@dataclass(frozen=True)
class Setting:
    """What rules can be about: the nest of the value that flows, and whether a sample is a row, a text, or a token."""

    nest: str
    sample: str

    @property
    def item(self) -> str:
        """The item of the value that conditions read, as a formula."""
        return {"tensor": "x", "tuple": "x[0]", "dict": 'x["a"]'}[self.nest]

    @property
    def axes(self) -> str:
        return "t, d" if self.sample == "text" else "d"


def norm(x: Tensor) -> float:
    return float(x.pow(2).sum().sqrt())


def conditions(bound: float, setting: Setting) -> list[Rule]:
    """Conditions of every kind, without dice."""
    x = setting.item
    found = [
        Rule(f"norm({x}) > {bound}", lambda v, s: norm(v) > bound),
        Rule(f"sum({x}) > mean(table)", lambda v, s: float(v.sum()) > float(s["table"].mean())),
        Rule(f"max({x}[{setting.axes}]) < {bound}", lambda v, s: float(v.max()) < bound),
        Rule("control > 0.5", lambda v, s: float(s["control"]) > 0.5),
        Rule("column", lambda v, s: bool(s["column"])),
        Rule("ticket < 3", lambda v, s: int(s["ticket"]) < 3),
        Rule(f"control > 0.3 and norm({x}) < {bound}", lambda v, s: float(s["control"]) > 0.3 and norm(v) < bound),
        Rule(f"any({x} * control > 0.7)", lambda v, s: bool((v * float(s["control"]) > 0.7).any())),
        Rule("scale > 1", lambda v, s: float(s["scale"]) > 1),
        Rule("level > 0", lambda v, s: float(s["level"]) > 0),
        Rule(
            lambda x, control: (control > 0.4) & (first(x).flatten(1)[:, 0] > 0),
            lambda v, s: float(s["control"]) > 0.4 and float(v.flatten()[0]) > 0,
        ),
        Rule(f"mean({x}) > 0", lambda v, s: float(v.mean()) > 0, "batch"),
        Rule(f"norm({x}) < {2 * bound}", lambda v, s: norm(v) < 2 * bound, "batch"),
        Rule("mean(control) > 0.5", lambda v, s: float(s["control"].mean()) > 0.5, "batch"),
        Rule(lambda x: first(x).mean() > 0, lambda v, s: float(v.mean()) > 0, "batch"),
    ]
    if setting.sample == "text":
        found += [
            Rule("any(mark < 2)", lambda v, s: bool((s["mark"] < 2).any())),
            Rule("mean(pitch) > 0 and control > 0.2", lambda v, s: s["pitch"].mean() > 0 and s["control"] > 0.2),
        ]
    if setting.sample == "token":
        found += [
            *[Rule("mark < 2", lambda v, s: int(s["mark"]) < 2)] * 3,
            Rule("pitch * control > 0.1", lambda v, s: float(s["pitch"] * s["control"]) > 0.1),
            Rule(f"sum({x} * offset) > 0", lambda v, s: float((v * s["offset"]).sum()) > 0),
        ]
    return found


def coins(bound: float, setting: Setting) -> list[Rule]:
    """Conditions that throw a coin."""
    both = f"norm({setting.item}) < {2 * bound} and coin(0.6)"
    return [
        Rule("coin(0.5)", lambda v, s: s["bits"] / 2**32 < 0.5, place=0),
        Rule(both, lambda v, s: norm(v) < 2 * bound and s["bits"] / 2**32 < 0.6, place=both.index("coin")),
    ]


def depths(most: int, setting: Setting) -> list[Rule]:
    """Times of every kind, from 0 to `most`."""
    found = [
        Rule(f"ticket % {most + 1}", lambda v, s: int(s["ticket"]) % (most + 1)),
        Rule("where(control > 0.5, 2, 1)", lambda v, s: 2 if float(s["control"]) > 0.5 else 1),
        Rule("floor(control * 2.5)", lambda v, s: int(float(s["control"]) * 2.5)),
        Rule("rounds", lambda v, s: int(s["rounds"])),
        Rule(2, lambda v, s: 2),
        Rule(f"die(0, {most})", lambda v, s: s["bits"] % (most + 1), place=0),
        Rule("ticket % 2 + die(0, 1)", lambda v, s: int(s["ticket"]) % 2 + s["bits"] % 2, place=13),
        Rule("max(ticket) % 3", lambda v, s: int(s["ticket"].max()) % 3, "batch"),
        Rule(lambda x, ticket: ticket % 2, lambda v, s: int(s["ticket"]) % 2),
    ]
    return [*found, *[Rule("mark", lambda v, s: int(s["mark"]))] * 3] if setting.sample == "token" else found


def indices(count: int, bound: float, setting: Setting) -> list[Rule]:
    """Indices of every kind into `count` branches, 2 or more."""
    x, last = setting.item, count - 1
    nested = f"where(norm({x}) > {bound}, {last}, where(control > 0.5, 1, 0))"
    found = [
        Rule(f"ticket % {count}", lambda v, s: int(s["ticket"]) % count),
        Rule(f"where(column, {last}, 0)", lambda v, s: last if bool(s["column"]) else 0),
        Rule(nested, lambda v, s: last if norm(v) > bound else int(float(s["control"]) > 0.5)),
        Rule(f"floor(control * {count})", lambda v, s: int(float(s["control"]) * count)),
        Rule(f"rounds % {count}", lambda v, s: int(s["rounds"]) % count),
        Rule("where(level > 0, 1, 0)", lambda v, s: int(float(s["level"]) > 0)),
        Rule(last, lambda v, s: last),
        Rule(f"die(0, {last})", lambda v, s: s["bits"] % count, place=0),
        Rule(f"(ticket + die(0, 5)) % {count}", lambda v, s: (int(s["ticket"]) + s["bits"] % 6) % count, place=10),
        Rule(f"max(ticket) % {count}", lambda v, s: int(s["ticket"].max()) % count, "batch"),
        Rule(f"where(mean({x}) > 0, {last}, 0)", lambda v, s: last if float(v.mean()) > 0 else 0, "batch"),
        Rule(lambda x, ticket: ticket % count, lambda v, s: int(s["ticket"]) % count),
    ]
    if setting.sample == "token":
        found += [Rule(f"mark % {count}", lambda v, s: int(s["mark"]) % count)] * 3
    if setting.sample == "text":
        found += [Rule(f"max(mark) % {count}", lambda v, s: int(s["mark"].max()) % count)]
    return found
