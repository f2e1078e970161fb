"""`Series`: numbers over the steps of a run, in memory that does not grow with it."""

from __future__ import annotations

from collections.abc import Iterator

KEPT = 256
"""The most entries a series holds."""


class Series:
    """Numbers by step. When it is full every second entry goes, and from then on every second comes in.

    Example:
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
