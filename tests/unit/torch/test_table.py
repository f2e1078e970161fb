"""A Table is read by ids, wherever a module has one; the oracle looks each entry up in a plain loop."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import wye


def looked_up(table: Tensor, ids: list[int]) -> Tensor:
    return torch.stack([table[one] for one in ids])


def weighted(table: Tensor, ids: list[int], pred: Tensor, label: Tensor) -> Tensor:
    total = torch.zeros((), dtype=pred.dtype)
    for place, one in enumerate(ids):
        total = total + table[one] * (pred[place] - label[place]) ** 2
    return total / len(ids)


WEIGHTED = "mean(w[b] * (pred[b] - label[b]) ** 2)"
IDS = [3, 0, 3, 9]


def batch() -> tuple[Tensor, Tensor, Tensor]:
    w, pred, label = (torch.rand(size, dtype=torch.float64) for size in (10, 4, 4))
    return w, pred.requires_grad_(), label


def test_an_objective_weighs_each_sample_by_its_id() -> None:
    w, pred, label = batch()
    loss = wye.Objective(WEIGHTED, w=wye.Table(w))
    assert loss.inputs == ("id", "pred", "label")
    total, terms = loss(pred=pred, label=label, id=torch.tensor(IDS))
    wanted = weighted(w, IDS, pred, label)
    assert torch.allclose(total, wanted, atol=1e-15)
    assert list(terms) == [WEIGHTED]
    mine, other = torch.autograd.grad(total, pred), torch.autograd.grad(wanted, pred)
    assert torch.allclose(mine[0], other[0], atol=1e-15)


@pytest.mark.parametrize("shape", [(7,), (7, 3), (7, 2, 3)])
def test_entries_may_have_axes(shape: tuple[int, ...]) -> None:
    rows = torch.rand(shape, dtype=torch.float64)
    join = wye.Join("2 * t", t=wye.Table(rows, by="who"))
    assert join.inputs == ("who",)
    assert torch.equal(join(torch.tensor([6, 0, 6])), 2 * looked_up(rows, [6, 0, 6]))
    assert join(torch.zeros(0, dtype=torch.int64)).shape == (0, *shape[1:])


def test_it_is_made_from_an_array_in_a_dtype_and_says_what_it_is() -> None:
    table = wye.Table(np.arange(6.0).reshape(3, 2), by="row", dtype=torch.float16)
    assert table.tensor.dtype is torch.float16
    assert repr(table) == "Table((3, 2), by='row')"
    assert wye.Join("t", t=table)(torch.tensor([2])).tolist() == [[4.0, 5.0]]


@pytest.mark.parametrize(
    ("ids", "kind"),
    [([0, 1, 2, 10], wye.RangeError), ([0, 1, 2, -1], wye.RangeError), ([0.0, 1.0, 2.0, 2.5], wye.FormulaError)],
)
def test_ids_that_no_entry_has_are_errors(ids: list[float], kind: type[Exception]) -> None:
    w, pred, label = batch()
    loss = wye.Objective(WEIGHTED, w=wye.Table(w))
    with pytest.raises(kind, match=r"in:  mean\(w\[b\]") as told:
        loss(pred=pred, label=label, id=torch.tensor(ids))
    assert str(told.value).count("\n") == 4


@pytest.mark.parametrize("one", [pytest.param(10, marks=pytest.mark.long), -1])
def test_a_compiled_graph_refuses_them_too(one: int) -> None:
    table = torch.rand(10)
    for text, parts in (("sum(t)", {"t": wye.Table(table, by="ids")}), ("sum(w[ids[b]])", {"w": table})):
        join = torch.compile(wye.Join(text, **parts), fullgraph=True)
        assert torch.allclose(join(torch.tensor([9, 0])), table[9] + table[0])
        with pytest.raises((RuntimeError, IndexError)):
            join(torch.tensor([0, one, 2]))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: wye.Table(torch.tensor(1.0)), "one entry for each id"),
        (lambda: wye.Table(torch.ones(2), by="not a name"), "read by an input's name"),
        (lambda: wye.Table(torch.ones(2), by=3), "read by an input's name"),
    ],
)
def test_what_no_table_can_be_is_refused(make: Any, what: str) -> None:
    with pytest.raises(wye.PartError, match=what):
        make()


class TestKept:
    def test_state_dict_copy_and_pickle_hold_it(self) -> None:
        w, pred, label = batch()
        loss, ids = wye.Objective(WEIGHTED, w=wye.Table(w)), torch.tensor(IDS)
        assert list(loss.state_dict()) == ["w"]
        assert [name for name, _ in loss.named_buffers()] == ["w"]
        assert not list(loss.parameters())
        wanted = weighted(w, IDS, pred, label)
        other = wye.Objective(WEIGHTED, w=wye.Table(torch.zeros(10, dtype=torch.float64)))
        other.load_state_dict(loss.state_dict())
        for one in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss)), other):
            assert torch.allclose(one(pred=pred, label=label, id=ids)[0], wanted, atol=1e-15)
            assert one.w is not loss.w

    def test_it_moves_and_takes_the_dtype(self) -> None:
        join = wye.Join("w[b] * x[b]", w=wye.Table(torch.ones(4)))
        assert join.double()(torch.tensor([1]), torch.ones(1, dtype=torch.float64)).dtype is torch.float64
        assert join.to("meta").w.is_meta

    def test_another_formula_keeps_it(self) -> None:
        w, pred, label = batch()
        loss = wye.Objective(WEIGHTED, w=wye.Table(w))
        loss.formula = "sum(w[b] * (pred[b] - label[b]) ** 2)"
        assert loss.inputs == ("id", "pred", "label")
        total, _ = loss(pred=pred, label=label, id=torch.tensor(IDS))
        assert torch.allclose(total, 4 * weighted(w, IDS, pred, label), atol=1e-14)

    def test_other_entries_are_read_by_what_was_compiled(self) -> None:
        w, pred, label = batch()
        loss = wye.Objective(WEIGHTED, w=wye.Table(w))
        compiled, ids = torch.compile(loss, fullgraph=True, backend="aot_eager"), torch.tensor(IDS)
        for new in (w, w + 1, (2 * w).float()):
            loss.w = new
            assert loss.w.dtype is torch.float64
            wanted = weighted(new.double(), IDS, pred, label)
            assert torch.allclose(compiled(pred=pred, label=label, id=ids)[0], wanted, atol=1e-14)
        loss.w = wye.Table(torch.zeros(10))
        assert float(compiled(pred=pred, label=label, id=ids)[0].detach()) == 0

    @pytest.mark.parametrize("new", [torch.ones(3), torch.ones(10, 1), wye.Table(torch.ones(10), by="who"), 2.0])
    def test_what_does_not_fit_leaves_the_old_one(self, new: Any) -> None:
        w, _, _ = batch()
        loss = wye.Objective(WEIGHTED, w=wye.Table(w))
        with pytest.raises(wye.PartError):
            loss.w = new
        assert torch.equal(loss.w, w)


class TestFlow:
    @pytest.mark.parametrize("captured", [False, pytest.param(True, marks=pytest.mark.long)])
    def test_a_condition_reads_the_entry_of_each_sample(self, captured: bool) -> None:
        hard = torch.tensor([0.1, 0.9, 0.4, 0.8, 0.2])
        layer = nn.Linear(3, 3)
        net = wye.Chain("x + 1", wye.When("hard > bound", layer, hard=wye.Table(hard, by="who"), bound=0.5))
        x, who = torch.rand(6, 3), [4, 3, 1, 0, 1, 2]
        wanted = torch.stack([layer(x[k] + 1) if hard[one] > 0.5 else x[k] + 1 for k, one in enumerate(who)])
        run = torch.compile(net, fullgraph=True) if captured else net
        assert torch.allclose(run(x, who=torch.tensor(who)), wanted, atol=1e-6)
        assert net[1].paths["then"].samples == 3
        if not captured:
            with pytest.raises(wye.RangeError, match="out of range"):
                net(x, who=torch.tensor([4, 3, 1, 0, 1, 5]))

    def test_times_and_axes_of_entries(self) -> None:
        depth = torch.tensor([[0.0, 2.0], [1.0, 0.0]])
        net = wye.Repeat("x + 1", "round(sum(depth))", depth=wye.Table(depth, by="row"))
        assert net(torch.zeros(3, 1), row=torch.tensor([1, 0, 1])).squeeze(1).tolist() == [1.0, 2.0, 1.0]
