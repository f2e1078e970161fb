"""Every node per sample, batch and token, beside a twin of plain torch that loops over the samples in Python."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import wye
from tests.laws.plain_dice import bits, chosen

WIDTH = 3
BLOCKS = 3
SIZES = {"sample": (6,), "batch": (5,), "token": (4, 3)}
WEIGHTS = (1.0, 1.0, 2.0)
DICE = ("die", "die_list", "coin", "choice")


@dataclass(frozen=True)
class Case:
    """A kind of node, and for whom it decides."""

    kind: str
    per: str

    def __str__(self) -> str:
        return f"{self.kind}-{self.per}"

    @property
    def throws(self) -> bool:
        return self.kind in DICE

    def node(self, blocks: nn.ModuleList) -> nn.Module:
        """The node of wye over blocks; an exit has the last three for exits."""
        one, two, three, *exits = blocks
        per, batch = self.per, self.per == "batch"
        control, kind, depth = ("mean(control)", "max(kind)", "max(depth)") if batch else ("control", "kind", "depth")
        made: dict[str, Callable[[], nn.Module]] = {
            "when": lambda: wye.When(f"{control} > 0.5", one, per=per),
            "when_else": lambda: wye.When(f"{control} > 0.5", one, two, per=per),
            "switch": lambda: wye.Switch(kind, one, None, two, per=per),
            "repeat": lambda: wye.Repeat(one, depth, per=per),
            "repeat_list": lambda: wye.Repeat([one, two, three], depth, per=per),
            "while": lambda: wye.While(f"{control} > 0.5 and norm(x) < {bound(per)}", one, max_steps=3, per=per),
            "exit": lambda: wye.EarlyExit([one, two, three], exits, f"max(x) > 3 * {control} - 1.2", per=per),
            "die": lambda: wye.Repeat(one, "die(0, 2)", per=per),
            "die_list": lambda: wye.Repeat([one, two, three], "die(0, 3)", per=per),
            "coin": lambda: wye.When("coin(0.5)", one, two, per=per),
            "choice": lambda: wye.RandomChoice(one, None, two, weights=WEIGHTS),
        }
        return made[self.kind]()


CASES = [
    *(Case(kind, per) for kind in "when when_else switch repeat repeat_list while exit".split() for per in SIZES),
    *(Case(kind, per) for kind in ("die", "coin") for per in ("sample", "token")),
    *(Case("die_list", "sample"), Case("choice", "batch")),
]


def bound(per: str) -> float:
    """Where a While leaves off; per batch it reads the norm of the whole batch."""
    return 3.0 if per == "batch" else 1.3


def block() -> nn.Module:
    return nn.Sequential(nn.Linear(WIDTH, WIDTH, dtype=torch.float64), nn.Tanh())


def blocks_of(case: Case, make: Callable[[], nn.Module] = block) -> nn.ModuleList:
    return nn.ModuleList([make() for _ in range(2 * BLOCKS if case.kind == "exit" else BLOCKS)])


class Plain:
    """What a node means, said by a plain Python loop over rows of shape (1, D).

    Args:
        case: which node.
        blocks: its blocks.
        fall: 32 bits, where it throws a die.
    """

    def __init__(self, case: Case, blocks: nn.ModuleList, fall: int = 0) -> None:
        self.case, self.blocks, self.fall = case, blocks, fall
        self.entered: set[int] = set()
        self.pairs: set[tuple[int, int]] = set()
        self.stopped = 0

    def __call__(self, x: Tensor, sides: dict[str, Tensor]) -> Tensor:
        """The whole batch: split into samples or tokens, and put together again."""
        axes = x.shape[:-1]
        self.rows = list(x.reshape(-1, 1, WIDTH).unbind())
        self.sides = {name: value.reshape(-1).tolist() for name, value in sides.items()}
        rows = getattr(self, self.case.kind)()
        return torch.cat(rows).reshape(*axes, WIDTH)

    def said(self, name: str, join: Callable[[list[Any]], Any]) -> list[Any]:
        """A side input for each row; per batch one for all."""
        values = self.sides[name]
        return [join(values)] * len(values) if self.case.per == "batch" else values

    def controls(self) -> list[float]:
        return self.said("control", lambda values: sum(values) / len(values))

    def through(self, place: int, i: int, row: Tensor) -> Tensor:
        self.entered.add(i)
        self.pairs.add((i, place))
        return self.blocks[place](row)

    def places(self, found: list[int | None]) -> list[Tensor]:
        """Each row through the block at its place, or none."""
        return [
            row if at is None else self.through(at, i, row)
            for i, (at, row) in enumerate(zip(found, self.rows, strict=True))
        ]

    def when(self) -> list[Tensor]:
        return self.places([0 if control > 0.5 else None for control in self.controls()])

    def when_else(self) -> list[Tensor]:
        return self.places([0 if control > 0.5 else 1 for control in self.controls()])

    def switch(self) -> list[Tensor]:
        return self.places([(0, None, 1)[kind] for kind in self.said("kind", max)])

    def coin(self) -> list[Tensor]:
        return self.places([0 if self.fall / 2**32 < 0.5 else 1] * len(self.rows))

    def choice(self) -> list[Tensor]:
        return self.places([(0, None, 1)[chosen(self.fall, WEIGHTS)]] * len(self.rows))

    def rounds(self, depths: list[int], shared: bool) -> list[Tensor]:
        done = []
        for i, (depth, row) in enumerate(zip(depths, self.rows, strict=True)):
            for place in range(depth):
                row = self.through(0 if shared else place, i, row)
            done.append(row)
        return done

    def repeat(self) -> list[Tensor]:
        return self.rounds(self.said("depth", max), shared=True)

    def repeat_list(self) -> list[Tensor]:
        return self.rounds(self.said("depth", max), shared=False)

    def die(self) -> list[Tensor]:
        return self.rounds([self.fall % 3] * len(self.rows), shared=True)

    def die_list(self) -> list[Tensor]:
        return self.rounds([self.fall % 4] * len(self.rows), shared=False)

    def loop(self) -> list[Tensor]:
        rows, controls, limit = list(self.rows), self.controls(), bound(self.case.per)

        def going() -> list[bool]:
            lengths = [float(row.detach().square().sum()) for row in rows]
            lengths = [sum(lengths)] * len(rows) if self.case.per == "batch" else lengths
            return [c > 0.5 and length**0.5 < limit for c, length in zip(controls, lengths, strict=True)]

        for _ in range(3):
            rows = [
                self.through(0, i, row) if on else row for i, (on, row) in enumerate(zip(going(), rows, strict=True))
            ]
        self.stopped = sum(going())
        return rows

    def exit(self) -> list[Tensor]:
        rows, done = dict(enumerate(self.rows)), dict[int, Tensor]()
        for place in range(BLOCKS):
            rows = {i: self.through(place, i, row) for i, row in rows.items()}
            outs = {i: self.blocks[BLOCKS + place](row) for i, row in rows.items()}
            highest = {i: float(out.detach().max()) for i, out in outs.items()}
            if self.case.per == "batch" and highest:
                highest = dict.fromkeys(highest, max(highest.values()))
            controls, last = self.controls(), place == BLOCKS - 1
            leaving = [i for i in rows if last or highest[i] > 3 * controls[i] - 1.2]
            done |= {i: outs[i] for i in leaving}
            rows = {i: row for i, row in rows.items() if i not in leaving}
        return [done[i] for i in range(len(self.rows))]


setattr(Plain, "while", Plain.loop)  # a keyword cannot be defined


class Pair:
    """A net of wye with the node in its middle, and the twin over copies of its layers."""

    def __init__(self, case: Case) -> None:
        self.case, self.blocks = case, blocks_of(case)
        layers = nn.Linear(WIDTH, WIDTH, dtype=torch.float64), nn.Linear(WIDTH, 1, dtype=torch.float64)
        self.first, self.last = layers
        self.twin = copy.deepcopy(nn.ModuleList([self.first, *self.blocks, self.last]))
        self.net = wye.Chain(first=self.first, node=case.node(self.blocks), last=self.last)
        self.start = copy.deepcopy(self.net.state_dict())
        self.seed = int(self.start["node.dice.state"][0]) if case.throws else 0
        self.twin_start = copy.deepcopy(self.twin.state_dict())

    def restart(self) -> None:
        """Both as they were built, the die included."""
        self.net.load_state_dict(self.start)
        self.twin.load_state_dict(self.twin_start)
        for weight in (*self.net.parameters(), *self.twin.parameters()):
            weight.grad = None

    def plain(self, x: Tensor, sides: dict[str, Tensor], step: int) -> Tensor:
        first, *blocks, last = self.twin
        node = Plain(self.case, nn.ModuleList(blocks), bits(self.seed, step))
        return last(node(first(x), sides))

    def weights(self) -> list[tuple[str, Tensor, Tensor]]:
        names = {id(weight): name for name, weight in self.net.named_parameters()}
        ours = nn.ModuleList([self.first, *self.blocks, self.last]).parameters()
        pairs = zip(ours, self.twin.parameters(), strict=True)
        return [(names[id(mine)], mine, theirs) for mine, theirs in pairs if id(mine) in names]


def data(case: Case, seed: int, who: str) -> tuple[Tensor, dict[str, Tensor]]:
    """A value and side inputs, of which `nobody`, `everybody` or `some` take the branches."""
    made = torch.Generator().manual_seed(seed)
    axes = SIZES[case.per]
    alike = () if case.per == "batch" else axes
    control = torch.rand(alike, generator=made, dtype=torch.float64).expand(axes)
    kind, depth = (torch.randint(0, most, alike, generator=made).expand(axes) for most in (3, 4))
    if who != "some":
        control = torch.full(axes, float(who == "everybody"), dtype=torch.float64)
        kind, depth = torch.full(axes, 0 if who == "everybody" else 1), torch.full(axes, 3 * (who == "everybody"))
    x = torch.randn((*axes, WIDTH), generator=made, dtype=torch.float64)
    return x, {"control": control.contiguous(), "kind": kind.contiguous(), "depth": depth.contiguous()}
