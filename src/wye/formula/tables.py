"""What a table may be made of, on every front."""

from __future__ import annotations

from ..errors import PartError
from .naming import NAME


def checked(shape: tuple[object, ...], by: object) -> str:
    """The name of the input that chooses entries.

    Raises:
        PartError: it is no name, or the tensor has no entries to choose from.
    """
    if not isinstance(by, str) or not NAME.match(by):
        fix = 'write by="id", and give the ids in each call: id=...'
        raise PartError("a table is read by an input's name.", f"Table(..., by={by!r})", type(by).__name__, fix)
    if not shape:
        raise PartError("a table has one entry for each id.", "Table(...)", "a tensor without axes", "give it an axis")
    return by
