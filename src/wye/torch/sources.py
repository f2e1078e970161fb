"""Sources of a table that stay where they are: a memory map, and sparse rows. Only the batch's entries leave them."""

from __future__ import annotations

import copy
import warnings
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from ..errors import PartError


class Source:
    """Entries that are read by ids and never written.

    Args:
        shape: of all entries together.
        dtype: in which an entry is handed out.
    """

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        self.shape, self.dtype = torch.Size(shape), dtype

    def rows(self, ids: Tensor) -> Tensor:
        """The entries at the ids, dense, on the device of the ids."""
        raise NotImplementedError

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        return copy.copy(self)  # what it reads from may be larger than memory


class Mapped(Source):
    """A memory map: a read touches the pages of the batch's entries alone."""

    def __init__(self, array: np.memmap[Any, Any], dtype: torch.dtype | None) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a map that may not be written to: nobody does
            self.entries = torch.from_numpy(array)
        super().__init__(array.shape, dtype or self.entries.dtype)

    def rows(self, ids: Tensor) -> Tensor:
        return torch.index_select(self.entries, 0, ids.cpu()).to(ids.device, self.dtype)


class SparseRows(Source):
    """A sparse matrix by rows. A row is spread out over as many places as the longest one has values."""

    def __init__(self, start: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> None:
        super().__init__(shape, values.dtype)
        start, zero = start.long(), torch.zeros(1, dtype=torch.int64)
        self.start, self.count = start[:-1], start.diff()
        self.places = torch.arange(int(torch.cat([self.count, zero]).max()))
        # One entry more, a zero for the places that a shorter row leaves over.
        self.columns = torch.cat([columns.long(), zero])
        self.values = torch.cat([values, values.new_zeros(1)])

    def rows(self, ids: Tensor) -> Tensor:
        place = ids.cpu()
        count = torch.index_select(self.count, 0, place)[:, None]
        start = torch.index_select(self.start, 0, place)[:, None]
        there = self.places < count
        index = torch.where(there, start + self.places, len(self.values) - 1)
        dense = self.values.new_zeros(len(ids), self.shape[1])
        return dense.scatter_add(1, self.columns[index], self.values[index]).to(ids.device)


def as_source(tensor: Any, dtype: torch.dtype | None) -> Source | None:
    """A source for what is not to be held in memory, or not dense; None for any other tensor.

    Raises:
        PartError: it is sparse and no matrix.
    """
    if isinstance(tensor, np.memmap):
        return Mapped(tensor, dtype) if tensor.ndim else None
    if hasattr(tensor, "tocsr"):  # of SciPy, which need not be installed
        rows = tensor.tocsr()
        start, columns, values = map(torch.as_tensor, (rows.indptr, rows.indices, rows.data))
        return _sparse(start, columns, values, rows.shape, dtype)
    if not isinstance(tensor, Tensor) or tensor.layout is torch.strided:
        return None
    if tensor.dim() != 2 or tensor.layout not in (torch.sparse_coo, torch.sparse_csr):
        got = f"{str(tensor.layout)[6:]} of shape {tuple(tensor.shape)}"
        raise PartError(
            "a sparse table is a matrix.", "Table(...)", got, "give COO or CSR with two axes, or to_dense()"
        )
    whole, shape = tensor.detach().cpu(), (tensor.shape[0], tensor.shape[1])
    if tensor.layout is torch.sparse_csr:
        return _sparse(whole.crow_indices(), whole.col_indices(), whole.values(), shape, dtype)
    whole = whole.coalesce()
    row, column = whole.indices()
    start = torch.zeros(shape[0] + 1, dtype=torch.int64)
    start[1:] = torch.bincount(row, minlength=shape[0]).cumsum(0)
    return _sparse(start, column, whole.values(), shape, dtype)


def _sparse(
    start: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int], dtype: torch.dtype | None
) -> SparseRows:
    return SparseRows(start, columns, values if dtype is None else values.to(dtype), shape)
