"""Whole messages of tables on Keras that are read from memory maps and sparse matrices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch

import wye.keras as wye
from tests.keras.plain import BACKEND
from tests.keras.table_reading import ids, mapped, ran
from wye.keras import sources


def too_long(_: Path) -> Any:
    if BACKEND != "jax":
        pytest.skip("elsewhere whole numbers have 64 bits")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sources, "MOST", 3)
        return wye.Table(scipy.sparse.eye_array(4))


def read_by_xla(path: Path) -> Any:
    if BACKEND != "tensorflow":
        pytest.skip("XLA reads the maps of JAX")
    join = wye.Join("2 * t", t=wye.Table(mapped(path / "map", np.ones((4, 2)))))
    return ran(lambda id: join(id=id), "xla")(ids([1]))


MESSAGES: list[tuple[Callable[[Path], Any], str]] = [
    (lambda path: wye.Table(mapped(path / "map", np.ones((4, 2))), update="2 * t"),
     """PartError: a source is read and never written.
  in:  Table(..., update=...)
  got: memmap
  fix: hold it in memory: numpy.array(...), or toarray()"""),
    (lambda _: wye.Table(torch.ones(2, 2, 2).to_sparse()),
     """PartError: a sparse table is a matrix.
  in:  Table(...)
  got: sparse_coo of shape (2, 2, 2)
  fix: give COO or CSR with two axes, or to_dense()"""),
    (lambda _: wye.Table(scipy.sparse.coo_array(np.ones(3))),
     """PartError: a sparse table is a matrix.
  in:  Table(...)
  got: coo_array of shape (3,)
  fix: give COO or CSR with two axes, or to_dense()"""),
    (lambda path: wye.Table(mapped(path / "map", np.array(["a", "b"]))),
     """PartError: a table holds numbers.
  in:  Table(...)
  got: a memmap of <U1
  fix: give a map of numbers"""),
    (too_long,
     """PartError: JAX counts in 32 bits.
  in:  Table(...)
  got: 4 values
  fix: share the rows among several tables"""),
    (read_by_xla,
     """FormulaError: XLA on TensorFlow reads no memory map.
  in:  2 * t
           ^
  got: a step with jit_compile=True
  fix: compile(..., jit_compile=False), or hold the table in memory"""),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), MESSAGES, ids=[message.splitlines()[0] for _, message in MESSAGES])
def test_message(make: Callable[[Path], Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(wye.WyeError) as told:
        make(tmp_path)
    assert f"{type(told.value).__name__}: {told.value}" == message
    assert all((told.value.what, told.value.where, told.value.got, told.value.fix))
