"""Law of Watch: what it tells of a plain module with Python control flow is what truly happened."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import nn

import wye
from tests.laws.test_watch_truth import unequal, weight
from tests.laws.watch_nets import EMPTY, FROZEN, LEFT, optimizers
from tests.laws.watch_oracle import Told, Twin, state_of
from tests.laws.watch_plain_nets import Program, Use

SHORT, LONG, ROUNDS = 20, 100, 7
FOLLOWED = 3
"""On so many first steps the way of every gradient is followed; later, of those that were missing before."""
OUTPUT = "the model's output does not depend on it: what it gave was detached, or not used"
LOSS = "the loss does not depend on it"
BACKWARD = "no backward reached the model"
LOST = "the loss gave the model's output a gradient of zeros"
UNSEEN = "where it became zero was not looked into"
WORDS = {
    "product": "a product with zeros let no gradient through",
    "where": "`where` chose the other side for all",
    "mask": "index_put let no gradient through",
    "relu": "relu was closed for all",
    "empty": EMPTY,
}


DETACHED = re.compile(r"what `([\w.]+)` gave was detached before `(\w+)[.\w]*` got it")


@dataclass
class Truth:
    """The state of a gradient at a step, and what may be said of it.

    Attributes:
        whole: sentences.
        clauses: or, joined by "and": for each use that was lost the clauses of which one must be there, and no others.
        partly: whether it is enough that nothing false is said, as where nobody looked.
        detached: names of which it may be said that what they gave was detached.
        receivers: and those of the layers that got it.
    """

    state: str
    whole: set[str] = field(default_factory=set[str])
    clauses: list[set[str]] = field(default_factory=list[set[str]])
    partly: bool = False
    detached: set[str] = field(default_factory=set[str])
    receivers: set[str] = field(default_factory=set[str])

    def allows(self, why: str) -> bool:
        found = DETACHED.fullmatch(why)
        if why in self.whole or (found is not None and found[1] in self.detached and found[2] in self.receivers):
            return True
        said, known = set(why.split(" and ")), set[str]().union(*self.clauses)
        return said <= known and (self.partly or all(said & one for one in self.clauses))


@dataclass
class Stepper:
    """An optimizer over some of the weights, its twin, and its interval.

    Attributes:
        every: on every such round it steps.
        since: the calls of the model before its last step.
        left: the weights with zeros that were left when its gradients were last cleared.
    """

    weights: list[nn.Parameter]
    optimizer: torch.optim.Optimizer
    twin: Twin
    every: int
    since: int = 0
    left: set[int] = field(default_factory=set[int])


class Run:
    """A run of a random program, and all that is true of it."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.net = Program(seed)
        names: dict[int, str] = {}
        for name, one in self.net.named_parameters():
            names[id(one)] = name
            one.requires_grad_(self.random.random() > 0.05)
        self.names, self.layers = names, self.net.weights_of()
        self.to_none = self.random.random() < 0.6
        self.steppers = list(self._steppers())
        self.told = {name: Told() for name in names.values()}
        self.ways, self.rows = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
        self.backward: dict[int, str] = {}
        self.steps, self.wrong = 0, list[str]()
        self.missed: set[int] = set()

    def _steppers(self) -> Iterator[Stepper]:
        held = [one for one in self.net.parameters() if self.random.random() > 0.05]
        self.random.shuffle(held)
        cut = self.random.randrange(1, len(held)) if self.random.random() < 0.3 else 0
        for every, part in ((1, held[cut:]), (self.random.choice((1, 2, 3)), held[:cut])):
            if part:
                make = self.random.choice(optimizers())
                twin = Twin([nn.Parameter(one.detach().clone()) for one in part], make)
                yield Stepper(part, make(part), twin, every)

    def watched(self) -> Any:
        random.seed(self.random.randrange(10**6))
        watched = [stepper.optimizer for stepper in self.steppers]
        with wye.watch(self.net, watched, every=1, elements=None) as self.seen:
            for round_ in range(ROUNDS):
                for stepper in self.steppers:
                    if round_ % stepper.every == 0:
                        stepper.optimizer.zero_grad(set_to_none=self.to_none)
                        stepper.left = {id(one) for one in stepper.weights if one.grad is not None}
                begins = all(round_ % stepper.every == 0 for stepper in self.steppers)
                if begins and self.random.random() < 0.05:
                    one = self.random.choice(list(self.net.parameters()))
                    one.requires_grad_(not one.requires_grad)
                for _ in range(self.random.choice((1, 1, 2))):
                    self.forward(self.random.choice(("back",) * 12 + ("lost", "silent")))
                if self.random.random() < 0.2:
                    self.forward("off")
                for stepper in self.steppers:
                    if (round_ + 1) % stepper.every == 0:
                        self.step(stepper)
        return self.seen

    def forward(self, kind: str) -> None:
        size = 0 if self.random.random() < 0.04 else self.random.randint(1, 5)
        made = torch.Generator().manual_seed(self.random.randrange(10**6))
        x = torch.randn(size, 4, generator=made, dtype=torch.float64)
        with torch.set_grad_enabled(kind != "off"):
            out, _ = self.net(x)
        self.ways[tuple(self.net.way)] += 1
        self.rows[tuple(self.net.way)] += size
        kind = kind if out.requires_grad or kind == "off" else "silent"  # nothing to be trained in all that ran
        self.backward[self.net.forwards] = kind
        if kind in ("back", "lost"):
            bent = torch.linspace(0.5, 1.5, out.numel(), dtype=out.dtype).reshape(out.shape)
            ((bent * out).sum() * (kind == "back")).backward()

    def step(self, own: Stepper) -> None:
        """One step, and what is true of each weight then."""
        kinds = [self.backward[number] for number in range(own.since + 1, self.net.forwards + 1)]
        uses = [use for use in self.net.uses if use.forward > own.since]
        truths = [self.truth(one, [u for u in uses if self.touches(one, u)], kinds, own.left) for one in own.weights]
        for one, truth in zip(own.weights, truths, strict=True):
            if truth.state != state_of(one.grad):
                self.wrong.append(f"{self.names[id(one)]}: {state_of(one.grad)}, predicted {truth.state}")
            if self.steps >= FOLLOWED and id(one) not in self.missed:
                truth.partly = True
                truth.whole |= self.unheard(one, uses, own.left) if truth.state == "zero" else set()
                truth.whole |= {UNSEEN} if truth.state == "zero" else {LOSS} if OUTPUT in truth.whole else set()
        moves = own.twin.step([one.grad for one in own.weights])
        before = {name: self.reasons(name) for name in self.told}
        own.optimizer.step()
        for one, mirror, truth, move in zip(own.weights, own.twin.weights, truths, moves, strict=True):
            with torch.no_grad():
                mirror.copy_(one)
            name = self.names[id(one)]
            why = "".join((self.reasons(name) - before[name]).elements())
            if truth.state != "nonzero" and not truth.allows(why):
                self.wrong.append(f"{name} after {self.steps} steps, {truth.state}: {why!r}, not {truth}")
            if truth.state == "zero" or why in (LOSS, OUTPUT):
                self.missed.add(id(one))
            self.told[name].add(truth.state, why, *move)
        self.steps, own.since = self.steps + 1, self.net.forwards

    def touches(self, one: nn.Parameter, use: Use) -> bool:
        """Whether a use of a layer is one of this weight: what is not called is its `weight` alone."""
        if use.name not in self.layers[id(one)]:
            return False
        return use.called or one is self.net.get_submodule(use.name).weight

    def unheard(self, one: nn.Parameter, uses: list[Use], left: set[int]) -> set[str]:
        """Zeros added to zeros by uses of the weight without its layer look like zeros that were left."""
        own = [use for use in uses if self.touches(one, use)]
        if any(use.called for use in own) or not (id(one) in left or len(own) > 1):
            return set()
        return {f"{LEFT}: {' and '.join(f'`{name}` did not run' for name in self.layers[id(one)])}"}

    def reasons(self, name: str) -> Counter[str]:
        seen = self.seen.weights[name]
        return Counter(seen.reasons) + Counter(seen.zero_reasons)

    def truth(self, one: nn.Parameter, uses: list[Use], kinds: list[str], left: set[int]) -> Truth:
        if not one.requires_grad and id(one) in left:
            return Truth("zero", {f"{LEFT}: {FROZEN}"})
        if not one.requires_grad:
            return Truth("none", {FROZEN})
        came = [use for use in uses if use.reaches and self.backward[use.forward] in ("back", "lost")]
        if any(use.cut is None and self.backward[use.forward] == "back" for use in came):
            return Truth("nonzero")
        if came:
            lesson = [use for use in uses if use.learns and use.called]
            nothing = bool(lesson) and not any(use.rows for use in lesson)
            return Truth("zero", {EMPTY} if nothing else set(), [self.clauses(use) for use in came])
        whys = self.missing(one, uses, kinds)
        # Where one of several calls went backward, a copy that was detached in another one may be told of.
        detached = {use.name for use in uses if "detached" in use.around or "silent" in kinds}
        detached |= {f"{name}.{inner}" for name in detached for inner in ("lin", "norm", "0", "1")}
        if id(one) not in left:
            return Truth("none", whys, detached=detached, receivers=self.net.receivers)
        empty = {EMPTY} if uses and not any(use.rows and use.learns for use in uses) else set()
        unseen = {UNSEEN} if "silent" in kinds or any("aux" in use.around for use in uses) else set()
        return Truth("zero", {f"{LEFT}: {why}" for why in whys} | unseen | empty)

    def clauses(self, use: Use) -> set[str]:
        """What may be said of where the gradient of a use was lost."""
        found = {WORDS[one] for one in use.around if one in WORDS and one == use.first_cut}
        found |= {EMPTY} if not use.rows else set()
        if self.backward[use.forward] == "lost":
            return {LOST} | ({EMPTY} if not use.rows else set())
        return found

    def missing(self, one: nn.Parameter, uses: list[Use], kinds: list[str]) -> set[str]:
        """Why no gradient came at all."""
        called = [use for use in uses if use.called]
        if not any(use.learns for use in called):
            off = {self.net.first_of(use.name) for use in called}
            names = [*self.layers[id(one)], *(["alias"] if self.net.aliased in self.layers[id(one)] else [])]
            said = [
                f"`{name}` {'ran with gradients off' if self.net.first_of(name) in off else 'did not run'}"
                for name in names
            ]
            return {" and ".join(said)} | ({LOSS, OUTPUT} if len(uses) > len(called) else set())
        rest = {kind for kind in kinds if kind != "off"}
        if rest == {"silent"}:
            outside = any(weight.grad is not None for weight in self.net.parameters())
            return {BACKWARD} | ({LOSS} if outside else set())
        if "silent" in rest:
            return {OUTPUT, LOSS}
        given = any(use.learns and "aux" in use.around and "detached" not in use.around for use in uses)
        return {LOSS} if given else {OUTPUT}


def check(seed: int) -> None:
    run = Run(seed)
    seen = run.watched()
    found = list(run.wrong)
    told = {name: (path.calls, path.samples) for name, path in seen.modules.items() if path.calls}
    found += unequal("module", told, {name: (calls, run.net.rows_of[name]) for name, calls in run.net.ran.items()})
    told_ways = {way: (path.calls, path.samples) for way, path in seen.ways.items()}
    found += unequal("way", told_ways, {way: (calls, run.rows[way]) for way, calls in run.ways.items()})
    for name, account in run.told.items():
        found += [f"{name}: {line}" for line in weight(account, seen.weights[name])]
    if seen.steps != ROUNDS:
        found.append(f"steps: {seen.steps}, not {ROUNDS}")
    assert not found, f"seed {seed}:\n" + "\n".join(found)


@pytest.mark.parametrize("seed", range(SHORT))
def test_the_account_of_a_plain_program_is_the_truth(seed: int) -> None:
    check(seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SHORT, LONG))
def test_the_account_of_a_hundred_plain_programs_is_the_truth(seed: int) -> None:
    check(seed)
