"""`Table`: a tensor larger than the batch, read by ids."""

from __future__ import annotations

from typing import Any

from ..formula.tables import checked
from .kernels import NARROW, Array, Tensor, cast, ops


class Table:
    """A tensor whose name in a formula is the entries that an input chooses, one for each sample.

    y_b = tensor[id_b]. The tensor is larger than the batch, such as one weight for each sample of a dataset.

    Args:
        tensor: of shape (N, ...), a tensor or an array.
        by: the name of the input that holds the ids: whole numbers from 0 to N - 1, one for each sample.
        dtype: in which it is stored; None: its own.

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

    def __init__(self, tensor: Any, by: str = "id", dtype: str | None = None) -> None:
        held: Array = tensor if isinstance(tensor, Tensor) else ops.convert_to_tensor(tensor)
        self.by = str(checked(tuple(held.shape), by, None))
        self.tensor = held if dtype is None else cast(held, NARROW.get(dtype, dtype))

    def __repr__(self) -> str:
        return f"Table({tuple(self.tensor.shape)}, by={self.by!r})"
