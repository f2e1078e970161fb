"""Random training runs of random dynamic nets, each beside its twin: the same by plain loops and plain optimizers."""

from __future__ import annotations

import copy
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

import wye
from tests.laws.blocks import each
from tests.laws.nestings import Drawn, Spec, batch
from tests.laws.pairs import bent, thrown, wanted
from tests.laws.watch_oracle import Ledger, Record, Told, Twin, stages_of, state_of, under

KINDS = {"when": "When", "when_else": "When", "repeat_list": "Repeat", "choice": "RandomChoice", "exit": "EarlyExit"}
VERBS = {"while": "let no sample in", "choice": "did not draw it"}
ROUNDS = {"repeat": "ran no round of it", "repeat_list": "ran no round of it"}
FROZEN = "it does not require one"
LEFT = "zeros were left by zero_grad(set_to_none=False), and no new gradient came"
EMPTY = "it ran on an empty batch"


def optimizers(rate: float = 0.02) -> list[Callable[[Any], Optimizer]]:
    """The optimizers whose steps are told of, plain, foreach and fused.

    A fused SGD with momentum raises where weights have their first gradients at different steps.
    """
    ways: list[dict[str, Any]] = [{"foreach": False}, {"foreach": True}, {"fused": True}]
    some = [
        (SGD, {}),
        (SGD, {"momentum": 0.9}),
        (SGD, {"momentum": 0.9, "weight_decay": 0.1}),
        (SGD, {"momentum": 0.8, "nesterov": True, "weight_decay": 0.05}),
        (SGD, {"momentum": 0.8, "dampening": 0.3}),
        (SGD, {"weight_decay": 0.1}),
        (Adam, {}),
        (Adam, {"weight_decay": 0.1}),
        (Adam, {"amsgrad": True, "weight_decay": 0.1}),
        (AdamW, {"weight_decay": 0.1}),
        (AdamW, {"amsgrad": True}),
        (RMSprop, {}),
        (RMSprop, {"momentum": 0.9, "weight_decay": 0.1, "centered": True}),
        (Adagrad, {}),
        (Adagrad, {"weight_decay": 0.1}),
    ]
    return [
        lambda weights, kind=kind, settings=settings, way=way: kind(weights, lr=rate, **settings, **way)
        for kind, settings in some
        for way in (ways[:2] if kind is RMSprop or settings.get("momentum") else ways)
    ]


@dataclass
class Stepper:
    """An optimizer of the run, and its twin.

    Attributes:
        weights: their places among the weights of the net.
        every: on every such round it steps.
        since: the time of its last step.
        full: whether samples came since then; an empty batch brings none.
    """

    weights: list[int]
    optimizer: Optimizer
    twin: Twin
    every: int
    since: int = 0
    full: bool = False
    steps: int = 0


@dataclass
class Course:
    """One run, from its seed."""

    seed: int
    told: dict[str, Told] = field(default_factory=dict[str, Told])
    ways: Counter[tuple[str, ...]] = field(default_factory=Counter[tuple[str, ...]])
    rows: Counter[tuple[str, ...]] = field(default_factory=Counter[tuple[str, ...]])
    empty: bool = False

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        depth = self.random.choice((1, 2, 2, 3))
        tries = (Drawn(self.seed + 10_000 * again, depth) for again in range(100))
        self.drawn = next(one for one in tries if list(one.built()[0].parameters()))
        self.net, self.dice = self.drawn.built()
        layers = list(self.drawn.layers)
        if len(layers) > 1 and self.random.random() < 0.25:
            one, other = self.random.sample(layers, 2)
            other.inner.weight = one.inner.weight  # type: ignore[union-attr]
        for weight in self.net.parameters():
            weight.requires_grad_(self.random.random() > 0.08)
        self.twin = copy.deepcopy(self.drawn.layers)
        held = {id(weight) for weight in self.net.parameters()}
        pairs = zip(self.drawn.layers.parameters(), self.twin.parameters(), strict=True)
        self.pairs = [(mine, theirs) for mine, theirs in pairs if id(mine) in held]
        self.record = Record()
        self.ledger = Ledger(self.drawn, self.twin, self.record, self.first_names())
        self.checkpoint = self.random.choice((None, None, None, False, True))
        for layer in layers if self.random.random() < 0.3 else []:
            if self.random.random() < 0.5:
                layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
        self.to_none = self.random.random() < 0.6
        self.steppers = list(self._steppers())
        self._names()

    def first_names(self) -> dict[str, str]:
        firsts = {id(module): name for name, module in reversed(list(self.net.named_modules()))}
        named = self.net.named_modules(remove_duplicate=False)
        return {name: firsts[id(module)] for name, module in named}

    def _steppers(self) -> Any:
        places = [place for place in range(len(self.pairs)) if self.random.random() > 0.06] or [0]
        self.random.shuffle(places)
        cut = self.random.randrange(1, len(places)) if len(places) > 1 and self.random.random() < 0.4 else 0
        for rate, part in ((1, places[cut:]), (self.random.choice((1, 2, 3)), places[:cut])):
            if part:
                make = self.random.choice(optimizers())
                twin = Twin([self.pairs[i][1] for i in part], make)
                yield Stepper(part, make([self.pairs[i][0] for i in part]), twin, rate)

    def _names(self) -> None:
        """All names of the weights, and of each name the paths around it, the outermost first."""
        self.keys: dict[int, list[str]] = {}
        for name, weight in self.net.named_parameters(remove_duplicate=False):
            self.keys.setdefault(id(weight), []).append(name)
        self.told = {self.keys[id(mine)][0]: Told() for mine, _ in self.pairs}
        self.around: dict[str, list[tuple[str, str]]] = {}
        self._walk(self.drawn.spec, "", [])

    def _walk(self, spec: Spec | None, name: str, around: list[tuple[str, str]]) -> None:
        if spec is None:
            return
        if spec.kind == "layer":
            self.around[f"{name}.inner"] = around
        for stage, inner in stages_of(spec):
            path = under(name, stage)
            more = [] if spec.kind == "chain" else [(path, self.sentence(spec, name, stage))]
            self._walk(inner, path, around + more)

    def sentence(self, spec: Spec, name: str, stage: str) -> str:
        """What is true of a stage that took no sample."""
        node = self.net.get_submodule(name)
        left = "let no sample leave by it" if stage.startswith("exit") else "let all samples leave before it"
        verb = left if spec.kind == "exit" else {**VERBS, **ROUNDS}.get(spec.kind, "sent no sample")
        title = f"{KINDS.get(spec.kind, spec.kind.capitalize())} {node.decided_by()}".rstrip()  # type: ignore[operator]
        return f"{title} {verb}"

    # the run

    def rounds(self, count: int) -> None:
        for round_ in range(count):
            for stepper in self.steppers:
                if round_ % stepper.every == 0:
                    stepper.optimizer.zero_grad(set_to_none=self.to_none)
                    for weight in stepper.twin.weights:
                        zeros = None if self.to_none or weight.grad is None else torch.zeros_like(weight)
                        weight.grad = zeros
            if self.random.random() < 0.1:
                for weight in self.random.choice(self.pairs):
                    weight.requires_grad_(not weight.requires_grad)
            for _ in range(self.random.choice((1, 1, 2))):
                size = 0 if self.random.random() < 0.06 else self.random.randint(1, 5)
                self.forward(size, learns=True)
            if self.random.random() < 0.2:
                self.forward(self.random.randint(1, 3), learns=False)
            for stepper in self.steppers:
                if (round_ + 1) % stepper.every == 0:
                    self.step(stepper)

    def forward(self, size: int, learns: bool) -> None:
        """One call of the net and of the loop, each with its backward."""
        seed = self.random.randrange(10**6)
        self.record.way, self.ledger.learns = [], learns
        self.ledger.bits = thrown(self.drawn.spec, self.dice)
        x, sides = batch(seed, size, self.drawn.nest, self.drawn.texts)
        with torch.set_grad_enabled(learns):
            value = self.called(x, wanted(self.net, sides), learns and size > 0)
        if learns:
            bent(value).backward()
        if not size:
            self.empty = True
            self.on_nothing(self.drawn.spec)
            return
        x, sides = batch(seed, size, self.drawn.nest, self.drawn.texts)
        with torch.set_grad_enabled(learns):
            plain = self.ledger(x, sides)
        if learns:
            bent(plain).backward()
            for stepper in self.steppers:
                stepper.full = True
        each(lambda one, other: assert_close(one, other, rtol=1e-9, atol=1e-9), value, plain)
        self.ways[tuple(self.record.way)] += 1
        self.rows[tuple(self.record.way)] += size

    def called(self, x: Any, sides: dict[str, Any], learns: bool) -> Any:
        if self.checkpoint is None or not learns or not isinstance(x, Tensor):
            return self.net(x, **sides)
        return checkpoint(lambda x: self.net(x, **sides), x, use_reentrant=self.checkpoint, preserve_rng_state=False)

    def on_nothing(self, spec: Spec) -> None:
        """An empty batch gives zeros to layers beside the nodes; within them nothing is learnt."""
        for inner in spec.inner:
            if inner is not None and inner.kind == "chain":
                self.on_nothing(inner)
            elif inner is not None and inner.kind == "layer":
                for weight in self.twin[inner.place].inner.parameters():  # type: ignore[union-attr]
                    if weight.requires_grad and weight.grad is None:
                        weight.grad = torch.zeros_like(weight)

    # the steps

    def step(self, stepper: Stepper) -> None:
        """A step of the run, and of its twin with the same gradients."""
        grads: list[Tensor | None] = []
        found: list[tuple[str, str]] = []
        for place in stepper.weights:
            mine, theirs = self.pairs[place]
            whys = [self.why(key, stepper.since) for key in self.keys[id(mine)]]
            grad, why = theirs.grad, " and ".join(dict.fromkeys(one for one in whys if one))
            if state_of(grad) == "zero" and None not in whys and stepper.full:
                grad = None  # the contract of idle weights
            elif grad is not None:
                assert mine.grad is not None
                assert_close(mine.grad, grad, rtol=1e-9, atol=1e-9)
                assert state_of(mine.grad) == state_of(grad)
                grad = mine.grad.clone()
            else:
                assert mine.grad is None
            if state_of(grad) == "zero":
                why = EMPTY if None in whys else f"{LEFT}: {why}"
            grads.append(grad)
            if not mine.requires_grad:
                why = f"{LEFT}: {FROZEN}" if state_of(grad) == "zero" else FROZEN
            found.append((state_of(grad), why))
        moves = stepper.twin.step(grads)
        stepper.optimizer.step()
        for place, (state, why), (moved, split) in zip(stepper.weights, found, moves, strict=True):
            mine, theirs = self.pairs[place]
            assert_close(mine.detach(), theirs.detach(), rtol=1e-13, atol=1e-13)
            with torch.no_grad():
                theirs.copy_(mine)
            self.told[self.keys[id(mine)][0]].add(state, why, moved, split)
        self.record.now += 1
        stepper.since, stepper.full, stepper.steps = self.record.now, False, stepper.steps + 1

    def why(self, key: str, since: int) -> str | None:
        """Which path around a weight took no sample since then; None: all did."""
        for path, sentence in self.around[key.rpartition(".")[0]]:
            if self.record.taught.get(path, -1) < since:
                return sentence
        return None

    def watched(self, count: int = 6) -> Any:
        """The whole run beneath a watch."""
        one = [stepper.optimizer for stepper in self.steppers]
        given = self.random.choice((None, one, one))
        with wye.watch(self.net, given, every=1, elements=None) as seen:
            self.rounds(count)
        return seen
