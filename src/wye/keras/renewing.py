"""New entries for a table: those of the batch are replaced; a framework that writes no tensor in place makes a copy."""

from __future__ import annotations

from ..formula.tables import fractions, wrong_entries
from .kernels import FLOATS, WHOLE, Array, Tensor, cast, dtype_name, ops
from .picks import within


def renewed(held: Array, ids: Array, new: object) -> Array:
    """The table with new entries at the ids; one id that comes several times gets the mean of its new entries."""
    size = held.shape[0]
    if not isinstance(new, Tensor) or len(ids.shape) != 1 or not _alike(new, (ids.shape[0], *held.shape[1:])):
        wanted = (*ids.shape[:1], *held.shape[1:])
        raise wrong_entries(_shape(new), wanted, "does not give one new entry for each id.")
    rows = _fitting(held, new)
    if ids.shape[0] == 0:
        return held
    places, inside = within(ids, size)
    if inside is not None:  # an id that no entry has writes nothing, where nobody can wait for an error
        wide = ops.reshape(inside, (-1, *[1] * (len(held.shape) - 1)))
        rows = ops.where(wide, rows, ops.take(held, places, axis=0))
    order = ops.argsort(places)
    places, rows = ops.take(places, order), ops.take(rows, order, axis=0)
    return ops.scatter_update(held, ops.expand_dims(places, 1), _means(places, rows))


def _means(ordered: Array, rows: Array) -> Array:
    """The rows, each as the mean of those that have its id; the ids are in order."""
    first = ops.concatenate([ops.ones((1,), WHOLE), ops.cast(ordered[1:] != ordered[:-1], WHOLE)])
    group, count = ops.cumsum(first) - 1, ops.shape(ordered)[0]
    sums = ops.segment_sum(rows, group, num_segments=count)
    counts = ops.maximum(ops.segment_sum(ops.ones_like(group), group, num_segments=count), 1)
    counts = ops.cast(ops.reshape(counts, (-1, *[1] * (len(rows.shape) - 1))), rows.dtype)
    mean = sums / counts if rows.dtype in FLOATS else ops.floor_divide(sums, counts)
    return ops.take(mean, group, axis=0)


def pushed(held: Array, oldest: Array, new: object) -> tuple[Array, Array]:
    """A bank in which the rows stand in the place of the oldest ones, and the place of the oldest from then on."""
    if not isinstance(new, Tensor) or len(new.shape) != len(held.shape) or not _alike(new, (None, *held.shape[1:])):
        batch = new.shape[0] if isinstance(new, Tensor) and len(new.shape) else 1
        raise wrong_entries(_shape(new), (batch, *held.shape[1:]), "gives no rows of the bank.")
    size, rows = held.shape[0], _fitting(held, new)
    count = ops.shape(rows)[0]
    rows = rows[-size:]
    after = (oldest + ops.cast(count, oldest.dtype)) % size
    kept = ops.shape(rows)[0]
    places = (after - ops.cast(kept, oldest.dtype) + ops.cast(ops.arange(kept), oldest.dtype)) % size
    return ops.scatter_update(held, ops.expand_dims(places, 1), rows), after


def _alike(new: Array, wanted: tuple[int | None, ...]) -> bool:
    """Whether a shape fits as far as it is known."""
    shape = tuple(new.shape)
    return len(shape) == len(wanted) and all(None in (a, b) or a == b for a, b in zip(shape, wanted, strict=True))


def _shape(new: object) -> tuple[int, ...] | None:
    return tuple(new.shape) if isinstance(new, Tensor) else None


def _fitting(held: Array, new: Array) -> Array:
    if new.dtype in FLOATS and held.dtype not in FLOATS:
        raise fractions(dtype_name(held), dtype_name(new))
    return ops.stop_gradient(cast(new, dtype_name(held)))
