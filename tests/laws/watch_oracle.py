"""What a run truly was, kept by hand beside it: samples by a plain loop, steps by optimizers over copied weights.

No line of `wye.watching`, and no count of wye, is used here.
"""

from __future__ import annotations

import copy
import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tests.laws.blocks import each
from tests.laws.nestings import Drawn, Spec
from tests.laws.plain_dice import chosen
from tests.laws.plain_loop import Loop, Sample

Split = tuple[float, float, float]


def under(name: str, stage: str) -> str:
    return f"{name}.{stage}" if name else stage


def stages_of(spec: Spec) -> list[tuple[str, Spec | None]]:
    """What a node holds, by the names that its stages have in a net."""
    if spec.kind == "exit":
        named = [(f"stage{i}", one) for i, one in enumerate(spec.inner)]
        return named + [(f"exit{i}", one) for i, one in enumerate(spec.exits)]
    if spec.kind in ("when", "when_else"):
        return list(zip(("then", "otherwise"), spec.inner, strict=False))
    if spec.kind in ("while", "repeat"):
        return [("block", spec.inner[0])]
    return [(str(i), one) for i, one in enumerate(spec.inner)]


@dataclass
class Record:
    """What happened, counted by hand.

    Attributes:
        calls: of paths and of modules, by name; samples: on how many, in all.
        taught: the time at which a path last took a sample from which a gradient could come.
        way: the leaves of the call that runs now, in order.
    """

    calls: Counter[str] = field(default_factory=Counter[str])
    samples: Counter[str] = field(default_factory=Counter[str])
    ran: Counter[str] = field(default_factory=Counter[str])
    rows: Counter[str] = field(default_factory=Counter[str])
    taught: dict[str, int] = field(default_factory=dict[str, int])
    way: list[str] = field(default_factory=list[str])
    now: int = 0


class Ledger(Loop):
    """Runs a nesting on the samples that come to each node, and writes down what it does.

    Args:
        drawn: the nesting.
        layers: copies of its layers.
        record: where it is written.
        first_names: of a layer or a passing branch, by the name at which it stands, the first name that it goes by.
    """

    def __init__(self, drawn: Drawn, layers: nn.ModuleList, record: Record, first_names: Mapping[str, str]) -> None:
        super().__init__(drawn, layers, {})
        self.record, self.first_names = record, first_names
        self.names: dict[int, str] = {}
        self.learns = True
        self._name(drawn.spec, "")

    def _name(self, spec: Spec | None, name: str) -> None:
        if spec is not None:
            self.names[id(spec)] = name
            for stage, inner in stages_of(spec):
                self._name(inner, under(name, stage))

    def took(self, spec: Spec, stage: str, samples: int) -> None:
        """A path took samples; none is no run."""
        if samples:
            path = under(self.names[id(spec)], stage)
            self.record.calls[path] += 1
            self.record.samples[path] += samples
            if self.learns:
                self.record.taught[path] = self.record.now

    def ran(self, name: str, samples: int, leaf: bool = False) -> None:
        """A module was called."""
        self.record.ran[name] += 1
        self.record.rows[name] += samples
        if leaf:
            self.record.way.append(name)

    def run(self, spec: Spec | None, samples: list[Sample]) -> list[Any]:
        if spec is None or not samples:
            return [x for x, _ in samples]
        name = self.first_names[self.names[id(spec)]]
        self.ran(name, len(samples), leaf=spec.kind == "formula")
        if spec.kind not in ("layer", "formula"):
            return super().run(spec, samples)
        done = self.leaf(spec, *gathered(samples))
        if spec.kind == "layer":
            for _ in range({"tensor": 1}.get(self.drawn.nest, 2)):
                self.ran(f"{name}.inner", len(samples), leaf=True)
        return [each(lambda rows, i=i: rows[i : i + 1], done) for i in range(len(samples))]

    def passes(self, spec: Spec, place: int, samples: int) -> None:
        """A branch that holds nothing is a module too."""
        if spec.inner[place] is None and samples:
            self.ran(self.first_names[under(self.names[id(spec)], str(place))], samples, leaf=True)

    def decided(self, spec: Spec, samples: list[Sample]) -> list[Any]:
        if spec.kind == "choice":
            weights = (1.0,) * len(spec.inner) if spec.weights is None else spec.weights
            place = chosen(self.bits[spec.place], weights)
            self.took(spec, str(place), len(samples))
            self.passes(spec, place, len(samples))
        if spec.kind.startswith("repeat"):
            for depth, count in Counter(map(int, self.says(spec, samples))).items():
                self.took(spec, f"times {depth}", count)
        return super().decided(spec, samples)

    def branches(self, spec: Spec, samples: list[Sample], places: list[int]) -> list[Any]:
        names = ("then", "passed" if spec.kind == "when" else "otherwise")
        done = [x for x, _ in samples]
        for place in sorted(set(places)):
            taken = [i for i, one in enumerate(places) if one == place]
            self.took(spec, str(place) if spec.kind == "switch" else names[place], len(taken))
            inner = spec.inner[place] if place < len(spec.inner) else None
            if place < len(spec.inner):
                self.passes(spec, place, len(taken))
            for i, new in zip(taken, self.run(inner, [samples[i] for i in taken]), strict=True):
                done[i] = new
        return done

    def loop(self, spec: Spec, samples: list[Sample], goes: Callable[..., list[Any]], most: int) -> list[Any]:
        samples, live = list(samples), list(range(len(samples)))
        for step in range(most + (spec.kind == "while")):
            going = goes(step, live, [samples[i] for i in live]) if live else []
            left = [i for i, on in zip(live, going, strict=True) if on]
            if spec.kind == "while" and step == 0:
                self.took(spec, "passed", len(live) - len(left))
            if step == most:
                self.took(spec, "stopped", len(left))
                break
            live = left
            self.took(spec, str(step) if spec.kind == "repeat_list" else "block", len(live))
            block = spec.inner[step] if spec.kind == "repeat_list" else spec.inner[0]
            for i, new in zip(live, self.through(block, [samples[i] for i in live]), strict=True):
                samples[i] = new
        return [x for x, _ in samples]

    def leaving(self, spec: Spec, samples: list[Sample]) -> list[Any]:
        done: list[Any] = [None] * len(samples)
        live = list(range(len(samples)))
        for place, (stage, out) in enumerate(zip(spec.inner, spec.exits, strict=True)):
            if not live:
                break
            self.took(spec, f"stage{place}", len(live))
            samples = self.through(stage, samples)
            said = self.through(out, samples)
            sure = [True] * len(said) if place == len(spec.inner) - 1 else self.says(spec, said)
            self.took(spec, f"exit{place}", sum(map(bool, sure)))
            for i, (outcome, _), leaves in zip(live, said, sure, strict=True):
                done[i] = outcome if leaves else done[i]
            live = [i for i, leaves in zip(live, sure, strict=True) if not leaves]
            samples = [sample for sample, leaves in zip(samples, sure, strict=True) if not leaves]
        return done


def gathered(samples: Sequence[Sample]) -> Sample:
    """Samples as one batch."""
    names = samples[0][1]

    def together(name: str) -> Any:
        value = names[name]
        apart = isinstance(value, Tensor) and value.dim() and name != "table"
        return torch.cat([sides[name] for _, sides in samples]) if apart else value

    return each(lambda *rows: torch.cat(rows), *(x for x, _ in samples)), {name: together(name) for name in names}


@dataclass
class Told:
    """What an account of one weight must say."""

    none: int = 0
    zero: int = 0
    nonzero: int = 0
    moved: float = 0.0
    moved_without: int = 0
    parts: dict[int, Split] = field(default_factory=dict[int, Split])
    reasons: Counter[str] = field(default_factory=Counter[str])
    zero_reasons: Counter[str] = field(default_factory=Counter[str])

    @property
    def steps(self) -> int:
        return self.none + self.zero + self.nonzero

    def add(self, state: str, why: str, moved: float, split: Split) -> None:
        """One step of its optimizer."""
        if state != "none":
            self.parts[self.steps] = split
        setattr(self, state, getattr(self, state) + 1)
        if state == "none":
            self.reasons[why] += 1
        if state == "zero":
            self.zero_reasons[why] += 1
        self.moved += moved
        self.moved_without += state != "nonzero" and moved != 0


def state_of(grad: Tensor | None) -> str:
    return "none" if grad is None else "nonzero" if bool((grad != 0).any()) else "zero"


class Twin:
    """An optimizer like the one of the run, over copies of its weights; nothing hangs on it.

    Args:
        weights: copies of the weights, in the order of the run's optimizer.
        make: makes the optimizer.
    """

    def __init__(self, weights: Sequence[nn.Parameter], make: Callable[[Any], Optimizer]) -> None:
        self.weights = list(weights)
        self.optimizer = make(self.weights)

    def step(self, grads: Sequence[Tensor | None]) -> list[tuple[float, Split]]:
        """Steps with these gradients; for each weight how far it moved, and by gradient, momentum and decay."""
        before = [weight.detach().clone() for weight in self.weights]
        for weight, grad in zip(self.weights, grads, strict=True):
            weight.grad = None if grad is None else grad.detach().clone()
        still, bare = self._replayed(decay=True), self._replayed(decay=False)
        stepped(self.optimizer)
        told: list[tuple[float, Split]] = []
        for start, alone, idle, end in zip(before, bare, still, self.weights, strict=True):
            told.append((far(end, start), (far(end, idle), far(alone, start), far(idle, alone))))
        return told

    def _replayed(self, decay: bool) -> list[Tensor]:
        """The weights after the same step, with a gradient of zero where there is one."""
        weights, optimizer = copy.deepcopy((self.weights, self.optimizer))
        for weight, own in zip(weights, self.weights, strict=True):
            weight.grad = None if own.grad is None else torch.zeros_like(weight)
        for group in optimizer.param_groups:
            group["weight_decay"] = group["weight_decay"] if decay else 0
        stepped(optimizer)
        return [weight.detach() for weight in weights]


def stepped(optimizer: Optimizer) -> None:
    """A step that calls no hook: to the rest of the process it has not happened."""
    with torch.no_grad():
        inspect.unwrap(type(optimizer).step)(optimizer)


def far(one: Tensor, other: Tensor) -> float:
    return float((one.detach() - other.detach()).double().abs().sum())
