"""`Series`: numbers over the steps of a run, in memory that does not grow with it."""

from __future__ import annotations

import math
from collections.abc import Iterator

KEPT = 256
"""The most entries a series holds."""


class Series:
    """Numbers by step. When it is full every second entry goes, and from then on every second comes in.

    Example:
        >>> from wye.watching.series import Series
        >>> loss = Series(kept=4)
        >>> for step in range(10):
        ...     loss.add(step, (step / 2,))
        >>> list(loss)
        [(0, (0.0,)), (4, (2.0,)), (8, (4.0,))]
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept, self._stride, self._came = kept, 1, 0
        self._entries: list[tuple[int, tuple[float, ...]]] = []

    def add(self, step: int, values: tuple[float, ...]) -> None:
        if self._came % self._stride == 0:
            if len(self._entries) == self._kept:
                self._entries, self._stride = self._entries[::2], 2 * self._stride
            if self._came % self._stride == 0:
                self._entries.append((step, values))
        self._came += 1

    def __iter__(self) -> Iterator[tuple[int, tuple[float, ...]]]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class Numbers(Series):
    """One number over the steps, with the last (None if it lacked then) and the mean of all that were finite."""

    def __init__(self) -> None:
        super().__init__()
        self.last: float | None = None
        self._sum, self._finite = 0.0, 0

    def put(self, step: int, value: float | None) -> None:
        self.last = value
        if value is None:
            return
        self.add(step, (value,))
        if math.isfinite(value):
            self._sum, self._finite = self._sum + value, self._finite + 1

    @property
    def mean(self) -> float | None:
        return self._sum / self._finite if self._finite else None
