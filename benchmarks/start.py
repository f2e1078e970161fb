"""What `import wye` adds to an empty Python."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from .table import Row

MOST = 0.020
"""Seconds that it may add."""
ROUNDS = 25


def rows() -> list[Row]:
    """The added seconds over those allowed, start to end of the process, as the caller waits for it."""
    added: list[float] = []
    for _ in range(ROUNDS):
        empty, ours = (_seconds(source) for source in ("pass", "import wye"))
        added.append(ours - empty)
    median = statistics.median(added)
    return [
        Row(
            "import wye, added over what it may add",
            median / MOST,
            1.0,
            f"{median * 1e3:.1f} ms of {MOST * 1e3:.0f} ms",
        )
    ]


def _seconds(source: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", source], check=True)
    return time.perf_counter() - start
