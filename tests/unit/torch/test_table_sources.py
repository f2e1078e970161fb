"""Sources of a table that stay where they are: a memory map and sparse rows, read by ids and made dense."""

from __future__ import annotations

import copy
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from torch import Tensor

import wye

IDS = [6, 0, 6, 3]


@pytest.fixture
def dense() -> Tensor:
    """Rows of which some are empty and one is full."""
    values = torch.rand(7, 5, dtype=torch.float64) * (torch.rand(7, 5) < 0.3)
    values[3], values[6] = 0, torch.rand(5)
    return values


def mapped(path: Path, values: np.ndarray, mode: str = "r") -> np.memmap:
    file = np.memmap(path, dtype=values.dtype, mode="w+", shape=values.shape)
    file[:] = values
    file.flush()
    return np.memmap(path, dtype=values.dtype, mode=mode, shape=values.shape)


def csr(values: Tensor) -> Tensor:
    one = scipy.sparse.csr_array(values.numpy())
    parts = map(torch.from_numpy, (one.indptr, one.indices, one.data))
    return torch.sparse_csr_tensor(*parts, size=one.shape, check_invariants=True)


SPARSE: dict[str, Callable[[Tensor], Any]] = {
    "coo": Tensor.to_sparse,
    "csr": csr,
    "scipy csr": lambda values: scipy.sparse.csr_array(values.numpy()),
    "scipy matrix": lambda values: scipy.sparse.coo_matrix(values.numpy()),
}


class TestSparse:
    @pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
    @pytest.mark.parametrize("kind", SPARSE)
    def test_the_rows_of_the_batch_become_dense(self, kind: str, dense: Tensor) -> None:
        join = wye.Join("2 * t", t=wye.Table(SPARSE[kind](dense)))
        assert torch.equal(join(torch.tensor(IDS)), torch.stack([2 * dense[one] for one in IDS]))
        assert join(torch.zeros(0, dtype=torch.int64)).shape == (0, 5)
        assert not join.state_dict()

    def test_entries_written_twice_add_up(self) -> None:
        places, values = torch.tensor([[1, 1, 0], [2, 2, 0]]), torch.tensor([1.0, 2.0, 4.0])
        twice = torch.sparse_coo_tensor(places, values, (2, 3), check_invariants=True)
        rows = scipy.sparse.csr_array((np.array([4.0, 1, 2]), np.array([0, 2, 2]), np.array([0, 1, 3])), shape=(2, 3))
        for source in (twice, rows):
            assert wye.Join("t", t=wye.Table(source))(torch.tensor([1, 0])).tolist() == [[0, 0, 3], [4, 0, 0]]

    def test_nothing_in_it_and_other_dtypes(self) -> None:
        empty = wye.Join("t", t=wye.Table(torch.zeros(3, 2).to_sparse(), dtype=torch.float16))
        got = empty(torch.tensor([2, 2]))
        assert got.tolist() == [[0, 0], [0, 0]]
        assert got.dtype is torch.float16

    @pytest.mark.parametrize("wrong", [-1, 7])
    def test_ids_that_no_row_has_are_errors(self, wrong: int, dense: Tensor) -> None:
        with pytest.raises(wye.RangeError, match="0 to 6"):
            wye.Join("t", t=wye.Table(dense.to_sparse()))(torch.tensor([0, wrong]))

    def test_it_is_compiled(self, dense: Tensor) -> None:
        torch._dynamo.reset()  # what other tests captured counts against a limit
        join = torch.compile(wye.Join("2 * t", t=wye.Table(dense.to_sparse())), fullgraph=True, backend="aot_eager")
        assert torch.equal(join(torch.tensor(IDS)), torch.stack([2 * dense[one] for one in IDS]))


class TestMapped:
    @pytest.mark.parametrize("mode", ["r", "r+", "c"])
    def test_entries_are_read_by_ids(self, mode: str, tmp_path: Path) -> None:
        values = np.random.default_rng(0).random((50, 3, 2))
        join = wye.Join("t + 1", t=wye.Table(mapped(tmp_path / "t", values, mode), by="row"))
        assert np.array_equal(join(torch.tensor([49, 0, 49])).numpy(), values[[49, 0, 49]] + 1)
        assert not join.state_dict()
        torch._dynamo.reset()
        run = torch.compile(join, fullgraph=True, backend="aot_eager")
        assert np.array_equal(run(torch.tensor([7, 0])).numpy(), values[[7, 0]] + 1)

    def test_no_more_is_read_than_the_batch(self, tmp_path: Path) -> None:
        entries = np.memmap(tmp_path / "t", dtype="float32", mode="w+", shape=(400_000, 256))  # 400 MB, a hole
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        join = wye.Join("sum(t)", t=wye.Table(entries, dtype=torch.float64))
        for one in (join, copy.deepcopy(join), join.double()):
            assert one(torch.tensor([0, 399_999])).dtype is torch.float64
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # in kB

    @pytest.mark.parametrize("wrong", [-1, 50])
    def test_ids_that_no_entry_has_are_errors(self, wrong: int, tmp_path: Path) -> None:
        with pytest.raises(wye.RangeError, match="0 to 49"):
            wye.Join("t", t=wye.Table(mapped(tmp_path / "t", np.zeros((50, 2)))))(torch.tensor([0, wrong]))

    def test_another_map_takes_its_place(self, tmp_path: Path) -> None:
        first, second = (mapped(tmp_path / name, np.full((4, 2), value)) for name, value in (("a", 1.0), ("b", 2.0)))
        join = wye.Join("t", t=wye.Table(first))
        join.t = wye.Table(second)
        assert join(torch.tensor([1])).tolist() == [[2, 2]]
        with pytest.raises(wye.PartError, match="held in another way"):
            join.t = torch.zeros(4, 2)


class TestFile:
    @pytest.fixture
    def source(self, tmp_path: Path) -> np.memmap:
        return mapped(tmp_path / "t", np.random.default_rng(0).random((9, 4)))

    def test_who_loads_gives_back_what_it_does_not_hold(self, source: np.memmap, tmp_path: Path, dense: Tensor) -> None:
        rest = wye.Table(torch.rand(9, 4, dtype=torch.float64), persistent=False, update="0.5 * rest + x")
        net = wye.Chain(wye.Join("x + far + rest", far=wye.Table(source), rest=rest), end=wye.Join("2 * x"))
        wye.save(net, tmp_path / "net.safetensors")
        assert wye.inspect(tmp_path / "net.safetensors").tensors == {}
        given: dict[str, Any] = {"0.far": wye.Table(source), "0.rest": rest}
        again = wye.load(tmp_path / "net.safetensors", parts=given)
        assert set(given) == {"0.far", "0.rest"}
        for _ in range(3):
            x, ids = torch.rand(3, 4, dtype=torch.float64), torch.tensor([8, 1, 1])
            assert torch.equal(again(x, id=ids), net(x, id=ids))
        assert torch.equal(again[0].rest, net[0].rest)
        assert not again.state_dict()
        wye.save(again, tmp_path / "again.safetensors")
        assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "net.safetensors").read_bytes()

    def test_what_is_missing_and_what_nobody_asked_for(self, source: np.memmap, tmp_path: Path) -> None:
        wye.save(wye.Join("x + far", far=wye.Table(source)), tmp_path / "net.safetensors")
        with pytest.raises(wye.FileError, match="`far` is not in the file"):
            wye.load(tmp_path / "net.safetensors")
        parts = {"far": wye.Table(source), "other": wye.Table(source)}
        with pytest.raises(wye.FileError, match="no table 'other'"):
            wye.load(tmp_path / "net.safetensors", parts=parts)
