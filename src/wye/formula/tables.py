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


def check_entries(
    name: str, where: str, held: tuple[str, tuple[object, ...]], given: tuple[str | None, tuple[object, ...]]
) -> None:
    """Other entries for a table are as many and of the same shape, and read by the same input.

    Args:
        name: of the table.
        where: the assignment, for errors.
        held: by which input it is read, and its shape.
        given: the same of what is assigned; None: a tensor, which no input reads.

    Raises:
        PartError: they are not.
    """
    (by, shape), (new_by, new_shape) = held, given
    if new_by not in (None, by):
        raise PartError(f"the table `{name}` is read by `{by}`.", where, f"by={new_by!r}", f"write by={by!r}")
    if new_shape != shape:
        fix = "give a tensor of the same shape, or build it anew"
        raise PartError(f"the table `{name}` has one shape.", where, f"{shape} -> {new_shape}", fix)
