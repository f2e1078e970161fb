"""Random plain modules with Python control flow: small programs, whose interpreter is the module's forward.

The interpreter writes down each use of a layer as it happens, and what lies between that use and the loss.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

WIDTH = 4
CUTS = ("product", "where", "mask", "relu")
"""What turns gradients into zeros."""


class Block(nn.Module):
    """A layer with layers inside."""

    def __init__(self) -> None:
        super().__init__()
        self.lin, self.norm = nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.norm(self.lin(x)))


INSIDE = {nn.Linear: (), Block: ("lin", "norm"), nn.Sequential: ("0", "1")}


@dataclass(frozen=True)
class Use:
    """One use of a layer.

    Attributes:
        name: of the layer.
        rows: how many it was given.
        learns: whether gradients were on.
        around: what lay around it, the outermost first: cuts, `detached`, `aux`.
        called: False where its weight alone was used.
        forward: the number of the call of the model.
    """

    name: str
    rows: int
    learns: bool
    around: tuple[str, ...]
    called: bool
    forward: int

    @property
    def reaches(self) -> bool:
        """Whether the output that the loss reads depends on it."""
        return self.learns and not {"detached", "aux"} & set(self.around)

    @property
    def first_cut(self) -> str | None:
        """The outermost of what makes gradients zero around it."""
        return next((one for one in self.around if one in CUTS), None)

    @property
    def cut(self) -> str | None:
        """What made its gradient zero."""
        return "empty" if not self.rows else self.first_cut


@dataclass
class Step:
    """A statement of a program: its kind, the layer it names, a number it compares with, and the statements inside."""

    kind: str
    name: str = ""
    level: float = 0.0
    most: int = 0
    inner: list[list[Step]] = field(default_factory=list["list[Step]"])


class Returned(Exception):  # noqa: N818
    """An early return."""

    def __init__(self, value: Tensor) -> None:
        self.value = value


class Program(nn.Module):
    """A random program over layers of its own."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.random = random.Random(seed)
        kinds = [self.random.choice((nn.Linear, nn.Linear, Block, nn.Sequential)) for _ in range(6)]
        for name, kind in zip("abcdef", kinds, strict=True):
            inside = (nn.Linear(WIDTH, WIDTH), nn.Tanh())
            self.add_module(
                name,
                nn.Sequential(*inside)
                if kind is nn.Sequential
                else Block()
                if kind is Block
                else nn.Linear(WIDTH, WIDTH),
            )
        self.rows = nn.ModuleList([nn.Linear(WIDTH, WIDTH) for _ in range(3)])
        self.head = nn.Linear(WIDTH, 2)
        self.aliased = self.random.choice("abc")
        self.alias = self.get_submodule(self.aliased)  # a second name
        if self.random.random() < 0.2:
            self.rows[1].weight = self.rows[0].weight
        self.double()
        self.program = [self._drawn(2, top=True) for _ in range(self.random.randint(2, 4))]
        self.uses: list[Use] = []
        self.way: list[str] = []
        self.receivers: set[str] = set()  # of what was detached
        self.ran, self.rows_of = Counter[str](), Counter[str]()
        self._around: list[str] = []
        self._writes, self.forwards = False, 0

    def _drawn(self, depth: int, top: bool = False) -> Step:
        plain = ["layer", "layer", "layer", "functional", "list", "again", "checkpoint"]
        deep = ["if", "while", "depth", "zero", "where", "mask", "detach", "passed", "off", "unused", "relu"]
        kind = self.random.choice(plain + 2 * deep + (["early", "aux"] if top else [])) if depth else "layer"
        step = Step(kind, self.random.choice("abcdef"), self.random.uniform(-0.5, 0.5), self.random.randint(1, 3))
        if kind in ("where", "mask") and self.random.random() < 0.4:
            step.level = self.random.choice((-100.0, 100.0))  # all on one side, or none selected
        sides = {"if": 2, "where": 2}.get(kind, 1 if kind in (*deep, "aux") else 0)
        step.inner = [[self._drawn(depth - 1) for _ in range(self.random.randint(1, 2))] for _ in range(sides)]
        return step

    # the forward, which is an interpreter

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self._writes, self.way = True, []
        self.forwards += 1
        self._enter("", x)
        self.aux, self._rows = x.new_zeros(()), torch.ones(len(x), dtype=torch.bool)
        try:
            x = self._all(self.program, x)
        except Returned as early:
            x = early.value
        x = self._layer("head", x)
        self._writes = False
        return x, self.aux

    def _enter(self, name: str, x: Tensor, leaf: bool = False) -> None:
        self.ran[name] += 1
        self.rows_of[name] += len(x)
        if leaf:
            self.way.append(name)

    def _layer(self, name: str, x: Tensor, called: bool = True) -> Tensor:
        layer = self.get_submodule(name)
        if not self._writes:  # a checkpoint runs it once more
            return layer(x)
        self.uses.append(Use(name, len(x), torch.is_grad_enabled(), tuple(self._around), called, self.forwards))
        if not called:
            return functional.linear(x, layer.weight)  # type: ignore[arg-type]
        inside = INSIDE[type(layer)]  # type: ignore[index]
        self._enter(name, x, leaf=not inside)
        for one in inside:
            self._enter(f"{name}.{one}", x, leaf=True)
        return layer(x)

    def _all(self, steps: Sequence[Step], x: Tensor) -> Tensor:
        for step in steps:
            x = getattr(self, f"_{step.kind}")(step, x) if step.kind != "layer" else self._layer(step.name, x)
        return x

    def _within(self, what: str, steps: Sequence[Step], x: Tensor, rows: Tensor | None = None) -> Tensor:
        """Statements within something; `rows` are those from which a gradient can come."""
        before, self._rows = self._rows, self._rows if rows is None else rows
        self._around.append(what)
        try:
            return self._all(steps, x)
        finally:
            self._around.pop()
            self._rows = before

    def _again(self, step: Step, x: Tensor) -> Tensor:
        return self._layer(step.name, self._layer(step.name, x))

    def _functional(self, step: Step, x: Tensor) -> Tensor:
        name = "rows.2" if step.most > 1 else "rows.0"
        return torch.tanh(self._layer(name, x, called=False))

    def _list(self, step: Step, x: Tensor) -> Tensor:
        for place in range(random.randint(0, step.most)):
            x = torch.tanh(self._layer(f"rows.{place}", x))
        return x

    def _checkpoint(self, step: Step, x: Tensor) -> Tensor:
        return checkpoint(lambda x: self._layer(step.name, x), x, use_reentrant=False)  # type: ignore[return-value]

    def _if(self, step: Step, x: Tensor) -> Tensor:
        return self._all(step.inner[0] if float(x.detach().mean()) > step.level else step.inner[1], x)

    def _while(self, step: Step, x: Tensor) -> Tensor:
        rounds = 0
        while rounds < step.most and float(x.detach().norm()) < 3 + step.level:
            x, rounds = self._all(step.inner[0], x), rounds + 1
        return x

    def _depth(self, step: Step, x: Tensor) -> Tensor:
        drawn = random.random() if step.most > 1 else float(torch.rand(()))
        for _ in range(int(drawn * (step.most + 1))):
            x = self._all(step.inner[0], x)
        return x

    def _early(self, step: Step, x: Tensor) -> Tensor:
        if float(x.detach().mean()) > step.level:
            raise Returned(x)
        return x

    def _zero(self, step: Step, x: Tensor) -> Tensor:
        return x + 0 * self._within("product", step.inner[0], x)

    def _relu(self, step: Step, x: Tensor) -> Tensor:
        return x + torch.relu(torch.tanh(self._within("relu", step.inner[0], x)) - 2)

    def _where(self, step: Step, x: Tensor) -> Tensor:
        chosen = x[:, :1] > step.level
        here, there = self._rows & chosen[:, 0], self._rows & ~chosen[:, 0]
        one = self._within("" if bool(here.any()) else "where", step.inner[0], x, here)
        other = self._within("" if bool(there.any()) else "where", step.inner[1], x, there)
        return torch.where(chosen, one, other)

    def _mask(self, step: Step, x: Tensor) -> Tensor:
        chosen = x[:, 0] > step.level
        y, rows = x.clone(), self._rows[chosen]
        y[chosen] = self._within("" if bool(rows.any()) or not len(rows) else "mask", step.inner[0], x[chosen], rows)
        return y

    def _detach(self, step: Step, x: Tensor) -> Tensor:
        return x + self._within("detached", step.inner[0], x).detach()

    def _passed(self, step: Step, x: Tensor) -> Tensor:
        self.receivers.add(step.name)
        return x + self._layer(step.name, self._within("detached", step.inner[0], x).detach())

    def _off(self, step: Step, x: Tensor) -> Tensor:
        with torch.no_grad():
            y = self._all(step.inner[0], x)
        return x + y

    def _unused(self, step: Step, x: Tensor) -> Tensor:
        self._within("detached", step.inner[0], x)
        return x

    def _aux(self, step: Step, x: Tensor) -> Tensor:
        self.aux = self.aux + self._within("aux", step.inner[0], x).sum()
        return x

    def first_of(self, name: str) -> str:
        return self.aliased if name == "alias" else name

    def weights_of(self) -> dict[int, list[str]]:
        """The layers that hold each weight, by its id, as uses name them."""
        found: dict[int, list[str]] = {}
        for name in [*"abcdef", "rows.0", "rows.1", "rows.2", "head"]:
            for weight in self.get_submodule(name).parameters():
                found.setdefault(id(weight), []).append(name)
        return found
