"""Contrastive losses where there is little or nothing to compare, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wye
from tests.unit.torch.tiles.cases import in_tiles

L = wye.losses
NAMES = ["info_nce", "clip_loss", "siglip_loss", "nt_xent", "sup_con"]


def found(name: str, rows: Tensor, other: Tensor, reduction: str = "mean", temperature: Any = 0.5) -> Tensor:
    if name == "sup_con":
        return L.sup_con(rows, torch.zeros(len(rows), dtype=torch.int64), temperature, reduction=reduction)
    bias = (-1.0,) if name == "siglip_loss" else ()
    return getattr(L, name)(rows, other, temperature, *bias, reduction=reduction)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_an_empty_batch_is_0_with_a_gradient_of_0(name: str, reduction: str) -> None:
    """Facts: an empty batch is NaN unless handled."""
    rows = torch.zeros(0, 3, requires_grad=True)
    loss = found(name, rows, torch.zeros(0, 3), reduction)
    assert loss.tolist() == ([] if reduction == "none" else 0.0)
    loss.sum().backward()
    assert rows.grad is not None
    assert rows.grad.shape == (0, 3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("info_nce", 0.0), ("clip_loss", 0.0), ("siglip_loss", 0.313262), ("nt_xent", 0.0), ("sup_con", 0.0)],
)
def test_one_sample(name: str, expected: float) -> None:
    rows, other = (torch.tensor([[1.0, 0.0]], requires_grad=True) for _ in range(2))
    loss = found(name, rows, other)
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    loss.backward()
    assert rows.grad is not None
    assert rows.grad.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("edge", [0, 2])
def test_rows_of_zeros_have_no_gradient(name: str, edge: int) -> None:
    """Facts: the gradient of a norm at a zero row is NaN, or 1e8 to 1e12 with an epsilon."""
    rows = torch.tensor([[0.0, 0.0], [1.0, 2.0], [3.0, -1.0], [0.5, 0.5]], requires_grad=True)
    other = torch.tensor([[1.0, 0.5], [0.0, 0.0], [-1.0, 0.5], [2.0, 1.0]], requires_grad=True)
    if edge:
        with in_tiles(edge):
            loss = found(name, rows, other)
    else:
        loss = found(name, rows, other)
    loss.backward()
    assert loss.isfinite()
    assert rows.grad is not None
    assert rows.grad[0].tolist() == [0.0, 0.0]
    assert rows.grad.isfinite().all()
    assert rows.grad[1:].abs().sum() > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_temperature_that_is_not_above_0_is_refused(name: str) -> None:
    """A negative one would draw together what is to be apart, and say nothing; 0 would be NaN."""
    rows, other = torch.randn(4, 3), torch.randn(4, 3)
    for wrong in (0, -0.5, torch.tensor(0), torch.tensor([-0.5]), nn.Parameter(torch.tensor(-0.5))):
        with pytest.raises(wye.RangeError, match="is above 0"):
            found(name, rows, other, temperature=wrong)
    with pytest.raises(wye.RangeError, match="is above 0"):
        L.clip_loss(rows.numpy(), other.numpy(), -0.5)
    for fine in (1, torch.tensor(1), torch.tensor([1.0]), nn.Parameter(torch.tensor(1.0)), torch.tensor(1.0).double()):
        assert found(name, rows, other, temperature=fine) == found(name, rows, other, temperature=1.0)
    assert found(name, rows, other, temperature=torch.tensor(float("nan"))).isnan()  # what diverged stays seen
    each = torch.func.vmap(lambda t: found(name, rows, other, temperature=t))(torch.tensor([0.5, -0.5, 0.0]))
    assert each.isnan().tolist() == [False, True, True]  # nobody can look


def test_a_captured_graph_has_nan_for_such_a_temperature() -> None:
    run = torch.compile(wye.Join("nt_xent(a, b, t)"), backend="eager", fullgraph=True)
    a, b = torch.randn(4, 3), torch.randn(4, 3)
    assert run(a, b, torch.tensor(-0.5)).isnan()
    torch.testing.assert_close(run(a, b, torch.tensor(0.5)), L.nt_xent(a, b, 0.5))


def test_rows_that_nothing_belongs_to_are_left_out() -> None:
    x, label = torch.randn(5, 3, requires_grad=True), torch.tensor([0, 1, 0, 2, 2])
    each = L.sup_con(x, label, 0.5, reduction="none")
    assert each[1] == 0
    torch.testing.assert_close(L.sup_con(x, label, 0.5), each.sum() / 4)
    assert L.sup_con(x, torch.arange(5), 0.5) == 0  # the mean over nothing
    key_label = torch.tensor([0, 0, 5])
    each = L.info_nce(x, torch.randn(3, 3), 0.5, label=label, key_label=key_label, reduction="none")
    assert (each != 0).tolist() == [True, False, True, False, False]


def test_views_in_one_tensor_are_labels() -> None:
    a, b = torch.randn(6, 3), torch.randn(6, 3)
    pairs, label = torch.stack([a, b], 1).flatten(0, 1), torch.arange(6).repeat_interleave(2)
    torch.testing.assert_close(L.sup_con(pairs, label, 0.5), L.nt_xent(a, b, 0.5))


def test_axes_by_name() -> None:
    a, b, label = torch.randn(4, 3), torch.randn(4, 3), torch.tensor([0, 1, 0, 2])
    torch.testing.assert_close(
        wye.evaluate("clip_loss(a[d, i], b[j, d], 0.5, reduction='none')", a=a.T, b=b),
        L.clip_loss(a, b, 0.5, reduction="none"),
    )
    torch.testing.assert_close(
        wye.evaluate("sum(v[i] * sup_con(a[i, d], y[i], 0.5, reduction='none'))", a=a, y=label, v=torch.ones(4)),
        L.sup_con(a, label, 0.5, reduction="sum"),
    )
    target = torch.rand(4, 4)
    torch.testing.assert_close(
        wye.evaluate("info_nce(a[i, d], b[j, d], 0.5, target=t[j, i])", a=a, b=b, t=target.T),
        L.info_nce(a, b, 0.5, target=target),
    )


def test_numbers_of_a_join_may_be_schedules_and_change() -> None:
    a, b = torch.randn(4, 3), torch.randn(4, 3)
    loss = wye.Objective("clip_loss(a, b, t)", t=wye.Schedule("0.5"))
    assert loss(a=a, b=b)[0] == L.clip_loss(a, b, 0.5)


A, B = torch.zeros(4, 3), torch.zeros(5, 3)
MESSAGES = [
    (
        lambda: L.clip_loss(A, B, 0.5),
        """\
`clip_loss` takes pairs: as many rows on both sides.
  in:  clip_loss(a, b, temperature)
       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  got: a (4, 3), b (5, 3)
  fix: give them in pairs; queries against more keys: info_nce""",
    ),
    (
        lambda: L.info_nce(B, A, 0.5),
        """\
key i belongs to query i, and there are fewer keys than queries.
  in:  info_nce(query, key, temperature)
       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  got: query (5, 3), key (4, 3)
  fix: give label=... and key_label=..., or target=...""",
    ),
    (
        lambda: L.clip_loss(A, A[:, :2], 0.5),
        """\
both sides have as many features.
  in:  clip_loss(a, b, temperature)
       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  got: a (4, 3), b (4, 2)
  fix: bring them to one size first: a linear layer on each""",
    ),
    (
        lambda: L.nt_xent(A[None], A[None], 0.5),
        """\
`nt_xent` takes rows of features.
  in:  nt_xent(a, b, temperature)
       ^^^^^^^^^^^^^^^^^^^^^^^^^^
  got: a (1, 4, 3), b (1, 4, 3)
  fix: name two axes of a, or flatten the others: one row for each sample""",
    ),
    (
        lambda: L.clip_loss(A, A, torch.ones(4)),
        """\
`temperature` of `clip_loss` is one number.
  in:  clip_loss(a, b, temperature)
       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  got: a (4, 3), b (4, 3), temperature (4,)
  fix: give one for all: mean(temperature)""",
    ),
    (
        lambda: L.sup_con(A, torch.zeros(3, dtype=torch.int64), 0.5),
        """\
`label` of `sup_con` has the shape (4,).
  in:  sup_con(x, label, temperature)
       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  got: x (4, 3), label (3,)
  fix: give one label for each row""",
    ),
    (
        lambda: L.sup_con(A, torch.zeros(4), 0.5),
        """\
labels that say which rows belong together are whole numbers.
  in:  sup_con(x, label, temperature)
       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  got: float32
  fix: cast(label, dtype='int64'); weights for all pairs are given as target=...""",
    ),
    (
        lambda: L.clip_loss(A, A, 0.5, label=torch.arange(4), target=torch.eye(4)),
        """\
`clip_loss` is told twice which rows belong together.
  in:  clip_loss(a, b, temperature, label=label, target=target)
       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  got: `label` and `target`
  fix: give one of them""",
    ),
    (
        lambda: L.info_nce(A, A, 0.5, label=torch.arange(4)),
        """\
`info_nce` compares the labels of queries with those of keys.
  in:  info_nce(query, key, temperature, label=label)
       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  got: one of `label` and `key_label`
  fix: write info_nce(query, key, temperature, label=label, key_label=key_label)""",
    ),
    (
        lambda: wye.evaluate("clip_loss(a[i, d], b[j, k], 0.5)", a=A, b=A),
        """\
`clip_loss` takes rows of features, which both sides share; labels have the axis of the rows.
  in:  clip_loss(a[i, d], b[j, k], 0.5)
       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  got: a [i, d], b [j, k]
  fix: write clip_loss(a[i, d], b[j, d], temperature)""",
    ),
    (
        lambda: L.sup_con(A, torch.arange(4), torch.tensor(-0.5)),
        """\
the temperature of a contrastive loss is above 0, for it divides.
  in:  sup_con(x, label, temperature)
       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  got: -0.5
  fix: give a number above 0; one that learns as exp(log_temperature)""",
    ),
    (
        lambda: L.clip_loss(A, A, 0.5, multiply="float16"),
        """\
`clip_loss` takes 'bfloat16' for `multiply`.
  in:  clip_loss(a, b, temperature, multiply="float16")
                                             ^^^^^^^^^
  got: "float16"
  fix: write multiply='bfloat16'""",
    ),
]


@pytest.mark.parametrize(("call", "message"), MESSAGES)
def test_what_does_not_fit_is_told_whole(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(wye.WyeError) as told:
        call()
    assert str(told.value) == message


def test_a_condition_reads_each_sample_by_itself() -> None:
    with pytest.raises(wye.ShapeError, match="compares samples with one another"):
        wye.When("clip_loss(x, x, 0.5) > 0", torch.nn.Linear(3, 3))(A)
