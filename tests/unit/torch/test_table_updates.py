"""A table with an update: new entries for the batch after each call in training; the oracle is a plain loop."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import wye

AVERAGE = "0.7 * t + 0.3 * softmax(logits)"
ELR = "ce + 3 * mean(log(1 - dot(p, t)))"
ROWS, CLASSES = 9, 4
BATCHES = ([0, 5, 8], [5, 5, 1], [2, 2, 2], [7, 3, 7], [])


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    yield
    torch.compiler.reset()


def elr(**more: Any) -> wye.Objective:
    table = wye.Table(torch.full((ROWS, CLASSES), 0.1, dtype=torch.float64), update=more.pop("update", AVERAGE))
    return wye.Objective(ELR, ce="cross_entropy(logits, label)", p="softmax(logits)", t=table, **more)


def batch(ids: list[int]) -> dict[str, Tensor]:
    logits = torch.randn(len(ids), CLASSES, dtype=torch.float64, requires_grad=True)
    return {"logits": logits, "label": torch.arange(len(ids)) % CLASSES, "id": torch.tensor(ids, dtype=torch.int64)}


def averaged(table: Tensor, given: dict[str, Tensor]) -> Tensor:
    """The moving average, entry by entry; an id that comes several times takes the mean."""
    new: dict[int, list[Tensor]] = {}
    for place, one in enumerate(given["id"].tolist()):
        scores = given["logits"].detach()[place].exp()
        new.setdefault(one, []).append(0.7 * table[one] + 0.3 * scores / scores.sum())
    table = table.clone()
    for one, entries in new.items():
        table[one] = sum(entries) / len(entries)  # type: ignore[assignment]
    return table


def loss_by_hand(table: Tensor, given: dict[str, Tensor]) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for place, one in enumerate(given["id"].tolist()):
        p = given["logits"][place].softmax(0)
        total = total - p[given["label"][place]].log() + 3 * (1 - (p * table[one]).sum()).log()
    return total / max(1, len(given["id"]))


@pytest.mark.parametrize("compiled", [False, True])
def test_the_loss_reads_the_old_entries_and_the_batch_alone_gets_new_ones(compiled: bool) -> None:
    loss = elr()
    torch._dynamo.reset()
    run = torch.compile(loss, fullgraph=True, backend="aot_eager") if compiled else loss
    for ids in BATCHES[:4] if compiled else BATCHES:
        given, before = batch(ids), loss.t.clone()
        total, _ = run(**given)
        wanted = loss_by_hand(before, given)
        assert torch.allclose(total, wanted, atol=1e-12)
        assert torch.allclose(loss.t, averaged(before, given), atol=1e-12)
        rest = [one for one in range(ROWS) if one not in ids]
        assert torch.equal(loss.t[rest], before[rest])
        if ids:  # the backward comes after the entries were written
            (mine,) = torch.autograd.grad(total, given["logits"])
            (other,) = torch.autograd.grad(wanted, given["logits"])
            assert torch.allclose(mine, other, atol=1e-12)
    assert not loss.t.requires_grad


def test_it_is_updated_in_training_alone_and_once_in_each_call() -> None:
    loss, given = elr(), batch([0, 5, 8])
    before = loss.t.clone()
    loss.eval()(**given)
    assert torch.equal(loss.t, before)
    with torch.no_grad():
        loss.train()(**given)
    with torch.inference_mode():
        loss(**given)
    assert torch.equal(loss.t, before)
    loss(**given)
    assert torch.allclose(loss.t, averaged(before, given), atol=1e-12)


def test_the_tensor_that_was_given_is_left_alone() -> None:
    mine = torch.zeros(3, 2)
    table = wye.Table(mine, update="x")
    first, second = wye.Join("x", t=table), wye.Join("x", t=table)
    first(x=torch.ones(1, 2), id=torch.tensor([1]))
    assert not mine.any()
    assert not second.t.any()
    second.t = mine
    second(x=torch.ones(1, 2), id=torch.tensor([1]))
    assert not mine.any()


def test_what_the_formula_computed_is_not_computed_again() -> None:
    class Counted(nn.Linear):
        calls = 0

        def forward(self, input: Tensor) -> Tensor:
            self.calls += 1
            return super().forward(input)

    net = Counted(2, 2)
    join = wye.Join("net(x) - t", net=net, t=wye.Table(torch.zeros(4, 2), update="t + net(x)"))
    join(x=torch.ones(1, 2), id=torch.tensor([3]))
    assert net.calls == 1
    assert torch.allclose(join.t[3], nn.functional.linear(torch.ones(2), net.weight, net.bias))


def test_only_the_update_needs_it_so_that_eval_leaves_it_out() -> None:
    net = nn.Linear(2, 2)
    join = wye.Join("2 * x", net=net, t=wye.Table(torch.zeros(4, 2), update="net(x)"))
    calls: list[object] = []
    net.register_forward_hook(lambda *_: calls.append(1))
    join.eval()(x=torch.ones(1, 2), id=torch.tensor([3]))
    assert not calls
    join.train()(x=torch.ones(1, 2), id=torch.tensor([3]))
    assert len(calls) == 1


def test_numbers_schedules_and_named_formulas_stand_in_an_update() -> None:
    keep = wye.Schedule("step / 10")
    join = wye.Join("x", keep=keep, by=2.0, y="x * by", t=wye.Table(torch.ones(4), update="keep * t + y"))
    given = {"x": torch.tensor([3.0]), "id": torch.tensor([1])}
    join(**given)
    assert join.t.tolist() == [1, 6, 1, 1]
    for _ in range(5):
        join.advance()
    join.by = 1
    join(**given)
    assert join.t.tolist() == [1, 6, 1, 1]  # 0.5 * 6 + 3
    join.formula = "x * x"  # a formula that does not read the table leaves its update as it is
    join(**given)
    assert join.t.tolist() == [1, 6, 1, 1]
    join.t = torch.zeros(4)
    join(**given)
    assert join.t.tolist() == [0, 3, 0, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.float64])
@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.long)])
def test_counts_of_classes(dtype: torch.dtype, compiled: bool) -> None:
    update = "seen[b] + cast(sum(label[c] == label[b], c), dtype='int64')"
    seen = wye.Table(torch.zeros(5, dtype=dtype), by="label", update=update)
    join = wye.Join("mean(x)", seen=seen)
    torch._dynamo.reset()
    run = torch.compile(join, fullgraph=True, backend="aot_eager") if compiled else join
    counts = [0] * 5
    for labels in ([1, 1, 4, 0], [4, 4, 4, 4], [0, 1, 2, 3]):
        for one in labels:
            counts[one] += 1
        run(x=torch.ones(2), label=torch.tensor(labels))
    assert join.seen.tolist() == counts
    assert join.seen.dtype is dtype


class TestBank:
    @pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.long)])
    def test_the_oldest_rows_are_replaced(self, compiled: bool) -> None:
        start = torch.rand(5, 2, dtype=torch.float64)
        bank = wye.Objective("mean(sum(z[b, d] * bank[n, d], d) ** 2)", bank=wye.Table(start, by=None, update="z"))
        assert bank.inputs == ("z",)
        torch._dynamo.reset()
        run = torch.compile(bank, fullgraph=True, backend="aot_eager") if compiled else bank
        queue, place = [row.clone() for row in start], 0
        for size in (2, 2, 2, 1, 7, 5, 3):
            z = torch.rand(size, 2, dtype=torch.float64, requires_grad=True)
            before = torch.stack(queue)
            total, _ = run(z=z)
            wanted = (z @ before.T).square().mean()
            assert torch.allclose(total, wanted, atol=1e-14)
            mine, other = torch.autograd.grad(total, z)[0], torch.autograd.grad(wanted, z)[0]
            assert torch.allclose(mine, other, atol=1e-14)
            for row in z.detach():
                queue[place], place = row, (place + 1) % 5
            assert torch.equal(bank.bank, torch.stack(queue))
            assert int(bank.bank_next) == place
        assert list(bank.state_dict()) == ["bank", "bank_next"]

    def test_another_one_goes_on_from_its_state(self) -> None:
        first, second = (wye.Join("sum(bank)", bank=wye.Table(torch.zeros(3), by=None, update="x")) for _ in range(2))
        first(x=torch.tensor([1.0, 2.0]))
        second.load_state_dict(first.state_dict())
        for one in (first, second, copy.deepcopy(first), pickle.loads(pickle.dumps(second))):
            one(x=torch.tensor([3.0, 4.0]))
            assert one.bank.tolist() == [4, 2, 3]


class TestHeld:
    @pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64])
    @pytest.mark.parametrize("width", [3, 200])
    def test_rows_of_any_width_and_dtype(self, width: int, dtype: torch.dtype) -> None:
        join = wye.Join("sum(x)", t=wye.Table(torch.zeros(ROWS, width, dtype=dtype), update="t + x"))
        expected = torch.zeros(ROWS, width, dtype=dtype)
        for ids in BATCHES[:2]:
            x = torch.arange(len(ids) * width).reshape(len(ids), width).to(dtype) % 8
            join(x=x, id=torch.tensor(ids))
            for one in set(ids):
                new = torch.stack([row for row, place in zip(x, ids, strict=True) if place == one]).double().mean(0)
                expected[one] += (new.floor() if dtype is torch.int64 else new).to(dtype)
        assert torch.equal(join.t, expected)

    @pytest.mark.parametrize("width", [3, 200])
    def test_a_backward_that_needs_the_old_entries_says_so(self, width: int) -> None:
        weight = torch.ones(width, requires_grad=True)
        join = wye.Join("sum(x)", t=wye.Table(torch.ones(ROWS, width), update="2 * t"))
        total = (join.t * weight).sum()
        join(x=torch.ones(1), id=torch.tensor([2]))
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            total.backward()

    def test_copies_go_their_own_ways(self) -> None:
        loss, given = elr(), batch([0, 5, 8])
        for one in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
            before = loss.t.clone()
            one(**given)
            assert torch.allclose(one.t, averaged(before, given), atol=1e-12)
            assert torch.equal(loss.t, before)

    def test_it_takes_the_dtype_of_its_module(self) -> None:
        loss = elr().to(torch.float32)
        loss(**batch([0, 5, 8]))
        assert loss.t.dtype is torch.float32
        half = wye.Join("x", t=wye.Table(torch.zeros(3), dtype=torch.bfloat16, update="0.5 * t + x"))
        half(x=torch.tensor([1.0, 3.0]), id=torch.tensor([2, 2]))
        assert half.t.dtype is torch.bfloat16
        assert half.t.tolist() == [0, 0, 2]

    def test_what_is_not_persistent_is_in_no_state(self) -> None:
        join = wye.Join("t", t=wye.Table(torch.ones(3), persistent=False, update="2 * t"))
        assert not join.state_dict()
        join(torch.tensor([1]))
        assert copy.deepcopy(join).t.tolist() == [1, 2, 1]

    def test_it_says_what_it_is(self) -> None:
        table = wye.Table(torch.ones(3, 2), by=None, persistent=False, update="x")
        assert repr(table) == "Table((3, 2), by=None, persistent=False, update='x')"


class TestSkipped:
    def test_a_total_that_is_skipped_or_raises_leaves_the_table(self) -> None:
        for how in ("skip", "raise"):
            loss, given = elr(on_nonfinite=how), batch([0, 5, 8])
            before = loss.t.clone()
            bad = {**given, "logits": (given["logits"] * torch.nan)}
            if how == "raise":
                with pytest.raises(wye.NonFiniteError):
                    loss(**bad)
            else:
                loss(**bad)
            assert torch.equal(loss.t, before)
            loss(**given)
            assert torch.allclose(loss.t, averaged(before, given), atol=1e-12)

    @pytest.mark.parametrize("reentrant", [False, True])
    def test_a_call_is_not_made_anew_within_a_backward(self, reentrant: bool) -> None:
        loss, given = elr(), batch([0, 5, 8])

        def total(logits: Tensor) -> Tensor:
            return loss(**{**given, "logits": logits})[0]

        with pytest.raises(wye.FlowError, match="read again within a backward"):
            checkpoint(total, given["logits"], use_reentrant=reentrant).backward()

    def test_networks_may_be(self) -> None:
        loss, net, given = elr(), nn.Linear(CLASSES, CLASSES).double(), batch([0, 5, 8])
        before = loss.t.clone()
        logits = checkpoint(net, given["logits"], use_reentrant=False)
        loss(**{**given, "logits": logits})[0].backward()
        assert torch.allclose(loss.t, averaged(before, {**given, "logits": logits}), atol=1e-12)


@pytest.mark.parametrize("update", [AVERAGE, "softmax(logits)"])
@pytest.mark.parametrize("wrong", [-1, ROWS])
def test_ids_that_no_entry_has_are_errors_and_write_nothing(update: str, wrong: int) -> None:
    loss = wye.Objective("cross_entropy(logits, label)", t=wye.Table(torch.zeros(ROWS, CLASSES), update=update))
    given = {**batch([0, 1, 2]), "id": torch.tensor([0, wrong, 2])}
    with pytest.raises(wye.RangeError, match=r"t = "):
        loss(**given)
    assert not loss.t.any()
