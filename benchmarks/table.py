"""The rows that the benchmarks print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One figure: a ratio and what it may be at most.

    Args:
        name: what was measured.
        ratio: ours over the peer's.
        limit: the most it may be; None where it is shown for information.
        note: the peer, and the absolute figures.
    """

    name: str
    ratio: float
    limit: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        if self.limit is None:
            return ""
        return "ok" if round(self.ratio, 3) <= self.limit else "over"  # as printed


def table(title: str, rows: Sequence[Row]) -> str:
    """The rows under a title, in columns."""
    width = max(len(row.name) for row in rows)
    lines = [title, f"  {'':{width}}  ratio  limit"]
    for row in rows:
        limit = f"{row.limit:5.{2 if row.limit >= 0.01 else 3}f}" if row.limit is not None else "     "
        lines.append(f"  {row.name:{width}}  {row.ratio:5.3f}  {limit}  {row.verdict:4}  {row.note}".rstrip())
    return "\n".join(lines)


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"


def megabytes(count: int) -> str:
    return f"{count / 1e6:.3g} MB"
