"""`Table`: a tensor larger than the batch, read by ids."""

from __future__ import annotations

from typing import Any

from ..errors import PartError
from ..formula.formula import Formula
from ..formula.tables import as_update, checked
from .kernels import Array, Tensor, cast, ops
from .sources import Source, as_source


class Table:
    """A tensor whose name in a formula is the entries that an input chooses, one for each sample.

    y_b = tensor[id_b]. The tensor is larger than the batch, such as one weight for each sample of a dataset. The layer
    that it is given to holds it as a variable that no optimizer moves. A memory map and a sparse matrix are *sources*:
    only the batch's entries are read and made dense. A memory map stays where it is, and NumPy reads it, from captured
    graphs too; of a sparse matrix the layer holds the values and their places.

    An **update** says what the entries become: a formula over inputs and parts, in which the table's own name is the
    old ones. It runs once in each call with `training=True`, as in `fit`, behind the formula, which reads the old
    entries in that call. No gradient flows into it. An id that comes several times gets the mean of its new entries.
    With `by=None` the table is a **bank**: its name is all of its rows, and the rows that the update gives replace the
    oldest ones.

    Args:
        tensor: of shape (N, ...): a tensor or an array; a `numpy.memmap`; a sparse matrix, COO or CSR, of SciPy, of
            torch, or of the backend.
        by: the name of the input that holds the ids: whole numbers from 0 to N - 1, one for each sample; None: a bank.
        dtype: in which it is stored, and in which the entries of a memory map are handed out; None: its own.
        persistent: whether files of the model and of its weights hold it; sources are in neither. Who loads a file
            gives back what it does not hold: `wye.load(path, parts={"w": wye.Table(...)})`.
        update: the formula of the new entries, of shape (B, ...); of a bank new rows. The layer updates a copy.

    Raises:
        PartError: the tensor has no axes, or `by` is no name; a bank without update, or a source with one.
        FormulaError: at the call, where XLA compiles a graph of TensorFlow that reads a memory map.
        RangeError: at the call, where an id is negative or too large. While a graph is captured nobody can wait for
            that: the entry is NaN, or the lowest whole number.
        ShapeError: at the call, where the update does not give one new entry for each id.
        FileError: at the call, where the model was loaded without the table.

    Example:
        >>> import keras, wye.keras as wye
        >>> weights = wye.Table(keras.ops.array([0.5, 1.0, 2.0, 4.0]), by="id")
        >>> loss = wye.Objective("mean(w[b] * (pred[b] - label[b]) ** 2)", w=weights)
        >>> ones = keras.ops.ones(2)
        >>> total, terms = loss(pred=ones, label=0 * ones, id=keras.ops.array([3, 0]))
        >>> float(total)
        2.25
    """

    def __init__(
        self,
        tensor: Any,
        by: str | None = "id",
        dtype: str | None = None,
        persistent: bool = True,
        update: str | Formula | None = None,
    ) -> None:
        self.update, self.persistent = as_update(update), persistent
        source = tensor if isinstance(tensor, Source) else as_source(tensor, dtype)
        if source is not None and source.given and self.update is not None:
            fix = "hold it in memory: numpy.array(...), or toarray()"
            raise PartError("a source is read and never written.", "Table(..., update=...)", type(tensor).__name__, fix)
        held: Array = source or (tensor if isinstance(tensor, Tensor) else ops.convert_to_tensor(tensor))
        self.by = checked(tuple(held.shape), by, self.update)
        self.tensor: Array = held if dtype is None or isinstance(held, Source) else cast(held, dtype)

    def __repr__(self) -> str:
        more = "" if self.update is None else f", update={self.update.text!r}"
        return f"Table({tuple(self.tensor.shape)}, by={self.by!r}{', persistent=False' * (not self.persistent)}{more})"
