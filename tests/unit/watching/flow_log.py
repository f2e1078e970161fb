"""Nets of flow nodes, and a log kept by hand of which branch ran and what each gradient was before a step."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn

import wye

CUT = "the model's output does not depend on it: what it gave was detached, or not used"


class Spy(nn.Linear):
    """A layer that logs the rows of each call."""

    def __init__(self, width: int = 2) -> None:
        super().__init__(width, width)
        self.rows: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.rows.append(len(x))
        return super().forward(x)


class Log:
    """What each weight's gradient was before each step, looked at by hand.

    A zero gradient becomes None before the step where no branch that holds the weight took a sample since the last:
    where it is a Spy's, and no Spy that holds it ran. This knows Spies alone, for they log each of their calls.
    """

    def __init__(self, net: nn.Module) -> None:
        self.net = net
        self.ran: dict[int, int] = {}
        self.seen: dict[str, Counter[str]] = {name: Counter() for name, _ in net.named_parameters()}

    def look(self, held: Any = None) -> None:
        own = None if held is None else {id(weight) for weight in held}
        now: dict[int, int] = {}
        for spy in self.net.modules():
            if isinstance(spy, Spy):
                for weight in spy.parameters():
                    now[id(weight)] = now.get(id(weight), 0) + len(spy.rows)
        idle = {key for key, runs in now.items() if runs == self.ran.get(key, 0)}
        for name, weight in self.net.named_parameters():
            if own is None or id(weight) in own:
                grad = weight.grad
                kind = "none" if grad is None else "nonzero" if bool((grad != 0).any()) else "zero"
                self.seen[name]["none" if kind == "zero" and id(weight) in idle else kind] += 1
                self.ran[id(weight)] = now.get(id(weight), 0)


def assert_logged(seen: Any, log: Log, prefix: str = "") -> None:
    for name, counts in log.seen.items():
        weight = seen.weights[prefix + name]
        assert (weight.none, weight.zero, weight.nonzero) == (counts["none"], counts["zero"], counts["nonzero"]), name
        assert weight.steps == counts.total()
        assert sum(weight.reasons.values()) == counts["none"]


def net_of_all() -> wye.Chain:
    return wye.Chain(
        Spy(),
        deep=wye.When("control > 0.5", wye.Chain(Spy(), nn.Tanh())),
        either=wye.When("mean(x) > 0", Spy(), Spy()),
        loop=wye.While("norm(x) < 1", Spy(), max_steps=3),
        depth=wye.Repeat([Spy(), Spy()], "times"),
        last=wye.Repeat(Spy(), "more"),
    )


def batches(count: int) -> list[tuple[Tensor, dict[str, Any]]]:
    made = torch.Generator().manual_seed(3)

    def control(step: int) -> Any:
        rows = torch.rand(4, generator=made)
        return rows if step % 3 else 0.0 if step % 2 else torch.zeros(4)

    return [
        (
            torch.randn(4, 2, generator=made),
            {"control": control(step), "times": torch.tensor([0, step % 2, 0, step % 3]), "more": step % 2},
        )
        for step in range(count)
    ]


# why


def reasons(seen: Any, key: str) -> dict[str, int]:
    return dict(seen.weights[key].reasons)


def run(net: nn.Module, optimizers: list[torch.optim.Optimizer], calls: list[dict[str, Any]], keep: Any = None) -> None:
    for sides in calls:
        for optimizer in optimizers:
            optimizer.zero_grad()
        value = net(torch.ones(4, 2), **sides)
        (value if keep is None else keep(value)).sum().backward()
        for optimizer in optimizers:
            optimizer.step()


def never(x: Tensor) -> bool:
    return False
