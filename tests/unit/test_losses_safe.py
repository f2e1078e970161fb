"""Where a loss is easily NaN, infinite or silently wrong: what wye does there, as the catalogue says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import wye
from tests.unit.loss_samples import ELEMENTWISE, LOGITS, REGIONS, SAMPLES
from wye.formula.losses import CATALOGUE

HALF = [torch.bfloat16, torch.float16]


def given(name: str, rows: int, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    tensors = {key: torch.from_numpy(np.array(value)) for key, value in SAMPLES[name](rows).items()}
    return {key: value.to(dtype) if value.is_floating_point() else value for key, value in tensors.items()}


def attached(values: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.requires_grad_() if value.is_floating_point() else value for key, value in values.items()}


def slopes(found: Tensor, values: dict[str, Tensor]) -> list[Tensor]:
    """The gradients of its sum, which are attached to every value of floats."""
    return list(torch.autograd.grad(found.sum(), [value for value in values.values() if value.requires_grad]))


def test_every_loss_is_here() -> None:
    assert SAMPLES.keys() == CATALOGUE.keys()


# nothing to take the mean of


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_an_empty_batch_costs_nothing(name: str, reduction: str) -> None:
    """Facts: the mean of an empty batch is NaN in torch."""
    values = attached(given(name, 0))
    found = getattr(wye.losses, name)(**values, reduction=reduction)
    assert found.dtype == torch.float64
    assert found.sum() == 0
    assert all(slope.numel() == 0 for slope in slopes(found, values))
    assert getattr(wye.losses, name)(**SAMPLES[name](0)) == 0  # in NumPy


@pytest.mark.parametrize("name", ["cross_entropy", "nll", "focal_cross_entropy"])
@pytest.mark.parametrize("weighted", [False, True])
def test_every_target_ignored_costs_nothing(name: str, weighted: bool) -> None:
    """Facts: cross-entropy with every target ignored is NaN in torch."""
    values = attached(given(name, 5))
    values["target"] = torch.full((5,), -100)
    more = {"weight": torch.rand(4, dtype=torch.float64)} if weighted and name != "focal_cross_entropy" else {}
    assert F.cross_entropy(next(iter(values.values())), values["target"]).isnan()  # as torch has it
    for reduction in ("mean", "sum", "none"):
        found = getattr(wye.losses, name)(**values, **more, reduction=reduction)
        assert not found.any()
        assert not slopes(found, values)[0].any()


@pytest.mark.parametrize("name", ["cross_entropy", "nll"])
@pytest.mark.parametrize("settings", [{}, {"label_smoothing": 0.25}])
def test_weights_that_sum_to_0_cost_nothing(name: str, settings: dict[str, float]) -> None:
    """Facts: class weights that sum to 0 make the mean NaN in torch."""
    settings = settings if name == "cross_entropy" else {}
    values, weight = attached(given(name, 5)), torch.zeros(4, dtype=torch.float64)
    assert F.nll_loss(next(iter(values.values())), values["target"], weight).isnan()  # as torch has it
    found = getattr(wye.losses, name)(**values, weight=weight, **settings)
    assert found == 0
    assert not slopes(found, values)[0].any()
    weight[1] = 1  # of targets 0 and 2 alone it sums to 0 still
    values["target"] = torch.tensor([0, 2, 0, 2, -100])
    found = getattr(wye.losses, name)(**values, weight=weight, **settings)
    assert found == 0
    assert not slopes(found, values)[0].any()


def test_what_is_left_out_poisons_nothing() -> None:
    for name in ("cross_entropy", "nll", "focal_cross_entropy"):
        values = given(name, 4)
        first = next(iter(values))
        values["target"][1] = -100
        wanted = getattr(wye.losses, name)(**{key: value[[0, 2, 3]] for key, value in values.items()})
        values[first][1] = math.nan
        found = getattr(wye.losses, name)(**attached(values))
        assert torch.allclose(found, wanted)
        slope = slopes(found, values)[0]
        assert slope[[0, 2, 3]].isfinite().all()
        if name == "nll":
            assert not slope[1].any()


def test_two_means_of_weighted_losses_have_two_names() -> None:
    """Facts: mean(w l) and Σ w l / Σ w differ. Class weights give the second; the first is written out."""
    values, weight = given("cross_entropy", 5), torch.tensor([0.5, 2.0, 0.0, 1.0], dtype=torch.float64)
    rows = F.cross_entropy(values["logits"], values["target"], reduction="none")
    share = weight[values["target"]]
    assert torch.allclose(wye.losses.cross_entropy(**values, weight=weight), (share * rows).sum() / share.sum())
    text = "mean(w[y[b]] * cross_entropy(x[b, k], y[b], reduction='none'))"
    found = wye.evaluate(text, x=values["logits"], y=values["target"], w=weight)
    assert torch.allclose(found, (share * rows).mean())
    assert not torch.allclose((share * rows).mean(), (share * rows).sum() / share.sum())


# large, and of few bits


@pytest.mark.parametrize("name", LOGITS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF])
def test_large_logits_cost_what_they_cost(name: str, dtype: torch.dtype) -> None:
    logits = torch.tensor([[1e4, -1e4, 0, 1], [-1e4, 1e4, 1e4, -1e4]]).to(dtype).requires_grad_()
    target = (
        torch.tensor([1, 3]) if "cross_entropy" in name and "binary" not in name else torch.tensor([[1, 0, 1, 0]] * 2)
    )
    for settings in ({}, {"gamma": 0.5} if "focal" in name else {}):
        rows = getattr(wye.losses, name)(logits, target, reduction="none", **settings)
        assert rows.isfinite().all()
        assert rows.max() >= 9_900
        assert torch.autograd.grad(rows.sum(), logits)[0].isfinite().all()
    assert getattr(wye.losses, name)(logits, target).isfinite()


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("name", SAMPLES)
def test_floats_of_16_bits_are_computed_with_in_32(name: str, reduction: str, dtype: torch.dtype) -> None:
    """The result is that of the same values in float32, rounded once."""
    values = given(name, 300, dtype)
    wide = {key: value.float() if value.is_floating_point() else value for key, value in values.items()}
    found = getattr(wye.losses, name)(**attached(values), reduction=reduction)
    wanted = getattr(wye.losses, name)(**wide, reduction=reduction)
    assert found.dtype == dtype
    assert torch.equal(found, wanted.to(dtype))
    assert all(slope.dtype == dtype and slope.isfinite().all() for slope in slopes(found, values))


def test_logits_of_16_bits_are_not_off_by_what_their_sum_is() -> None:
    """Facts: logits in bfloat16 are off by 0.39 at a scale of 100; sums are to be made in float32."""
    logits = torch.tensor([[100.25, 99.75, 100.0]])
    exact = F.cross_entropy(logits.bfloat16().float(), torch.tensor([1]))
    found = wye.losses.cross_entropy(logits.bfloat16(), torch.tensor([1]))
    assert found == exact.bfloat16()
    total = logits.bfloat16().logsumexp(-1)  # in bfloat16 one step at 100 is 0.5
    assert abs(total - logits.bfloat16()[0, 1] - exact) > 0.05


def test_a_mean_of_many_in_16_bits_does_not_overflow() -> None:
    pred = torch.full((70_000,), 2.0, dtype=torch.float16)
    for name in ELEMENTWISE:
        found = getattr(wye.losses, name)(pred, torch.zeros_like(pred))
        wanted = getattr(wye.losses, name)(torch.tensor([2.0]), torch.tensor([0.0]))
        assert found.dtype == torch.float16
        assert found == wanted.half()


@pytest.mark.parametrize("name", [*ELEMENTWISE, "hinge"])
def test_bytes_do_not_wrap(name: str) -> None:
    """Facts: uint8 arithmetic wraps in torch: 200 times 2 is 144."""
    label = name == "hinge"
    pred = torch.tensor([200, 100, 7], dtype=torch.uint8)
    other = torch.tensor([1, 1, 1] if label else [255, 90, 7], dtype=torch.uint8)
    loss = getattr(wye.losses, name)
    assert torch.equal(loss(pred, other), loss(pred.float(), other.float()))
    assert torch.equal(loss(pred.float(), other), loss(pred.float(), other.float()))
    assert (pred * 2)[0] == 144  # as torch has it


# rows of zeros, and kinks


@pytest.mark.parametrize("name", ["cosine_embedding", "triplet", "triplet_cosine", "pair", "pair_margin"])
@pytest.mark.parametrize("which", ["first", "all"])
def test_rows_of_zeros_have_finite_gradients(name: str, which: str) -> None:
    values = given(name, 6)
    for place, value in enumerate(values.values()):
        if value.is_floating_point() and (which == "all" or place == 0):
            value[:4] = 0
    found = getattr(wye.losses, name)(**attached(values), reduction="none")
    assert found.isfinite().all()
    assert all(slope.isfinite().all() and slope.abs().max() < 10 for slope in slopes(found, values))


@pytest.mark.parametrize("name", [*ELEMENTWISE, "kl_divergence", "js_divergence", *REGIONS])
def test_what_is_met_exactly_has_finite_gradients(name: str) -> None:
    values = given(name, 6)
    first, second = values
    if not name.endswith("divergence"):
        values[second] = values[first].detach().clone()
    else:
        values[second][:, 0] = 0
    found = getattr(wye.losses, name)(**attached(values), reduction="none")
    assert found.isfinite().all()
    assert all(slope.isfinite().all() for slope in slopes(found, values))


def test_no_rate_and_no_variance() -> None:
    zeros = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    for found in (
        wye.losses.poisson_nll(zeros, torch.tensor([0.0, 1, 5]), log_input=False, full=True),
        wye.losses.gaussian_nll(zeros, torch.ones(3), zeros),
        wye.losses.gaussian_nll(torch.ones(3), torch.ones(3), zeros - 1),
    ):
        assert found.isfinite()
        assert torch.autograd.grad(found, zeros)[0].isfinite().all()


# shapes and ids


@pytest.mark.parametrize("name", SAMPLES)
def test_nothing_is_broadcast_in_silence(name: str) -> None:
    values = given(name, 5)
    first, second = list(values)[:2]
    changed: list[dict[str, Any]] = [
        {second: values[second][:1]},
        {second: values[second][..., None]},
        {first: values[first][:3]},
        {first: values[first][0]},
        {last: values[last][:4] for last in (list(values)[-1],)},
    ]
    for change in changed:
        with pytest.raises(wye.ShapeError) as told:
            getattr(wye.losses, name)(**{**values, **change})
        assert told.value.fix
    column = given(name, 5)
    column[second] = column[second][:, :1] if column[second].dim() > 1 else column[second][:, None]
    with pytest.raises(wye.ShapeError):
        getattr(wye.losses, name)(**column)


@pytest.mark.parametrize("name", ["poisson_nll", "gaussian_nll", "kl_divergence", "hinge"])
def test_where_torch_broadcasts_in_silence(name: str) -> None:
    """Facts: in poisson_nll, gaussian_nll, kl_div and hinge_embedding a column beside a row is a square, in silence."""
    column, row = torch.rand(4, 1) + 0.1, torch.ones(4)
    others = {
        "poisson_nll": lambda: F.poisson_nll_loss(column, row, reduction="none"),
        "gaussian_nll": lambda: F.gaussian_nll_loss(column, row.expand(4, 4), column, reduction="none"),
        "kl_divergence": lambda: F.kl_div(column, row, reduction="none"),
        "hinge": lambda: F.hinge_embedding_loss(column, row, reduction="none"),
    }
    assert others[name]().shape == (4, 4)
    more = (row,) if name == "gaussian_nll" else ()
    with pytest.raises(wye.ShapeError):
        getattr(wye.losses, name)(column, row, *more)


@pytest.mark.parametrize("name", ["cross_entropy", "nll", "focal_cross_entropy"])
@pytest.mark.parametrize("wrong", [-1, 4, 255])
@pytest.mark.parametrize("weighted", [False, True])
def test_ids_out_of_range_are_refused(name: str, wrong: int, weighted: bool) -> None:
    values = given(name, 5)
    more = {"weight": torch.ones(4, dtype=torch.float64)} if weighted and name != "focal_cross_entropy" else {}
    values["target"][2] = wrong
    with pytest.raises(wye.RangeError, match=str(wrong)):
        getattr(wye.losses, name)(**values, **more)
    with pytest.raises(wye.RangeError, match=str(wrong)):
        getattr(wye.losses, name)(**{key: value.numpy() for key, value in {**values, **more}.items()})
    assert getattr(wye.losses, name)(**values, **more, ignore_index=wrong).isfinite()


@pytest.mark.parametrize("name", ["nll", "focal_cross_entropy"])
def test_ids_are_whole_numbers_of_any_width(name: str) -> None:
    values = given(name, 5)
    wanted = getattr(wye.losses, name)(**values)
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32):
        assert getattr(wye.losses, name)(**{**values, "target": values["target"].to(dtype)}) == wanted
    for dtype in (torch.float32, torch.bool):
        with pytest.raises(wye.ShapeError, match="class ids are whole numbers"):
            getattr(wye.losses, name)(**{**values, "target": values["target"].to(dtype)})


@pytest.mark.parametrize("name", ["hinge", "squared_hinge", "margin_ranking", "cosine_embedding"])
def test_labels_that_are_no_signs(name: str) -> None:
    values = given(name, 5)
    label = values["label"]
    for wrong in (0, 2, -2):
        label = label.clone()
        label.view(-1)[-1] = wrong
        for dtype in (torch.int64, torch.int8, torch.float32):
            with pytest.raises(wye.RangeError, match="labels are 1 and -1"):
                getattr(wye.losses, name)(**{**values, "label": label.to(dtype)})
        with pytest.raises(wye.RangeError):
            getattr(wye.losses, name)(**{**SAMPLES[name](5), "label": label.numpy()})
    torch._dynamo.reset()  # what other tests captured counts against a limit
    run = torch.compile(wye.Join(f"{name}({', '.join(values)}, reduction='none')"), backend="eager", fullgraph=True)
    found = run(**{**values, "label": label})
    assert found.flatten().isnan().tolist() == [False] * (found.numel() - 1) + [True]
