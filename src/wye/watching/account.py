"""What is counted: of each path and module its runs and samples, of each weight its gradients and its movement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .contexts import Batch, Context
from .series import Numbers, Series


@dataclass(frozen=True)
class Path:
    """One way through a node, or one module: how often it ran, and on how many samples in all."""

    calls: int
    samples: int


@dataclass(frozen=True)
class Junction:
    """A node of a flow: in one line, with the paths it counts, and those of them that each sample takes just one of."""

    title: str
    paths: tuple[str, ...]
    apart: tuple[str, ...]


@dataclass
class Weight:
    """One weight: the state of its gradient at each optimizer step, why it was None or zero, and how it moved.

    The parts of the movement are sums, over all elements and steps, of absolute values: how long a way each part alone
    would have made. They are estimates from the steps and elements looked at, unless `exact`.

    Attributes:
        none: the steps on which its gradient was None.
        zero: those on which it was zero in every element.
        nonzero: the others; an infinite or NaN gradient is not zero.
        reasons: why it was None, and on how many steps.
        zero_reasons: why it was zero.
        moved_without: the steps on which it moved though its gradient was None or zero.
        written: how often it was found written into between steps: by a copy, a clamp, a `load_state_dict`.
        size: its number of elements.
        movement: (gradient, momentum, decay) of the steps looked at, as sums over the elements.
    """

    none: int = 0
    zero: int = 0
    nonzero: int = 0
    reasons: Counter[str] = field(default_factory=Counter[str])
    zero_reasons: Counter[str] = field(default_factory=Counter[str])
    moved_without: int = 0
    written: int = 0
    size: int = 0
    movement: Series = field(default_factory=Series)
    looked: int = 0
    whole: bool = True
    _sums: tuple[float, ...] = ()
    _last: tuple[float, ...] = ()
    _next: int = 0

    @property
    def steps(self) -> int:
        """The optimizer steps that held it."""
        return self.none + self.zero + self.nonzero

    @property
    def exact(self) -> bool:
        """Whether every element was looked at on every step that had a gradient: nothing is estimated."""
        return self.whole and self.looked == self.steps - self.none

    def add(self, step: int, moved: float, split: tuple[float, float, float] | None, whole: bool) -> None:
        """One step with a gradient that was looked at: sums over all elements, `whole` where none was left out."""
        self.looked += 1
        self.whole &= whole
        parts = (moved, *split) if split is not None else (moved,)
        between = self.steps - self.none - 1 - self._next
        before = self._last or parts  # a step that cannot be split leaves none of the run split
        added = [one + between * (last + one) / 2 for last, one in zip(before, parts, strict=False)]
        self._sums = tuple(map(sum, zip(self._sums or (0.0,) * len(added), added, strict=False)))
        self._last, self._next = parts[: len(self._sums)], self.steps - self.none
        if split is not None:
            self.movement.add(step, split)

    def _in_all(self, part: int) -> float | None:
        """A sum over the run; a step that was not looked at is as those around it that were, halfway."""
        had = self.steps - self.none
        if not had:
            return 0.0
        if part >= len(self._last):
            return None
        return self._sums[part] + (had - self._next) * self._last[part]

    @property
    def moved(self) -> float | None:
        """How far it moved; None where nobody looked, for no optimizer of torch moved it."""
        return self._in_all(0)

    @property
    def by_gradient(self) -> float | None:
        """How far its gradients moved it; None where the optimizer cannot be replayed."""
        return self._in_all(1)

    @property
    def by_momentum(self) -> float | None:
        """How far earlier gradients moved it, by the optimizer's memory of them."""
        return self._in_all(2)

    @property
    def by_decay(self) -> float | None:
        """How far weight decay moved it."""
        return self._in_all(3)


@dataclass
class Term:
    """One term. `until` is the step at which it was first missing, None while it is there."""

    value: Numbers = field(default_factory=Numbers)
    weight: Numbers = field(default_factory=Numbers)
    share: Numbers = field(default_factory=Numbers)
    since: int = 0
    until: int | None = None


@dataclass(frozen=True)
class Account:
    """All that is told of a run, for texts, files and programs alike.

    Attributes:
        steps: the optimizer steps that were seen; of several optimizers, the most that one of them made.
        skipped: those that moved nothing, for a scaled gradient was not finite.
        every: movement and terms were looked at on every such step.
        elements: how many elements of each weight; None: all.
        junctions: the nodes of a flow.
        paths: the ways through them.
        modules: the modules that hooks saw.
        ways: the innermost modules that one call of a model ran, in order.
        unseen: the modules in captured graphs.
        strangers: how many weights the optimizers hold beside those of the models.
        weights: the weights by their first name.
        terms: the terms of the objective.
        terms_lack: why there are none, or why they lack a weight or a share; empty where nothing is missing.
        contexts: the tensors that the objective holds.
        batch: the tensors that it was given at a step that was looked at.
    """

    steps: int
    skipped: int
    every: int
    elements: int | None
    junctions: Mapping[str, Junction]
    paths: Mapping[str, Path]
    modules: Mapping[str, Path]
    ways: Mapping[tuple[str, ...], Path]
    unseen: Sequence[str]
    strangers: int
    weights: Mapping[str, Weight]
    terms: Mapping[str, Term]
    terms_lack: str
    contexts: Mapping[str, Context]
    batch: Batch
