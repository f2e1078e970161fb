"""`Table`: a tensor larger than the batch, read by ids."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..formula.tables import checked


class Table:
    """A tensor whose name in a formula is the entries that an input chooses, one for each sample.

    y_b = tensor[id_b]. The tensor is larger than the batch, such as one weight for each sample of a dataset. The
    module that it is given to holds it as a buffer: it moves and is saved with that.

    Args:
        tensor: of shape (N, ...), a tensor or an array.
        by: the name of the input that holds the ids: whole numbers from 0 to N - 1, one for each sample.
        dtype: in which it is stored; None: its own.

    Raises:
        PartError: the tensor has no axes, or `by` is no name.
        RangeError: at the call, where an id is negative or too large.

    Example:
        >>> import torch, wye
        >>> weights = wye.Table(torch.tensor([0.5, 1.0, 2.0, 4.0]), by="id")
        >>> loss = wye.Objective("mean(w[b] * (pred[b] - label[b]) ** 2)", w=weights)
        >>> total, terms = loss(pred=torch.ones(2), label=torch.zeros(2), id=torch.tensor([3, 0]))
        >>> float(total)
        2.25
    """

    def __init__(self, tensor: Any, by: str = "id", dtype: torch.dtype | None = None) -> None:
        held = tensor if isinstance(tensor, Tensor) else torch.as_tensor(tensor)
        self.by = checked(tuple(held.shape), by)
        self.tensor = held if dtype is None else held.to(dtype)

    def __repr__(self) -> str:
        return f"Table({tuple(self.tensor.shape)}, by={self.by!r})"
