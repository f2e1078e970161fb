"""What is counted: of each path its runs and samples, of each weight its gradients."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Weight:
    """One weight: on how many optimizer steps its gradient was None, zero, or not zero, and why it was None."""

    none: int = 0
    zero: int = 0
    nonzero: int = 0
    reasons: Counter[str] = field(default_factory=Counter[str])

    @property
    def steps(self) -> int:
        return self.none + self.zero + self.nonzero


@dataclass(frozen=True)
class Path:
    """One way through a node: how often it ran, and on how many samples in all."""

    calls: int
    samples: int
