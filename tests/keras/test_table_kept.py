"""Tables that no file holds, on Keras: memory maps, sparse matrices, and those with `persistent=False`."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import scipy.sparse

import wye.keras as wye
from tests.keras.fresh import answered
from tests.keras.plain import BACKEND, alike, array, dense, numbers
from tests.keras.table_reading import mapped

ENTRIES = (array(7, 9, 4) * (array(8, 9, 4) > 0)).astype("float32")
Make = Callable[[Path], Any]


TENSORS: dict[str, Make] = {
    "map": lambda path: mapped(path / "map", ENTRIES),
    "sparse": lambda _: scipy.sparse.csr_array(ENTRIES),
    "dense": lambda _: ENTRIES,
}


def net(table: wye.Table) -> Any:
    """A table within a stage, and one that a condition reads."""
    near = wye.Join("layer(x) + far + bias", layer=dense(1, 4), far=table, bias=wye.Table(ENTRIES[:3], by="kind"))
    return wye.Chain(near, deep=wye.When("sum(hard) > 0", "2 * x", hard=table))


BATCH = {"x": array(1, 5, 4), "id": np.array([8, 0, 0, 3, 5]), "kind": np.array([0, 2, 1, 1, 0])}


def by_hand(model: Any) -> np.ndarray:
    layer = model[0].layer
    kernel, bias = numbers(layer.kernel).astype("float64"), numbers(layer.bias)
    found = BATCH["x"] @ kernel + bias + ENTRIES[BATCH["id"]] + ENTRIES[:3][BATCH["kind"]]
    return found * np.where(ENTRIES[BATCH["id"]].sum(1) > 0, 2, 1)[:, None]


@pytest.mark.parametrize("kind", TENSORS)
def test_who_loads_gives_back_what_the_file_does_not_hold(kind: str, tmp_path: Path) -> None:
    table = wye.Table(TENSORS[kind](tmp_path), persistent=False)
    model = net(table)
    wanted = numbers(model(BATCH))
    alike(wanted, by_hand(model))
    wye.save(model, tmp_path / "net.keras")
    assert list(wye.inspect(tmp_path / "net.keras").tensors) == ["0.bias", "0.layer.kernel", "0.layer.bias"]
    given = {"0.far": table, "deep.hard": table}
    again = wye.load(tmp_path / "net.keras", parts=given)
    assert set(given) == {"0.far", "deep.hard"}
    np.testing.assert_array_equal(numbers(again(BATCH)), wanted)
    np.testing.assert_array_equal(again.predict(BATCH, verbose=0), model.predict(BATCH, verbose=0))
    wye.save(again, tmp_path / "again.keras")
    with zipfile.ZipFile(tmp_path / "again.keras") as one, zipfile.ZipFile(tmp_path / "net.keras") as other:
        written = [json.loads(file.read("config.json"))["config"] for file in (one, other)]
    assert written[0] == written[1]


@pytest.mark.parametrize("kind", TENSORS)
def test_what_lacks_it_says_so_until_it_is_given(kind: str, tmp_path: Path) -> None:
    table = wye.Table(TENSORS[kind](tmp_path), persistent=False)
    model = net(table)
    wanted = numbers(model(BATCH))
    wye.save(model, tmp_path / "net.keras")
    again = keras.saving.load_model(tmp_path / "net.keras")
    calls = [lambda: again(BATCH), lambda: again.predict(BATCH, verbose=0)]
    for call in calls if BACKEND != "jax" else calls[:1]:  # a step that fails on JAX leaves a model without variables
        with pytest.raises(wye.FileError) as caught:
            call()
        assert str(caught.value) == (
            "the table `far` was not in the file.\n  in:  Join(far=Table(...))\n  got: no entries of shape (9, 4)\n"
            "  fix: assign it: join.far = wye.Table(...); or load the file by wye.load(path, parts=...)"
        )
    again[0].far = table
    with pytest.raises(wye.FileError, match="the table `hard` was not in the file"):
        again(BATCH)
    again.deep.hard = ENTRIES
    np.testing.assert_array_equal(numbers(again(BATCH)), wanted)
    assert len(again.predict(BATCH, verbose=0)) == 5


def test_another_number_of_entries_and_another_dtype(tmp_path: Path) -> None:
    """Such as those of the test set; small whole numbers become floats in the formula, as ever."""
    join = wye.Join("2 * t", t=wye.Table(ENTRIES, persistent=False))
    join(id=BATCH["id"])
    wye.save(join, tmp_path / "join.keras")
    table = wye.Table(np.full((20, 4), 200, "uint8"), by="who")
    again = wye.load(tmp_path / "join.keras", parts={"t": table})
    assert again.inputs == ("id",)
    assert numbers(again(id=np.array([19]))).tolist() == [[400, 400, 400, 400]]


def test_the_file_is_smaller_by_the_table(tmp_path: Path) -> None:
    large, sizes = np.ones((10_000, 10), "float32"), list[int]()
    for persistent in (True, False):
        join = wye.Join("x + t", t=wye.Table(large, persistent=persistent))
        join(x=array(1, 2, 10), id=np.array([0, 1]))
        for name in ("a.keras", "a.weights.h5"):
            join.save(tmp_path / name) if name.endswith("keras") else join.save_weights(tmp_path / name)
            sizes.append((tmp_path / name).stat().st_size)
    assert min(sizes[:2]) > 400_000
    assert max(sizes[2:]) < 50_000


def updated(persistent: bool, by: str | None = "id") -> Any:
    """A moving average, or a bank, beside a layer."""
    update = "0.5 * t + 0.5 * stop(net(x))" if by else "stop(net(x))"
    table = wye.Table(0 * ENTRIES[:, :3], by=by, persistent=persistent, update=update)
    loss = wye.Objective("mean(net(x) ** 2) + 0 * sum(t)", net=dense(1, 3, 4), t=table)
    loss.compile(keras.optimizers.SGD(0.0))
    return loss


GIVEN = {"x": BATCH["x"], "id": BATCH["id"]}


def steps(loss: Any, by: str | None, table: np.ndarray, place: int = 0) -> tuple[np.ndarray, int]:
    """One step of a fit on the whole batch, and what the table is in NumPy after it."""
    given = GIVEN if by else {"x": GIVEN["x"]}
    loss.fit(given, batch_size=5, shuffle=False, verbose=0)
    found, table = numbers(loss.net(BATCH["x"])), table.copy()
    if not by:
        for row in found:
            table[place], place = row, (place + 1) % len(table)
        return table, place
    for one in set(BATCH["id"].tolist()):
        table[one] = 0.5 * table[one] + 0.5 * found[BATCH["id"] == one].mean(0)
    return table, place


@pytest.mark.parametrize("by", ["id", None])
def test_it_is_updated_and_weights_are_read_beside_it(by: str | None, tmp_path: Path) -> None:
    loss, wanted, place = updated(False, by), np.zeros((9, 3)), 0
    for _ in range(2):
        wanted, place = steps(loss, by, wanted, place)
        alike(loss.t, wanted)
    kernel = numbers(loss.net.kernel)
    loss.save_weights(tmp_path / "a.weights.h5")
    wye.save(loss, tmp_path / "a.keras")
    loss.net.kernel.assign(0 * kernel)
    loss.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(numbers(loss.net.kernel), kernel)
    alike(loss.t, wanted)
    wanted, place = steps(loss, by, wanted, place)
    alike(loss.t, wanted)
    # the place of a bank's oldest row is no more in the file than its rows
    again = wye.load(tmp_path / "a.keras", parts={"t": wye.Table(ENTRIES[:, :3], by=by, update="t", persistent=False)})
    wanted, _ = steps(again, by, ENTRIES[:, :3].astype("float64"))
    alike(again.t, wanted)
    assert wye.load_weights(loss, tmp_path / "a.keras").whole


def test_weights_with_the_table_do_not_go_into_a_layer_without(tmp_path: Path) -> None:
    loss, other = updated(True), updated(False)
    for one in (loss, other):
        one.fit(GIVEN, verbose=0)
    for one, another in ((loss, other), (other, loss)):
        one.save_weights(tmp_path / "a.weights.h5")
        with pytest.raises(ValueError, match=r"variables"):
            another.load_weights(tmp_path / "a.weights.h5")


def test_messages(tmp_path: Path) -> None:
    join = wye.Join("x + far", far=wye.Table(mapped(tmp_path / "map", ENTRIES)))
    join(x=BATCH["x"], id=BATCH["id"])
    path = str(tmp_path / "a.keras")
    wye.save(join, path)
    table, where = wye.Table(ENTRIES), f"\n  in:  load({path!r}, parts=...)\n"
    for parts, message in (
        ({}, "the table `far` is not in the file."
             + where + "  got: given: none\n  fix: give it: wye.load(path, parts={'far': wye.Table(...)})"),
        ({"far": table, "other": table}, "the file asks for no table 'other'."
             + where + "  got: a Table((9, 4), by='id')\n  fix: leave it out, or assign it once it is loaded"),
        ({"far": dense(1, 2)}, "the part 'far' is no table."
             + where + "  got: Dense\n  fix: give a Table; the class of a layer is registered: "
                       "keras.saving.register_keras_serializable()"),
    ):  # fmt: skip
        with pytest.raises((wye.FileError, wye.InputError)) as caught:
            wye.load(path, parts=parts)
        assert str(caught.value) == message


READ = """
import json, sys
import keras, numpy as np, scipy.sparse
import wye.keras as wye
path, = sys.argv[1:]
held = np.load(path + ".npz")
far = wye.Table(scipy.sparse.csr_array(held["far"]))
model = wye.load(path + ".keras", parts={"0.far": far, "deep.hard": far})
print(json.dumps(model.predict({name: held[name] for name in ("x", "id", "kind")}, verbose=0).tolist()))
"""


@pytest.mark.long
@pytest.mark.parametrize("backend", [name for name in ("tensorflow", "jax", "torch") if name != BACKEND])
def test_other_backends_read_it(backend: str, tmp_path: Path) -> None:
    model = net(wye.Table(mapped(tmp_path / "map", ENTRIES)))
    wanted = numbers(model(BATCH))
    wye.save(model, tmp_path / "net.keras")
    np.savez(tmp_path / "net.npz", far=ENTRIES, **BATCH)
    alike(np.array(answered(READ, str(tmp_path / "net"), backend=backend)), wanted)
