"""Python's collector of garbage in long runs of tests."""

from __future__ import annotations

import gc


def settle() -> None:
    """What is loaded by now stays until the end: the collector need not go through it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
