"""What a table may be made of, on every front."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import FormulaError, KernelError, PartError
from .formula import Formula
from .naming import NAME
from .shapes import Shape


def checked(shape: tuple[object, ...], by: object, update: Formula | None) -> str | None:
    """The name of the input that chooses entries; None for a bank, whose rows are read all together.

    Raises:
        PartError: it is no name, or the tensor has no entries to choose from; or nothing fills the bank.
    """
    if by is None and update is None:
        fix = 'give the tensor itself as a part; or say what fills it: update="..."'
        raise PartError(
            "a table without ids is a bank, which an update fills.", "Table(..., by=None)", "no update", fix
        )
    if by is not None and not (isinstance(by, str) and NAME.match(by)):
        fix = 'write by="id", and give the ids in each call: id=...'
        raise PartError("a table is read by an input's name.", f"Table(..., by={by!r})", type(by).__name__, fix)
    if not shape:
        raise PartError("a table has one entry for each id.", "Table(...)", "a tensor without axes", "give it an axis")
    return by if isinstance(by, str) else None


def as_update(update: object) -> Formula | None:
    """The formula of new entries.

    Raises:
        PartError: it is no formula.
    """
    if update is None or isinstance(update, Formula):
        return update
    if isinstance(update, str):
        return Formula(update)
    fix = 'write what the new entries are, in which the name of the table is the old ones: update="0.9 * t + 0.1 * p"'
    raise PartError("the update of a table is a formula.", "Table(..., update=...)", type(update).__name__, fix)


def pointer_of(name: str) -> str:
    """The name under which a bank keeps the place of its oldest row."""
    return f"{name}_next"


def check_pointers(banks: Sequence[str], parts: Iterable[str]) -> None:
    """A bank keeps its pointer under a name that no part bears.

    Raises:
        PartError: one does.
    """
    for name in banks:
        if pointer_of(name) in {*parts}:
            what, taken = f"the bank `{name}` keeps the place of its oldest row there.", pointer_of(name)
            raise PartError(what, f"{taken}=...", taken, f"give the part another name than `{taken}`")


def wrong_entries(got: Shape | None, wanted: Shape, what: str) -> KernelError:
    """New entries that are not one for each id, or rows that do not fit a bank."""
    shown = "no tensor" if got is None else f"shape {got}"
    names = ", ".join("bkhw"[: len(wanted)]) if len(wanted) < 5 else "b, ..."
    return KernelError(f"the update {what}", f"{shown} instead of {wanted}", f"order its axes: new[{names}] = ...")


def fractions(dtype: str, new: str) -> KernelError:
    """Floats for a table of whole numbers."""
    fix = 'store floats: Table(..., dtype=...); or round: cast(value, dtype="int64")'
    return KernelError(f"a table of {dtype} holds whole numbers.", f"new entries of {new}", fix, FormulaError)


def check_entries(
    name: str, where: str, held: tuple[str | None, tuple[object, ...]], given: tuple[str | None, tuple[object, ...]]
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
