"""`Hook`: what hangs on a watched module, and is nothing in a copy of it, for a copy is nobody's to watch."""

from __future__ import annotations

from typing import Any


class Hook:
    """A forward hook of a watch."""

    def __deepcopy__(self, memo: object) -> Any:
        return unwatched

    def __reduce__(self) -> Any:
        return leftover, ()


def unwatched(*_: Any) -> None:
    """What is left of a hook in a copy."""


def leftover() -> Any:
    """What is left of a hook in a file."""
    return unwatched
