"""Tables over memory maps and sparse matrices on Keras, held against NumPy's own indexing; in eager and captured."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import scipy.sparse
import torch

import wye.keras as wye
from tests.keras.plain import BACKEND, alike, array, dense, numbers
from tests.keras.table_reading import ON_HOST, WAYS, filled, ids, mapped, ran

if BACKEND == "tensorflow":
    import tensorflow as tf
if BACKEND == "jax":
    from jax.experimental import sparse as of_jax

IDS = np.array([6, 0, 6, 3])
NARROW = {"float64": "float32", "int64": "int32"} if BACKEND == "jax" else {}


def same(found: Any, wanted: np.ndarray) -> None:
    """The same numbers to the bit, in the dtype that the backend has for them."""
    dtype = NARROW.get(str(wanted.dtype), str(wanted.dtype))
    assert keras.backend.standardize_dtype(found.dtype) == dtype
    np.testing.assert_array_equal(numbers(found), wanted.astype(dtype))


class TestMapped:
    @pytest.mark.parametrize("way", ON_HOST)
    @pytest.mark.parametrize("mode", ["r", "r+", "c"])
    def test_entries_are_read_by_ids(self, mode: str, way: str, tmp_path: Path) -> None:
        values = np.random.default_rng(0).random((50, 3, 2))
        join = wye.Join("t", t=wye.Table(mapped(tmp_path / "t", values, mode), by="row"))
        run = ran(lambda row: join(row=row), way)
        for one in ([49, 0, 49], [7], []):
            same(run(ids(one)), values[np.array(one, int)])
        assert not join.variables

    @pytest.mark.parametrize("way", ON_HOST)
    @pytest.mark.parametrize("dtype", ["float16", "float64", "int16", "int64", "uint8", "bool", ">f4"])
    def test_dtypes(self, dtype: str, way: str, tmp_path: Path) -> None:
        values = (10 * np.random.default_rng(0).random((7, 3)) - 2 * (dtype != "uint8")).astype(dtype)
        map = mapped(tmp_path / "t", values)
        read = wye.Join("t", t=wye.Table(map))
        same(ran(lambda id: read(id=id), way)(ids(IDS)), values[IDS].astype(np.dtype(dtype).newbyteorder("=")))
        cast = wye.Join("t", t=wye.Table(map, dtype="float16"))
        same(ran(lambda id: cast(id=id), way)(ids(IDS)), values[IDS].astype("float16"))

    @pytest.mark.skipif(BACKEND != "tensorflow", reason="elsewhere a batch has one size")
    def test_shape_and_dtype_are_known_before_the_run(self, tmp_path: Path) -> None:
        join = wye.Join("t", t=wye.Table(mapped(tmp_path / "t", np.ones((9, 3, 2), "float32"))))
        graph = ran(lambda id: join(id=id), "graph").get_concrete_function()
        assert graph.structured_outputs.shape.as_list() == [None, 3, 2]
        assert graph.structured_outputs.dtype == tf.float32

    def test_no_more_is_read_than_the_batch(self, tmp_path: Path) -> None:
        entries = np.memmap(tmp_path / "t", dtype="float32", mode="w+", shape=(2_000_000, 256))  # 2 GB, a hole
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        model = wye.Objective("mean(t * net(x))", net=dense(1, 256), t=wye.Table(entries, dtype="float16"))
        model.compile("sgd")
        given = {"x": array(0, 8, 4), "id": np.array([0, 1_999_999] * 4)}
        model.fit(given, batch_size=4, verbose=0)
        assert model(**given)[0].shape == ()
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 700_000  # in kB

    def test_another_map_takes_its_place(self, tmp_path: Path) -> None:
        first, second = (mapped(tmp_path / name, np.full((4, 2), value)) for name, value in (("a", 1.0), ("b", 2.0)))
        join = wye.Join("t", t=wye.Table(first))
        assert join.predict(IDS[1:3] % 4, verbose=0).tolist() == [[1, 1], [1, 1]]
        join.t = wye.Table(second)
        assert join.predict(IDS[1:3] % 4, verbose=0).tolist() == [[2, 2], [2, 2]]

    @pytest.mark.skipif(BACKEND != "tensorflow", reason="XLA reads the maps of JAX")
    def test_a_model_that_xla_cannot_compile_says_so_to_keras(self, tmp_path: Path) -> None:
        join = wye.Join("t", t=wye.Table(mapped(tmp_path / "t", np.ones((4, 2)))))
        with pytest.warns(UserWarning, match="doesn't support `jit_compile=True`"):
            join.compile(jit_compile=True)
        assert join.predict(np.array([1]), verbose=0).tolist() == [[1, 1]]
        wye.save(join, tmp_path / "join.keras")
        again = wye.load(tmp_path / "join.keras", parts={"t": wye.Table(mapped(tmp_path / "u", np.ones((4, 2))))})
        assert again.predict(np.array([1]), verbose=0).tolist() == [[1, 1]]
        rows = wye.Join("t", t=wye.Table(scipy.sparse.eye_array(4)))
        rows.compile(jit_compile=True)
        assert rows.predict(np.array([1]), verbose=0).tolist() == [[0, 1, 0, 0]]


def torch_csr(values: np.ndarray) -> Any:
    one = scipy.sparse.csr_array(values)
    return torch.sparse_csr_tensor(*map(torch.from_numpy, (one.indptr, one.indices, one.data)), size=one.shape,
                                   check_invariants=True)  # fmt: skip


SPARSE: dict[str, Callable[[np.ndarray], Any]] = {
    "scipy csr": scipy.sparse.csr_array,
    "scipy matrix": scipy.sparse.coo_matrix,
    "torch coo": lambda values: torch.from_numpy(values).to_sparse(),
    "torch csr": torch_csr,
}
if BACKEND == "tensorflow":
    SPARSE["tensorflow"] = tf.sparse.from_dense
if BACKEND == "jax":
    SPARSE["jax coo"] = lambda values: of_jax.BCOO.fromdense(values, nse=30)  # more than there are: padded
    SPARSE["jax csr"] = lambda values: of_jax.BCSR.fromdense(values)


class TestSparse:
    @pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
    @pytest.mark.parametrize("kind", SPARSE)
    def test_the_rows_of_the_batch_become_dense(self, kind: str) -> None:
        values = filled()
        join = wye.Join("t", t=wye.Table(SPARSE[kind](values)))
        for one in (IDS, np.zeros(0, int)):
            same(join(ids(one)), values[one])
        assert not join.trainable_variables

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int16", "int64", "uint8", "bool"])
    def test_captured_and_in_any_dtype(self, dtype: str, way: str) -> None:
        values = (10 * filled()).astype(dtype)
        join = wye.Join("t", t=wye.Table(scipy.sparse.csr_array(values if dtype != "float16" else 10 * filled()),
                                         dtype=dtype))  # fmt: skip
        run = ran(lambda id: join(id=id), way)
        same(run(ids(IDS)), values[IDS])
        same(run(ids([5])), values[[5]])

    def test_entries_written_twice_add_up(self) -> None:
        places, values = torch.tensor([[1, 1, 0], [2, 2, 0]]), torch.tensor([1.0, 2.0, 4.0])
        twice = torch.sparse_coo_tensor(places, values, (2, 3), check_invariants=True)
        rows = scipy.sparse.csr_array((np.array([4.0, 1, 2]), np.array([0, 2, 2]), np.array([0, 1, 3])), shape=(2, 3))
        for source in (twice, rows):
            assert numbers(wye.Join("t", t=wye.Table(source))(ids([1, 0]))).tolist() == [[0, 0, 3], [4, 0, 0]]

    @pytest.mark.parametrize("way", WAYS)
    def test_nothing_in_it(self, way: str) -> None:
        empty = wye.Join("t", t=wye.Table(scipy.sparse.csr_array((3, 2)), dtype="float16"))
        same(ran(lambda id: empty(id=id), way)(ids([2, 2])), np.zeros((2, 2), "float16"))

    def test_what_it_holds_is_no_larger_than_what_it_was_given(self) -> None:
        rows = wye.Join("t", t=wye.Table(scipy.sparse.eye_array(10_000)), u=wye.Table(scipy.sparse.eye_array(4)))
        sizes = {one.name: int(np.prod(one.shape)) for one in rows.variables}
        assert sizes["t_values"] == sizes["t_columns"] == 10_001
        assert len(sizes) == 8
        assert max(sizes.values()) == 10_001

    def test_another_matrix_takes_its_place(self) -> None:
        join = wye.Join("t", t=wye.Table(scipy.sparse.eye_array(4)))
        assert join.predict(np.array([1]), verbose=0).tolist() == [[0, 1, 0, 0]]
        join.t = wye.Table(scipy.sparse.csr_array(np.ones((4, 4))))
        assert join.predict(np.array([1]), verbose=0).tolist() == [[1, 1, 1, 1]]
        assert len(join.variables) == 4


def source_of(kind: str, values: np.ndarray, path: Path) -> Any:
    return mapped(path / "t", values) if kind == "map" else scipy.sparse.csr_array(values)


@pytest.mark.parametrize("kind", ["map", "sparse"])
class TestBoth:
    @pytest.mark.parametrize("wrong", [-1, 7])
    def test_eager_refuses_ids_that_no_entry_has(self, kind: str, wrong: int, tmp_path: Path) -> None:
        join = wye.Join("2 * t", t=wye.Table(source_of(kind, filled(), tmp_path)))
        with pytest.raises(wye.RangeError) as caught:
            join(id=ids([0, wrong]))
        assert str(caught.value).startswith(f"the index {wrong} is out of range.\n  in:  2 * t\n")
        assert str(caught.value).endswith("whole numbers from 0 to 6")

    @pytest.mark.parametrize("way", [way for way in WAYS if way != "eager"])
    @pytest.mark.parametrize("dtype", ["float32", "int32"])
    def test_a_captured_graph_shows_them(self, kind: str, dtype: str, way: str, tmp_path: Path) -> None:
        if (kind, way) == ("map", "xla"):
            pytest.skip("refused")
        values = (10 * filled()).astype(dtype)
        join = wye.Join("t", t=wye.Table(source_of(kind, values, tmp_path)))
        found = numbers(ran(lambda id: join(id=id), way)(ids([5, 7, -1])))
        lacking = np.nan if dtype == "float32" else -(2**31)
        np.testing.assert_array_equal(found, np.stack([values[5], *[np.full(5, lacking, dtype)] * 2]))

    def test_ids_are_whole_numbers(self, kind: str, tmp_path: Path) -> None:
        join = wye.Join("t", t=wye.Table(source_of(kind, filled(), tmp_path)))
        with pytest.raises(wye.FormulaError, match="whole numbers"):
            join(id=np.array([0.0, 1.0], "float32"))

    def test_a_fit_weighs_each_sample(self, kind: str, tmp_path: Path) -> None:
        """Against the gradient of the same loss in NumPy; none reaches the table."""
        values = filled()[:, :1].astype("float32") + 1
        layer = dense(1, 1, 4)
        loss = wye.Objective("mean(w[b, k] * (net(x)[b, k] - y[b, k]) ** 2)", net=layer,
                             w=wye.Table(source_of(kind, values, tmp_path)))  # fmt: skip
        loss.compile(keras.optimizers.SGD(0.1))
        x, y, one = array(0, 8, 4), array(1, 8, 1), np.array([6, 0, 6, 3, 1, 1, 2, 5])
        kernel, bias = numbers(layer.kernel).astype("float64"), numbers(layer.bias).astype("float64")
        history = loss.fit({"x": x, "y": y, "id": one}, batch_size=4, epochs=2, shuffle=False, verbose=0).history
        totals: list[float] = []
        for part in (slice(0, 4), slice(4, 8)) * 2:
            apart, weight = x[part] @ kernel + bias - y[part], values[one[part]]
            totals.append(float((weight * apart**2).mean()))
            slope = 2 * weight * apart / 4
            kernel, bias = kernel - 0.1 * x[part].T @ slope, bias - 0.1 * slope.sum(0)
        alike(layer.kernel, kernel)
        alike(layer.bias, bias)
        np.testing.assert_allclose(history["loss"], [np.mean(totals[:2]), np.mean(totals[2:])], rtol=1e-5)
        assert len(loss.trainable_variables) == 2

    def test_conditions_and_loops_read_it(self, kind: str, tmp_path: Path) -> None:
        values = filled().astype("float32")
        table = wye.Table(source_of(kind, values, tmp_path), by="who")
        net = wye.Chain(
            wye.When("sum(hard) > 1", wye.Join("x + far", far=table), hard=table),
            wye.While("sum(x) < 2 + sum(far)", wye.Join("x + 0.5 + far", far=table), max_steps=40, far=table),
        )
        x, who = array(0, 5, 5) / 9, np.array([6, 0, 6, 3, 1])
        wanted = x.astype("float64")
        for row, one in enumerate(who):
            wanted[row] += values[one] * (values[one].sum() > 1)
            while wanted[row].sum() < 2 + values[one].sum():
                wanted[row] += 0.5 + values[one]
        alike(net(x, who=who), wanted)
        alike(net.predict({"x": x, "who": who}, batch_size=2, verbose=0), wanted)

    def test_the_functional_api(self, kind: str, tmp_path: Path) -> None:
        values = filled()
        one, x = keras.Input((), dtype="int32"), keras.Input((5,))
        found = wye.Join("x * t", t=wye.Table(source_of(kind, values, tmp_path)))(x=x, id=one)
        model, given = keras.Model([one, x], found), array(0, 4, 5)
        assert model.output_shape == (None, 5)
        alike(model.predict([IDS, given], verbose=0), values[IDS] * given)

    def test_it_is_not_held_in_another_way(self, kind: str, tmp_path: Path) -> None:
        join = wye.Join("t", t=wye.Table(source_of(kind, np.ones((4, 2)), tmp_path)))
        with pytest.raises(wye.PartError, match="held in another way"):
            join.t = np.zeros((4, 2))
        with pytest.raises(wye.PartError, match="has one shape"):
            join.t = wye.Table(source_of(kind, np.ones((5, 2)), tmp_path))
        held = wye.Join("t", t=wye.Table(np.ones((4, 2))))
        with pytest.raises(wye.PartError, match="held in another way"):
            held.t = wye.Table(source_of(kind, np.ones((4, 2)), tmp_path))


def test_a_running_fit_takes_another_matrix() -> None:
    """On JAX the fit holds the variables itself."""
    loss = wye.Objective("mean(t * net(x))", net=dense(1, 1, 4), t=wye.Table(scipy.sparse.eye_array(1) * 2))
    loss.compile(keras.optimizers.SGD(0.0))

    class Assign(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 0:
                loss.t = wye.Table(scipy.sparse.csr_array(np.array([[6.0]])))

    given = {"x": array(0, 4, 4), "id": np.zeros(4, int)}
    history = loss.fit(given, batch_size=2, epochs=2, shuffle=False, verbose=0, callbacks=[Assign()]).history["loss"]
    np.testing.assert_allclose(history[1], 3 * history[0], rtol=1e-5)
