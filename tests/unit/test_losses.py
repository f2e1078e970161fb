"""The named losses as functions, on torch tensors and NumPy arrays."""

from __future__ import annotations

import doctest
import inspect
import pickle
import re
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import wye
from tests.unit.loss_samples import SAMPLES
from tests.unit.plain_pairs import plain
from wye.formula.functions import FUNCTIONS
from wye.formula.losses import NAMED

MARGINS = {"pair": 0.1, "pair_margin": 0.2}
LABEL = [1, 0, 1, 0, 0, 1, 1]


def values(count: int = 7) -> tuple[Tensor, Tensor]:
    a, b = (torch.randn(count, 3, dtype=torch.float64) for _ in range(2))
    return a.requires_grad_(), b.requires_grad_()


def close(found: Any, wanted: Any) -> bool:
    return torch.allclose(torch.as_tensor(found), torch.as_tensor(wanted, dtype=torch.float64), rtol=1e-13, atol=1e-13)


# pairs


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.uint8, torch.int32])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weights", [None, (0.7, 0.3)])
@pytest.mark.parametrize("name", MARGINS)
def test_pairs_are_as_a_plain_loop_has_them(name: str, weights: Any, reduction: str, dtype: torch.dtype) -> None:
    a, b = values()
    losses, in_a, in_b = plain(name, a.tolist(), b.tolist(), LABEL, MARGINS[name], weights or (1, 1))
    label = torch.tensor(LABEL).to(dtype)
    found = getattr(wye.losses, name)(a, b, label, label_weights=weights, reduction=reduction)
    share = 1 / 7 if reduction == "mean" else 1
    assert close(found, losses if reduction == "none" else share * sum(losses))
    first, second = torch.autograd.grad(found.sum(), (a, b))
    assert close(first, share * torch.tensor(in_a, dtype=torch.float64))
    assert close(second, share * torch.tensor(in_b, dtype=torch.float64))
    written = "" if weights is None else f", label_weights={weights}"
    named = f"{name}(a[i, k], b[i, k], label[i]{written}, reduction='{reduction}')"
    assert close(wye.evaluate(named, a=a, b=b, label=label), found.detach())


@pytest.mark.parametrize("name", MARGINS)
def test_margins_are_those_written(name: str) -> None:
    a, b = values()
    for margin in (0, 1, 0.75, -0.5, np.float64(0.25)):
        losses, _, _ = plain(name, a.tolist(), b.tolist(), LABEL, float(margin), (3, 0.5))
        found = getattr(wye.losses, name)(a, b, torch.tensor(LABEL), margin, [3, 0.5], "none")
        assert close(found, losses)


@pytest.mark.parametrize("name", MARGINS)
def test_every_row_may_meet_every_other(name: str) -> None:
    a, b = (value.detach() for value in values())
    label = torch.eye(7, dtype=torch.int64)
    found = wye.evaluate(f"{name}(a[i, k], b[j, k], label[i, j], reduction='none')", a=a, b=b, label=label)
    for place in range(7):
        losses, _, _ = plain(name, a[place].expand(7, 3).tolist(), b.tolist(), label[place].tolist(), MARGINS[name])
        assert close(found[place], losses)
    turned = wye.evaluate(f"{name}(a[i, k], b[j, k], label[j, i], reduction='none')", a=a, b=b, label=label)
    assert close(turned, found.T)


def test_the_losses_lie_as_what_is_written_first() -> None:
    a, b = (value.detach()[:6].view(2, 3, 3) for value in values())
    label = torch.tensor(LABEL[:6]).view(2, 3)
    found = wye.evaluate("pair(a[i, j, k], b[i, j, k], label[j, i], reduction='none')", a=a, b=b, label=label.T)
    assert close(found, wye.losses.pair(a, b, label, reduction="none"))


def test_of_no_pairs_the_mean_is_nothing_and_of_one_it_is_that() -> None:
    a, b = values()
    label = torch.tensor(LABEL)
    empty = wye.losses.pair(a[:0], b[:0], label[:0])
    assert empty == 0
    assert not torch.autograd.grad(empty, a)[0].any()
    assert close(wye.losses.pair(a[0], b[0], label[0]), plain("pair", [a[0].tolist()], [b[0].tolist()], [1], 0.1)[0][0])
    deep = wye.losses.pair_margin(a[:6].view(2, 3, 3), b[:6].view(2, 3, 3), label[:6].view(2, 3), reduction="none")
    assert close(deep.flatten(), plain("pair_margin", a[:6].tolist(), b[:6].tolist(), LABEL[:6], 0.2)[0])


def test_the_dtype_is_that_of_the_floats() -> None:
    a, b = values()
    label = torch.tensor(LABEL)
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        for reduction in ("mean", "none"):
            found = wye.losses.pair(a.to(dtype), b.to(dtype), label, label_weights=(0.7, 0.3), reduction=reduction)
            assert found.dtype == dtype
    assert wye.losses.pair(a.float(), b, label).dtype == torch.float64


def test_the_label_of_a_join_may_be_whole_or_true() -> None:
    a, b = values()
    losses, _, _ = plain("pair", a.tolist(), b.tolist(), LABEL, 0.1)
    join = wye.Join("pair(a, b, label)")
    assert close(join(a, b, torch.tensor(LABEL)), sum(losses) / 7)
    assert close(join(a, b, torch.tensor(LABEL).bool()), sum(losses) / 7)
    objective = wye.Objective("pair(a, b, label, label_weights=(0.7, 0.3)) + mse(a, b)")
    total, terms = objective(a=a, b=b, label=torch.tensor(LABEL))
    assert list(terms) == ["pair(a, b, label, label_weights=(0.7, 0.3))", "mse(a, b)"]
    losses, _, _ = plain("pair", a.tolist(), b.tolist(), LABEL, 0.1, (0.7, 0.3))
    assert close(total, sum(losses) / 7 + F.mse_loss(a, b).detach())


def test_in_a_condition_each_sample_is_a_pair() -> None:
    a, b = (value.detach().float() for value in values())
    losses, _, _ = plain("pair_margin", a.tolist(), b.tolist(), LABEL, 0.2)
    net = wye.When("pair_margin(x, other, label) > 0.3", nn.Linear(3, 3))
    moved = (net(a, other=b, label=torch.tensor(LABEL)) != a).any(1)
    assert moved.tolist() == [loss > 0.3 for loss in losses]
    assert 0 < sum(moved) < 7


# labels that are none


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_labels_of_floats_are_refused(dtype: torch.dtype) -> None:
    a, b = values()
    with pytest.raises(wye.ShapeError, match=r"whole numbers or truth values(.|\n)*\^(.|\n)*got: b?float"):
        wye.losses.pair(a, b, torch.tensor(LABEL).to(dtype))
    with pytest.raises(wye.ShapeError, match="got: complex64"):
        wye.Join("pair(a, b, label)")(a, b, torch.tensor(LABEL).to(torch.complex64))


@pytest.mark.parametrize("name", MARGINS)
@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.uint8])
def test_labels_other_than_0_and_1_are_refused(name: str, dtype: torch.dtype) -> None:
    a, b = values()
    for wrong in (2, 16, 127, *(() if dtype == torch.uint8 else (-1, -128))):
        label = torch.tensor([*LABEL[:-1], wrong]).to(dtype)
        with pytest.raises(wye.RangeError, match=f"{min(wrong, 0)} to {max(wrong, 1)}"):
            getattr(wye.losses, name)(a, b, label)


def test_where_nobody_can_look_their_loss_is_nan() -> None:
    a, b = values()
    label = torch.tensor([*LABEL[:-1], 2])
    run = torch.compile(wye.Join("pair(a, b, label, reduction='none')"), backend="eager", fullgraph=True)
    found = run(a, b, label)
    assert found.isnan().tolist() == [False] * 6 + [True]
    assert close(found[:6], plain("pair", a[:6].tolist(), b[:6].tolist(), LABEL[:6], 0.1)[0])
    assert wye.losses.pair(a.to("meta"), b.to("meta"), label.to("meta"), reduction="none").shape == (7,)
    each = torch.func.vmap(lambda a, b, label: wye.losses.pair(a, b, label, reduction="none"))
    assert torch.equal(each(a[None], b[None], label[None])[0].isnan(), found.isnan())


# the others, and what all have


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_the_others_are_those_of_torch(reduction: str) -> None:
    a, b = values()
    assert close(wye.losses.mse(a, b, reduction).detach(), F.mse_loss(a, b, reduction=reduction).detach())
    ids, settings = torch.tensor([0, 2, 1, 1, 0, 2, 2]), {"ignore_index": 1, "label_smoothing": 0.125}
    found = wye.losses.cross_entropy(a, ids, reduction=reduction, **settings)
    assert close(found.detach(), F.cross_entropy(a, ids, reduction=reduction, **settings).detach())


def test_arrays_are_computed_in_numpy() -> None:
    a, b = (value.detach().numpy() for value in values())
    found = wye.losses.pair(a, b, np.array(LABEL), label_weights=(0.7, 0.3), reduction="none")
    assert isinstance(found, np.ndarray)
    assert close(found, plain("pair", a, b, LABEL, 0.1, (0.7, 0.3))[0])


def test_their_signatures_are_those_in_formulas() -> None:
    losses = [name for name, function in FUNCTIONS.items() if function.kind == "loss"]
    assert sorted([*losses, "show"]) == sorted(wye.losses.__all__)
    for name in losses:
        signature, function = inspect.signature(getattr(wye.losses, name)), FUNCTIONS[name]
        expected = {**dict.fromkeys(function.values, inspect.Parameter.empty), **function.options}
        found = {key: one.default for key, one in signature.parameters.items()}
        assert found == {**expected, **dict.fromkeys(function.extra)}
        in_formulas = re.sub(r"=[^,)]*", "", function.signature.replace("*axes, ", ""))
        assert set(in_formulas[len(name) + 1 : -1].split(", ")) == set(signature.parameters)


def test_what_does_not_fit_is_told_as_in_a_formula() -> None:
    a, b = values()
    with pytest.raises(wye.ShapeError) as told:
        wye.losses.pair(a, b, torch.tensor(LABEL)[:, None], margin=-0.5)
    assert str(told.value).splitlines() == [
        "the label is shaped like the values without their last axis.",
        "  in:  pair(a, b, label, margin=-0.5)",
        "       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
        "  got: a (7, 3), b (7, 3), label (7, 1)",
        "  fix: name the axes: pair(a[k, d], b[k, d], label[k, 0])",
    ]
    fixed = "pair(a[k, d], b[k, d], label[k, 0], margin=-0.5)"
    found = wye.evaluate(fixed, a=a, b=b, label=torch.tensor(LABEL)[:, None])
    assert close(found.detach(), sum(plain("pair", a.tolist(), b.tolist(), LABEL, -0.5)[0]) / 7)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"margin": "wide"}, "takes a number for `margin`"),
        ({"margin": float("inf")}, "takes a constant for `margin`"),
        ({"margin": True}, "`margin` is a constant.(.|\n)*got: bool"),
        ({"margin": torch.ones(())}, "`margin` is a constant.(.|\n)*got: Tensor"),
        ({"label_weights": (1, 2, 3)}, "takes two numbers that are not negative"),
        ({"label_weights": (1, -2)}, "takes two numbers that are not negative"),
        ({"label_weights": 0.5}, "takes two numbers that are not negative"),
        ({"label_weights": (1, float("nan"))}, "takes a constant for `label_weights`"),
        ({"label_weights": np.ones(2)}, "`label_weights` is a constant"),
        ({"reduction": "average"}, "takes 'mean' or 'sum' or 'none'"),
        ({"reduction": 'av"'}, "takes 'mean' or 'sum' or 'none'"),
    ],
)
def test_settings_are_constants(settings: dict[str, Any], told: str) -> None:
    a, b = values()
    with pytest.raises(wye.WyeError, match=told):
        wye.losses.pair(a, b, torch.tensor(LABEL), **settings)


OUTSIDE = [
    ("cross_entropy", {"label_smoothing": 1.5}),
    ("focal", {"gamma": -1}),
    ("focal", {"alpha": 2}),
    ("huber", {"delta": 0}),
    ("smooth_l1", {"beta": -1}),
    ("quantile", {"q": 1.5}),
    ("gaussian_nll", {"eps": 0}),
    ("dice", {"smooth": -1}),
    ("tversky", {"alpha": -0.5}),
]


@pytest.mark.parametrize(("name", "settings"), OUTSIDE, ids=str)
def test_settings_are_in_their_range_in_numpy_too(name: str, settings: dict[str, Any]) -> None:
    arrays = SAMPLES[name](4)
    loss, (key,) = getattr(wye.losses, name), settings
    for given in (arrays, {name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}):
        with pytest.raises(wye.FormulaError, match=f"`{key}`"):
            loss(**given, **settings)


@pytest.mark.parametrize(("name", "key"), [("mse", "reduction"), ("cross_entropy", "ignore_index")])
def test_none_is_no_setting_where_there_is_another(name: str, key: str) -> None:
    """Elsewhere `reduction=None` means "none"; here it would have been the mean."""
    values = {name: torch.from_numpy(np.array(value)) for name, value in SAMPLES[name](4).items()}
    with pytest.raises(wye.InputError, match=f"`{key}` is a constant"):
        getattr(wye.losses, name)(**values, **{key: None})
    assert wye.losses.focal(torch.ones(2), torch.ones(2), alpha=None).isfinite()


# what is told of them


@pytest.mark.parametrize("name", NAMED)
def test_each_goes_into_a_pickle(name: str) -> None:
    loss = getattr(wye.losses, name)
    assert pickle.loads(pickle.dumps(loss)) is loss
    assert pickle.loads(pickle.dumps(partial(loss, reduction="sum"))).func is loss


@pytest.mark.parametrize("name", NAMED)
def test_the_example_of_each_runs(name: str) -> None:
    loss = getattr(wye.losses, name)
    example = doctest.DocTestParser().get_doctest(loss.__doc__, {}, name, None, None)
    result = doctest.DocTestRunner().run(example)
    assert result.attempted >= 2
    assert result.failed == 0
    for part in ("Args:", "Returns:", "Raises:", "Source:", NAMED[name].mathematics):
        assert part in loss.__doc__


@pytest.mark.parametrize("name", NAMED)
def test_show_tells_all_of_it(name: str) -> None:
    told, loss = wye.losses.show(name), NAMED[name]
    lines = loss.text().split("\n") if loss.lines else []  # those over graphs have no formula
    for part in (loss.title, loss.mathematics, loss.source, *lines, *loss.arguments, *loss.options):
        assert part in told


def test_show_of_no_loss() -> None:
    with pytest.raises(wye.InputError, match="did you mean `huber`"):
        wye.losses.show("hubert")
