"""Tables with an update on Keras, held against plain loops over the samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import scipy.sparse

import wye.keras as wye
from tests.keras.plain import alike, array, dense, numbers

IDS = ([8, 1, 1, 0, 2], [5, 5, 5, 5, 5], [0, 1, 2, 3, 4])
LABEL = np.array([0, 1, 2, 3, 0])


def elr() -> wye.Objective:
    return wye.Objective(
        "ce + 3 * mean(log(1 - dot(p, t)))", ce="cross_entropy(net(x), label)", p="softmax(net(x))", net=dense(1, 4),
        t=wye.Table(np.full((9, 4), 0.1, "float32"), by="id", update="0.7 * t + 0.3 * p"),
    )  # fmt: skip


def averaged(table: np.ndarray, scores: np.ndarray, ids: list[int]) -> np.ndarray:
    new: dict[int, list[Any]] = {}
    for place, one in enumerate(ids):
        p = np.exp(scores[place]) / np.exp(scores[place]).sum()
        new.setdefault(one, []).append(0.7 * table[one] + 0.3 * p)
    table = table.copy()
    for one, entries in new.items():
        table[one] = np.mean(entries, 0)
    return table


def test_new_entries_in_training_alone() -> None:
    loss, x = elr(), array(3, 5, 4)
    for ids in IDS:
        given = {"x": x, "label": LABEL, "id": np.array(ids)}
        before = numbers(loss.t)
        without, _ = loss(**given)
        alike(loss.t, before)
        total, _ = loss(**given, training=True)
        alike(total, numbers(without))  # it reads the old ones
        alike(loss.t, averaged(before, numbers(loss.net(x)), ids))


def test_a_fit_writes_them_and_a_file_holds_them(tmp_path: Path) -> None:
    loss, x = elr(), array(3, 5, 4)
    given = {"x": x, "label": LABEL, "id": np.array(IDS[0])}
    loss(**given)
    loss.compile(keras.optimizers.SGD(0.0))
    wanted = numbers(loss.t)
    for _ in range(2):
        loss.fit(given, batch_size=5, verbose=0)
        wanted = averaged(wanted, numbers(loss.net(x)), IDS[0])
        alike(loss.t, wanted)
    loss.evaluate(given, verbose=0)
    alike(loss.t, wanted)
    loss.save(tmp_path / "loss.keras")
    again = keras.saving.load_model(tmp_path / "loss.keras")
    again(**given, training=True)
    alike(again.t, averaged(wanted, numbers(loss.net(x)), IDS[0]))


def test_a_bank(tmp_path: Path) -> None:
    bank = wye.Objective(
        "mean(sum(net(x)[b, d] * bank[n, d], d) ** 2)", net=dense(1, 3),
        bank=wye.Table(np.zeros((5, 4), "float32")[:, :3], by=None, update="stop(net(x))"),
    )  # fmt: skip
    queue, place = np.zeros((5, 3)), 0
    for size in (2, 2, 7, 3):
        x = array(size, size, 4)
        bank(x=x, training=True)
        for row in numbers(bank.net(x)):
            queue[place], place = row, (place + 1) % 5
        alike(bank.bank, queue)
    bank.save(tmp_path / "bank.keras")
    again = keras.saving.load_model(tmp_path / "bank.keras")
    x = array(9, 1, 4)
    again(x=x, training=True)
    queue[place] = numbers(bank.net(x))[0]
    alike(again.bank, queue)
    bank.compile("sgd")
    bank.fit({"x": array(3, 4, 4)}, batch_size=2, verbose=0)  # what the loss read is there for its backward


def test_a_total_that_is_skipped_leaves_the_table() -> None:
    loss = wye.Objective("mean(x)", on_nonfinite="skip", t=wye.Table(np.zeros(3, "float32"), update="x"))
    loss(x=np.array([np.nan], "float32"), id=np.array([1]), training=True)
    alike(loss.t, np.zeros(3))
    loss(x=np.array([2.0], "float32"), id=np.array([1]), training=True)
    alike(loss.t, np.array([0, 2.0, 0]))


def test_counts_of_classes() -> None:
    table = wye.Table(np.zeros(5, "float32"), by="label", update="seen[b] + sum(label[c] == label[b], c)")
    join = wye.Join("mean(x)", seen=table)
    for labels in ([1, 1, 4], [4, 4, 4]):
        join(x=array(1, 3), label=np.array(labels), training=True)
    alike(join.seen, np.array([0, 2, 0, 0, 4.0]))


def test_what_is_given_stays_as_it_is() -> None:
    """Torch writes in place, and a step of JAX uses up the buffers that it is given."""
    given, batch = keras.ops.ones(4), {"x": np.full(2, 5.0, "float32"), "id": np.array([1, 2])}
    for _ in range(2):
        table, part = wye.Table(given, update="x"), given
        loss = wye.Objective("mean(a * x + sum(part))", a=keras.Variable(1.0), t=table, part=part)
        loss.compile("sgd")
        loss.fit(batch, verbose=0)
        alike(loss.t, np.array([1.0, 5, 5, 1]))
        loss.part = 0 * given
        alike(given, np.ones(4))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: wye.Table(np.ones(3), by=None), "which an update fills"),
        (lambda: wye.Table(scipy.sparse.eye_array(3), update="t"), "read and never written"),
        (lambda: wye.Join(lambda x: x, t=wye.Table(np.ones(3), update="t")), "its value is a callable"),
        (lambda: wye.When("t > 0", "x", t=wye.Table(np.ones(3), update="t")), "a condition only reads"),
        (lambda: setattr(elr(), "t", wye.Table(np.ones((9, 4)), update="p")), "keeps its update"),
    ],
)
def test_what_cannot_be_is_refused(make: Any, what: str) -> None:
    with pytest.raises(wye.WyeError, match=what):
        make()


def test_entries_that_do_not_fit_are_errors() -> None:
    join = wye.Join("x", t=wye.Table(np.ones((4, 2), "float32"), update="x"))
    with pytest.raises(wye.ShapeError, match="one new entry for each id"):
        join(x=array(1, 2, 3), id=np.array([0, 1]), training=True)
    with pytest.raises(wye.RangeError, match="out of range"):
        join(x=array(1, 2, 2), id=np.array([0, 4]), training=True)
