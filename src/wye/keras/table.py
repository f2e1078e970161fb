"""`Table`: a tensor larger than the batch, read by ids."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import PartError
from ..formula.formula import Formula
from ..formula.tables import as_update, checked
from .kernels import NARROW, Array, Tensor, cast, ops


class Table:
    """A tensor whose name in a formula is the entries that an input chooses, one for each sample.

    y_b = tensor[id_b]. The tensor is larger than the batch, such as one weight for each sample of a dataset.

    An **update** says what the entries become: a formula over inputs and parts, in which the table's own name is the
    old ones. It runs once in each call with `training=True`, as in `fit`, behind the formula, which reads the old
    entries in that call. No gradient flows into it. An id that comes several times gets the mean of its new entries.
    With `by=None` the table is a **bank**: its name is all of its rows, and the rows that the update gives replace the
    oldest ones.

    Args:
        tensor: of shape (N, ...), a tensor or an array.
        by: the name of the input that holds the ids: whole numbers from 0 to N - 1, one for each sample; None: a bank.
        dtype: in which it is stored; None: its own.
        persistent: True; Keras saves every variable of a layer.
        update: the formula of the new entries, of shape (B, ...); of a bank new rows.

    Raises:
        PartError: the tensor has no axes, or `by` is no name.
        RangeError: at the call, where an id is negative or too large. While a graph is captured nobody can wait for
            that: the entry is NaN, or the lowest whole number.

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
        if not persistent:
            fix = "leave it out; or give the entries with the batch, as an input"
            raise PartError("Keras saves every variable of a layer.", "Table(...)", "persistent=False", fix)
        if hasattr(tensor, "tocsr") or isinstance(tensor, np.memmap):
            fix = "use the torch front; or give the entries with the batch, as an input"
            raise PartError("a table on Keras is dense and in memory.", "Table(...)", type(tensor).__name__, fix)
        self.update = as_update(update)
        held: Array = tensor if isinstance(tensor, Tensor) else ops.convert_to_tensor(tensor)
        self.by = checked(tuple(held.shape), by, self.update)
        self.tensor = held if dtype is None else cast(held, NARROW.get(dtype, dtype))

    def __repr__(self) -> str:
        more = "" if self.update is None else f", update={self.update.text!r}"
        return f"Table({tuple(self.tensor.shape)}, by={self.by!r}{more})"
