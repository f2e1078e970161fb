"""Sources of a table that are only read: a memory map, and sparse rows. Only the batch's entries leave them."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Any, Self

import keras
import numpy as np
import numpy.typing as npt
from keras import KerasTensor

from ..errors import FormulaError, KernelError, PartError
from .kernels import (
    BOOLEAN,
    NARROW,
    ON_JAX,
    WHOLE,
    Array,
    by_xla,
    cast,
    constant,
    dtype_name,
    in_graph,
    ops,
    reshape,
    sizes,
    truth,
)

Plain = npt.NDArray[Any]
MOST = 2**31 - 2
"""So many values a sparse matrix may have where whole numbers have 32 bits."""


class Source:
    """Entries that are read by ids and never written.

    Args:
        shape: of all entries together.
        dtype: in which an entry is handed out.

    Attributes:
        variables: what a captured step is given of it; no file holds them.
        compiles: whether XLA compiles a read on TensorFlow.
        given: whether there is anything to read.
    """

    compiles = given = True
    variables: tuple[keras.Variable, ...] = ()

    def __init__(self, shape: tuple[int, ...], dtype: str) -> None:
        self.shape, self.dtype = shape, dtype

    def held(self, name: str) -> Self:
        """The source as one layer holds it under a name."""
        return self

    def rows(self, ids: Array) -> Array:
        """The entries at the ids, dense."""
        if isinstance(ids, KerasTensor):
            return KerasTensor((*ids.shape, *self.shape[1:]), self.dtype)
        return self._rows(ids)

    def _rows(self, ids: Array) -> Array:
        raise NotImplementedError


class Missing(Source):
    """What a file does not hold, in its place until somebody gives it; only symbols may be read from it."""

    given = False


class Mapped(Source):
    """A memory map, read by NumPy: a read touches the pages of the batch's entries alone."""

    compiles = False

    def __init__(self, array: np.memmap[Any, Any], dtype: str | None) -> None:
        try:
            own = keras.backend.standardize_dtype(array.dtype)
        except ValueError:
            fix = "give a map of numbers"
            raise PartError("a table holds numbers.", "Table(...)", f"a memmap of {array.dtype}", fix) from None
        self.entries = array
        self.read_as = np.dtype(NARROW[own]) if own in NARROW else array.dtype.newbyteorder("=")
        super().__init__(array.shape, NARROW.get(dtype or own, dtype or own))

    def _read(self, ids: Any) -> Plain:
        return self.entries[np.asarray(ids)].astype(self.read_as)

    def _rows(self, ids: Array) -> Array:
        return ops.cast(_on_the_host(self._read, ids, self.shape[1:], self.read_as), self.dtype)


def _on_the_host(read: Callable[[Any], Plain], ids: Array, width: tuple[int, ...], dtype: Any) -> Array:
    """What NumPy reads at the ids: now, or each time when a captured graph runs.

    The backend is looked up, not imported: Keras has it loaded.

    Raises:
        KernelError: XLA compiles the graph on TensorFlow, and calls nothing on the host.
    """
    if in_graph(ids):
        if by_xla(ids):
            got, fix = "a step with jit_compile=True", "compile(..., jit_compile=False), or hold the table in memory"
            raise KernelError("XLA on TensorFlow reads no memory map.", got, fix, FormulaError)
        found = sys.modules["tensorflow"].numpy_function(read, [ids], dtype)
        found.set_shape((*ids.shape, *width))
        return found
    if ON_JAX and truth(ops.all(ops.equal(ids, ids))) is None:
        jax = sys.modules["jax"]
        wanted = jax.ShapeDtypeStruct((*ids.shape, *width), dtype)
        return jax.pure_callback(read, wanted, ids, vmap_method="broadcast_all")
    return ops.convert_to_tensor(read(ops.convert_to_numpy(ids)))


class SparseRows(Source):
    """A sparse matrix by rows. A row is spread out over as many places as the longest one has values.

    A layer holds the values and their places as variables: JAX would write them into the code of a captured step.

    Args:
        start: where each row begins among the values, and where the last one ends.
        columns: of each value.
        values: the values.
        shape: of the matrix.
        dtype: in which an entry is stored and handed out; None: that of the values.

    Raises:
        PartError: there are more values than whole numbers on JAX can count.
    """

    def __init__(self, start: Plain, columns: Plain, values: Any, shape: tuple[int, int], dtype: str | None) -> None:
        if ON_JAX and len(columns) > MOST:
            fix = "share the rows among several tables"
            raise PartError("JAX counts in 32 bits.", "Table(...)", f"{len(columns):,} values", fix)
        count, held = np.diff(start), ops.convert_to_tensor(values)
        held = held if dtype is None else cast(held, dtype)
        self.longest = int(count.max(initial=0))
        super().__init__(shape, dtype_name(held))
        # One entry more, a zero for the places that a shorter row leaves over.
        held = ops.concatenate([held, ops.zeros((1,), self.dtype)])
        self.arrays: dict[str, Any] = {"start": start[:-1], "count": count, "columns": np.append(columns, 0)}
        self.arrays["values"] = held

    def held(self, name: str) -> Self:
        made = copy.copy(self)
        made.arrays = {
            what: constant(f"{name}_{what}", one, self.dtype if what == "values" else WHOLE)
            for what, one in self.arrays.items()
        }
        made.variables = tuple(made.arrays.values())
        return made

    def _rows(self, ids: Array) -> Array:
        start, count, columns, values = map(ops.convert_to_tensor, self.arrays.values())
        first, many = (ops.expand_dims(ops.take(one, ids, axis=0), 1) for one in (start, count))
        places = ops.expand_dims(ops.arange(self.longest, dtype=WHOLE), 0)
        index = ops.where(places < many, first + places, values.shape[0] - 1)
        batch = sizes(ids)[0]
        row = ops.expand_dims(ops.arange(batch, dtype=WHOLE), 1) + ops.zeros_like(index)
        where = ops.stack([row, ops.take(columns, index, axis=0)], axis=-1)
        found = ops.take(ops.cast(values, WHOLE) if values.dtype in BOOLEAN else values, index, axis=0)
        empty = ops.zeros((batch, self.shape[1]), dtype_name(found))
        dense = ops.scatter_update(empty, reshape(where, (-1, 2)), reshape(found, (-1,)), reduction="add")
        return ops.cast(dense, self.dtype)


def as_source(tensor: Any, dtype: str | None) -> Source | None:
    """A source for what is not to be held in memory, or not dense; None for any other tensor.

    Args:
        tensor: a memory map; a sparse matrix of SciPy, of torch, of TensorFlow or of JAX; or anything else.
        dtype: in which entries are handed out; None: their own.

    Raises:
        PartError: it is sparse and no matrix.
    """
    if isinstance(tensor, np.memmap):
        return Mapped(tensor, dtype) if tensor.ndim else None
    if hasattr(tensor, "tocsr"):  # of SciPy, which need not be installed
        rows = _of_scipy(tensor)
    elif _is_sparse_torch(tensor):
        rows = _of_torch(tensor)
    elif type(tensor).__name__ in ("SparseTensor", "BCOO", "BCSR"):
        rows = _of_places(tensor.to_bcoo() if hasattr(tensor, "to_bcoo") else tensor)
    else:
        return None
    return SparseRows(*rows, dtype)


Rows = tuple[Plain, Plain, Any, tuple[int, int]]


def _of_scipy(matrix: Any) -> Rows:
    _check_matrix(matrix, type(matrix).__name__)
    rows = matrix.tocsr()
    return rows.indptr, rows.indices, rows.data, rows.shape


def _is_sparse_torch(tensor: Any) -> bool:
    """Whether it is a tensor of torch, whatever the backend, that is not strided."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(tensor, torch.Tensor) and tensor.layout is not torch.strided


def _of_torch(tensor: Any) -> Rows:
    layout = str(tensor.layout)[6:]
    _check_matrix(tensor, layout, layout in ("sparse_coo", "sparse_csr"))
    whole = tensor.detach().cpu()
    if layout == "sparse_csr":
        return whole.crow_indices().numpy(), whole.col_indices().numpy(), whole.values(), tuple(whole.shape)
    whole = whole.coalesce()
    row, column = whole.indices().numpy()
    return _starts(row, whole.shape[0]), column, whole.values(), tuple(whole.shape)


def _of_places(tensor: Any) -> Rows:
    """A SparseTensor of TensorFlow, or a BCOO of JAX, which may be padded with places outside of the matrix."""
    _check_matrix(tensor, type(tensor).__name__, tensor.indices.shape[1:] == (2,))
    row, column = np.asarray(tensor.indices).T
    values = np.asarray(tensor.values if hasattr(tensor, "values") else tensor.data)
    shape = (int(tensor.shape[0]), int(tensor.shape[1]))
    inside = np.flatnonzero((row < shape[0]) & (column < shape[1]))
    order = inside[np.argsort(row[inside], kind="stable")]
    return _starts(row[order], shape[0]), column[order], values[order], shape


def _starts(row: Plain, count: int) -> Plain:
    """Where each row begins among values in the order of their rows, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(np.bincount(row, minlength=count))])


def _check_matrix(tensor: Any, kind: str, known: bool = True) -> None:
    if not known or len(tensor.shape) != 2:
        got, fix = f"{kind} of shape {tuple(tensor.shape)}", "give COO or CSR with two axes, or to_dense()"
        raise PartError("a sparse table is a matrix.", "Table(...)", got, fix)
