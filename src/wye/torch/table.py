"""`Table`: a tensor larger than the batch, read by ids."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..errors import PartError
from ..formula.formula import Formula
from ..formula.tables import as_update, checked
from .sources import Source, as_source


class Table:
    """A tensor whose name in a formula is the entries that an input chooses, one for each sample.

    y_b = tensor[id_b]. The tensor is larger than the batch, such as one weight for each sample of a dataset. The
    module that it is given to holds it as a buffer: it moves and is saved with that. A memory map and a sparse matrix
    are *sources*: they stay where they are, only the batch's entries are read, made dense, and brought to the device
    of the ids.

    An **update** says what the entries become: a formula over inputs, parts and named formulas of the module, in which
    the table's own name is the old entries. With m = 0.7, `t=Table(..., update="0.7 * t + 0.3 * softmax(logits)")` is
    the moving average

        tensor[id_b] <- m tensor[id_b] + (1 - m) softmax(logits_b).

    It runs once in each call in training with gradients switched on, behind the formula, which reads the old entries
    in that call; whether the formula reads the table or not. No gradient flows into it, and no other entry is touched.
    An id that comes several times gets the mean of its new entries. Counts of classes are an update by label:
    `seen=Table(torch.zeros(10), by="label", update="seen[b] + sum(label[c] == label[b], c)")`.

    With `by=None` the table is a **bank**, first in, first out: its name is all of its rows, and the rows that the
    update gives replace the oldest ones. The place of the oldest is the buffer `NAME_next`.

    Args:
        tensor: of shape (N, ...): a tensor or an array; a `numpy.memmap`; a sparse matrix, COO or CSR, of torch or of
            SciPy.
        by: the name of the input that holds the ids: whole numbers from 0 to N - 1, one for each sample; None: a bank.
        dtype: in which it is stored, and in which the entries of a memory map are handed out; None: its own.
        persistent: whether the state dict and the files of `wye.save` hold it; sources are in neither. Who loads a
            file gives back what it does not hold: `wye.load(path, parts={"w": wye.Table(...)})`.
        update: the formula of the new entries, of shape (B, ...); of a bank new rows. The module updates a copy.

    Raises:
        PartError: the tensor has no axes, or `by` is no name; a bank without update, or a source with one.
        RangeError: at the call, where an id is negative or too large.
        ShapeError: at the call, where the update does not give one new entry for each id.
        FlowError: the call is made anew within a backward, as checkpointing does it, when the entries are new already.

    Source:
        Moving averages as targets: Liu et al. 2020, "Early-Learning Regularization Prevents Memorization of Noisy
        Labels". Banks: He et al. 2020, "Momentum Contrast for Unsupervised Visual Representation Learning".

    Example:
        >>> import torch, wye
        >>> weights = wye.Table(torch.tensor([0.5, 1.0, 2.0, 4.0]), by="id")
        >>> loss = wye.Objective("mean(w[b] * (pred[b] - label[b]) ** 2)", w=weights)
        >>> total, terms = loss(pred=torch.ones(2), label=torch.zeros(2), id=torch.tensor([3, 0]))
        >>> float(total)
        2.25
        >>> join = wye.Join("x - mean", mean=wye.Table(torch.zeros(4), update="0.5 * mean + 0.5 * x"))
        >>> join(x=torch.tensor([2.0, 8.0]), id=torch.tensor([3, 0])).tolist(), join.mean.tolist()
        ([2.0, 8.0], [4.0, 0.0, 0.0, 1.0])
    """

    def __init__(
        self,
        tensor: Any,
        by: str | None = "id",
        dtype: torch.dtype | None = None,
        persistent: bool = True,
        update: str | Formula | None = None,
    ) -> None:
        self.update, self.persistent = as_update(update), persistent
        source = tensor if isinstance(tensor, Source) else as_source(tensor, dtype)
        if source is not None and self.update is not None:
            fix = "hold it in memory: torch.as_tensor(...).clone(), or to_dense()"
            raise PartError("a source is read and never written.", "Table(..., update=...)", type(tensor).__name__, fix)
        held = source or (tensor if isinstance(tensor, Tensor) else torch.as_tensor(tensor))
        self.by = checked(tuple(held.shape), by, self.update)
        self.tensor: Tensor | Source = held if dtype is None or isinstance(held, Source) else held.to(dtype)

    def __repr__(self) -> str:
        more = "" if self.update is None else f", update={self.update.text!r}"
        return f"Table({tuple(self.tensor.shape)}, by={self.by!r}{', persistent=False' * (not self.persistent)}{more})"
