"""One optimizer step as the watch sees it: which gradients there are before it, and what has moved after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer

from .account import Weight
from .movement import Places, Snapshot
from .trail import is_zero

REASONS = 32
"""The most reasons that are told apart for one weight."""
MORE = "other reasons"


class Held:
    """A weight that an optimizer holds: itself, all its names, and its account.

    Attributes:
        version: how often it had been written into when it was last looked at.
        taught: the steps on which it had a gradient.
    """

    __slots__ = ("account", "keys", "parameter", "taught", "version")

    def __init__(self, parameter: nn.Parameter, keys: Sequence[str], account: Weight) -> None:
        self.parameter, self.keys, self.account = parameter, keys, account
        self.version, self.taught = parameter._version, 0


class Look:
    """The gradients as they are when the optimizer begins to use them.

    Attributes:
        none: the weights without a gradient.
        zero: those with a gradient of zeros.
        reasons: why, for each weight without a gradient.
        zero_reasons: why, for each with zeros.
        due: the ids of the weights whose movement is told, by how many steps with a gradient each has had.
        snapshot: the state before the step, of those, and of the weights with zeros.
    """

    def __init__(self, held: Sequence[Held], every: int) -> None:
        self.held = held
        self.none: list[Held] = []
        self.zero: list[Held] = []
        away, due = list[Held](), list[Held]()
        for one in held:
            written, grad = one.parameter._version, one.parameter.grad
            if written != one.version:
                one.account.written += 1
                one.version = written
            if grad is None:
                self.none.append(one)
                continue
            if is_due(one.taught, every):
                due.append(one)
            if not grad.is_cpu:
                away.append(one)
            elif is_zero(grad):
                self.zero.append(one)
        if away:
            self.zero += zeros_away(away)
        self.reasons: list[tuple[Held, str]] = []
        self.zero_reasons: list[tuple[Held, str]] = []
        self.due = {id(one.parameter) for one in due}
        self.snapshot: Snapshot | None = None

    def snap(self, optimizer: Optimizer, places: Places) -> None:
        """Keeps what the step will be compared with."""
        zero = {id(one.parameter) for one in self.zero}
        moving = (
            [one.parameter for one in self.held if id(one.parameter) in self.due | zero] if self.due or zero else []
        )
        if moving:
            self.snapshot = Snapshot(optimizer, moving, places)

    def count(self) -> None:
        """Enters what was found."""
        for one in self.held:
            one.taught += 1
            one.account.nonzero += 1
        for one in self.none:
            one.taught -= 1
            one.account.nonzero -= 1
            one.account.none += 1
        for one in self.zero:
            one.account.nonzero -= 1
            one.account.zero += 1
        for one, why in self.reasons:
            tally(one.account.reasons, why)
        for one, why in self.zero_reasons:
            tally(one.account.zero_reasons, why)

    def after(self, optimizer: Optimizer | None) -> None:
        """After the step: weights without a gradient that it wrote into all the same."""
        for one in () if isinstance(optimizer, LBFGS) else self.none:  # LBFGS has idle weights written back
            one.account.moved_without += one.parameter._version != one.version

    def move(self, step: int) -> None:
        """After the step: how far the weights moved, and by what."""
        if self.snapshot is None:
            return
        none, zero = ({id(one.parameter) for one in some} for some in (self.none, self.zero))
        parts = self.snapshot.parts(lambda weight: id(weight) not in none)
        for one in self.held:
            part = parts.get(id(one.parameter))
            if part is None or id(one.parameter) in none:
                continue
            if id(one.parameter) in zero:
                one.account.moved_without += part.changed
            if id(one.parameter) in self.due:
                scale = part.of / part.sampled if part.sampled else 1.0
                split = None
                if part.gradient is not None and part.momentum is not None and part.decay is not None:
                    split = (part.gradient * scale, part.momentum * scale, part.decay * scale)
                one.account.add(step, part.moved * scale, split, part.sampled == part.of)


@dataclass
class Stepper:
    """Who makes steps: an optimizer, or a loop by hand.

    Attributes:
        steps: how many of its steps were counted.
        since: when the last one was, on the clock of the watch; None: before it began.
        sizes: of its groups, when its weights were last looked up.
        held: the watched weights among them.
        look: what was seen before the step that is under way.
    """

    steps: int = 0
    since: int | None = None
    sizes: tuple[int, ...] = ()
    held: Sequence[Held] = ()
    look: Look | None = None


def is_due(taught: int, every: int) -> bool:
    """Whether movement is looked at after so many steps: each `every`, and before that ever more rarely.

    Momentum is nothing on the first step, and grows on the next ones: that alone would tell of no short run.
    """
    return taught % every == 0 or (taught < every and taught.bit_count() == 1)


def tally(reasons: Counter[str], why: str) -> None:
    """One more step for a reason; of a condition that is assigned anew all the time not every form is kept."""
    reasons[why if why in reasons or len(reasons) < REASONS else MORE] += 1


def zeros_away(held: Sequence[Held]) -> list[Held]:
    """Those with a gradient of zeros, on a device that is asked once for all of them."""
    dense = [(one, grad) for one in held if (grad := one.parameter.grad) is not None and not grad.is_sparse]
    found = [one for one in held if (grad := one.parameter.grad) is not None and grad.is_sparse and is_zero(grad)]
    if dense:
        norms: Sequence[Tensor] = torch._foreach_norm([grad for _, grad in dense], float("inf"))  # pyright: ignore
        largest = torch.stack([norm.float() for norm in norms]).tolist()
        found += [one for (one, _), norm in zip(dense, largest, strict=True) if norm == 0]
    return found


def overflowed(optimizer: Any) -> bool:
    """Whether a fused optimizer was told to move nothing, for a scaled gradient was not finite."""
    found = getattr(optimizer, "found_inf", None)
    return isinstance(found, Tensor) and bool(found)
