"""What `field.md` asks about: two nets, one run of each, and the truth about it, worked out by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

SEED, STEPS, SAMPLES = 1, 100, 8
RATE, MOMENTUM = 0.0005, 0.9
ENTERS, PASSES = torch.full((2, 4), 0.5), torch.full((2, 4), 50.0)
"""A batch that goes into the loop of `Grow`, and one that never does."""


class Coin(nn.Module):
    """Sends its input through one layer or the other, as a coin falls."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.tails = nn.Linear(4, 1), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        if torch.rand(()) < 0.5:
            return self.heads(x)
        return self.tails(x)


class Grow(nn.Module):
    """Sends its input through the middle layer until it is large."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.mid, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 1)
        nn.init.eye_(self.first.weight)
        nn.init.eye_(self.mid.weight).data.mul_(1.5)

    def forward(self, x: Tensor) -> Tensor:
        x, rounds = self.first(x), 0
        while x.norm() < 10 and rounds < 20:
            x, rounds = torch.relu(self.mid(x)), rounds + 1
        return self.last(x)


@dataclass(frozen=True)
class Answer:
    """What a tool says to a question.

    Attributes:
        verdict: "yes", "partly" or "no".
        shown: the part of its output that shows it.
        note: what it does say, where that is less or something else.
    """

    verdict: str
    shown: str = ""
    note: str = ""


@dataclass(frozen=True)
class Column:
    """All answers of a tool, by question, and excerpts of its output, each with a title."""

    name: str
    version: str
    answers: dict[str, Answer]
    excerpts: list[tuple[str, str]]


def on_both(coin: bool, grow: bool, shown: str = "", note: str = "") -> Answer:
    """Yes if it is right on both nets, partly if on one."""
    if coin != grow:
        note = f"right on the {'coin' if coin else 'loop'} only{note and '; '}{note}"
    return Answer({2: "yes", 1: "partly", 0: "no"}[coin + grow], shown, note)


def silent(output: str, *words: str) -> Answer:
    """No, as none of the words that an answer would have is in the output."""
    line = next((line.strip() for line in output.splitlines() if any(word in line.lower() for word in words)), "")
    return Answer("partly", line) if line else Answer("no")


@dataclass
class Truth:
    """What happened in a run. Weights by name; lists have an entry for each step."""

    ways: list[tuple[str, ...]] = field(default_factory=list)
    none: Counter[str] = field(default_factory=Counter)
    zero: Counter[str] = field(default_factory=Counter)
    nonzero: Counter[str] = field(default_factory=Counter)
    moved: dict[str, list[Tensor]] = field(default_factory=dict)
    by_gradient: Counter[str] = field(default_factory=Counter)
    by_momentum: Counter[str] = field(default_factory=Counter)
    moved_without: Counter[str] = field(default_factory=Counter)
    weights: dict[str, Tensor] = field(default_factory=dict)

    @property
    def calls(self) -> Counter[str]:
        return Counter(name for way in self.ways for name in way)


def made(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(SEED)
    return kind()


def batches() -> Iterator[Tensor]:
    """Small ones, which go into the loop, and large ones, most of which do not."""
    chance = torch.Generator().manual_seed(SEED)
    for _ in range(STEPS):
        size = 1.0 if torch.rand((), generator=chance) < 0.5 else 4.0
        yield size * torch.rand(SAMPLES, 4, generator=chance)


def loss(out: Tensor) -> Tensor:
    return (out - 5).square().mean()


def optimizer_of(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(net.parameters(), lr=RATE, momentum=MOMENTUM)


def train(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    forward: Callable[[Tensor], Any] | None = None,
    before: Callable[[int, Tensor], None] | None = None,
) -> list[Tensor]:
    """The run: a plain loop. Gradients of `Coin` become None between steps, those of `Grow` zeros.

    Args:
        net: the net.
        optimizer: its optimizer.
        forward: what calls the net; None: the net itself.
        before: told of each step and its batch, before them.

    Returns:
        The weights at the end, and the state of the generator.
    """
    for step, x in enumerate(batches()):
        if before is not None:
            before(step, x)
        optimizer.zero_grad(set_to_none=isinstance(net, Coin))
        loss((forward or net)(x)).backward()
        optimizer.step()
    return [*(weight.detach().clone() for weight in net.parameters()), torch.get_rng_state()]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    """Whether two runs ended in the same bits."""
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def plain_run(kind: type[nn.Module]) -> list[Tensor]:
    """The run with nobody watching."""
    net = made(kind)
    torch.manual_seed(SEED)
    return train(net, optimizer_of(net))


def linear(weights: Mapping[str, Tensor], name: str, x: Tensor) -> Tensor:
    return functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def coin_by_hand(weights: Mapping[str, Tensor], x: Tensor) -> tuple[Tensor, tuple[str, ...]]:
    side = "heads" if float(torch.rand(())) < 0.5 else "tails"
    return linear(weights, side, x), (side,)


def grow_by_hand(weights: Mapping[str, Tensor], x: Tensor) -> tuple[Tensor, tuple[str, ...]]:
    x, rounds = linear(weights, "first", x), 0
    while float(x.detach().square().sum()) ** 0.5 < 10 and rounds < 20:
        x, rounds = linear(weights, "mid", x).clamp(min=0), rounds + 1
    return linear(weights, "last", x), ("first", *["mid"] * rounds, "last")


def by_hand(kind: type[nn.Module]) -> Truth:
    """The same run without modules, `backward` or an optimizer: each rule written out."""
    truth, call = Truth(), coin_by_hand if kind is Coin else grow_by_hand
    weights = {name: weight.detach().clone() for name, weight in made(kind).named_parameters()}
    memory: dict[str, Tensor] = {}
    held: set[str] = set()
    truth.moved = {name: [] for name in weights}
    torch.manual_seed(SEED)
    for x in batches():
        leaves = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
        out, way = call(leaves, x)
        truth.ways.append(way)
        gradients = torch.autograd.grad(loss(out), list(leaves.values()), allow_unused=True)
        for name, found in zip(leaves, gradients, strict=True):
            gradient = torch.zeros_like(weights[name]) if found is None and name in held else found
            if kind is Grow and found is not None:
                held.add(name)  # from now on, zeros stay where no gradient comes
            if gradient is None:
                truth.none[name] += 1
                truth.moved[name].append(torch.zeros_like(weights[name]))
                continue
            alive = bool((gradient != 0).any())
            (truth.nonzero if alive else truth.zero)[name] += 1
            remembered = MOMENTUM * memory.get(name, torch.zeros_like(gradient))
            memory[name] = remembered + gradient
            truth.moved[name].append(RATE * memory[name])
            truth.by_gradient[name] += float((RATE * gradient).abs().sum())
            truth.by_momentum[name] += float((RATE * remembered).abs().sum())
            truth.moved_without[name] += not alive and bool(remembered.any())
            weights[name] = weights[name] - RATE * memory[name]
    truth.weights = weights
    return truth


def one_by_hand(kind: type[nn.Module], x: Tensor) -> tuple[str, ...]:
    """The layers of one forward of the new net, in order."""
    net = made(kind)
    torch.manual_seed(heads_seed())
    return (coin_by_hand if kind is Coin else grow_by_hand)(dict(net.named_parameters()), x)[1]


def heads_seed() -> int:
    """A seed after which the coin falls on heads."""
    return next(
        seed for seed in range(99) if float(torch.rand((), generator=torch.Generator().manual_seed(seed))) < 0.5
    )


def left_alone(ask: Callable[[nn.Module], Any]) -> bool:
    """Whether a question about the coin leaves generator, weights, gradients and mode as they were."""
    net = made(Coin)
    torch.manual_seed(SEED)
    before = [*(weight.detach().clone() for weight in net.parameters()), torch.get_rng_state()]
    ask(net)
    after = [*(weight.detach() for weight in net.parameters()), torch.get_rng_state()]
    return same(before, after) and net.training and all(weight.grad is None for weight in net.parameters())
