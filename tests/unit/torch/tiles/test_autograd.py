"""Contrastive losses under autograd and torch's transforms: whatever is asked of them is right, or refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

import wye
from tests.unit.torch.tiles.cases import CASES, SQUARE, in_tiles, loss, value_and_slopes, values

FORMS: dict[str, Callable[[], Any]] = {"at once": nullcontext, "in tiles": lambda: in_tiles(3)}
every_case = pytest.mark.parametrize("case", CASES)
every_form = pytest.mark.parametrize("form", FORMS)
every_reduction = pytest.mark.parametrize("reduction", ["mean", "none"])


def weighted(found: Tensor) -> Tensor:
    return (found * torch.linspace(1, 2, found.numel(), dtype=found.dtype).reshape(found.shape)).sum()


def same(found: Any, expected: Any, tolerance: float = 1e-11) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@every_case
@every_form
@every_reduction
def test_each_value_may_be_the_only_one_that_learns(case: str, form: str, reduction: str) -> None:
    given = values(case)
    expected = value_and_slopes(case, given, reduction=reduction)[1:]
    for (role, value), slope in zip(given.items(), expected, strict=True):
        others = {one: other if one == role else other.detach() for one, other in given.items()}
        with FORMS[form]():
            found = loss(case, others, reduction=reduction)
        same(torch.autograd.grad(weighted(found), value), [slope])


@every_case
@every_form
@every_reduction
def test_strides_do_not_matter_and_a_graph_that_is_kept_gives_the_same_again(
    case: str, form: str, reduction: str
) -> None:
    given = values(case)
    expected = value_and_slopes(case, given, reduction=reduction)[1:]
    turned = {
        role: torch.stack([value, value], 2).mT.contiguous().mT[..., 0] if value.dim() else value
        for role, value in given.items()
    }
    with FORMS[form]():
        total = weighted(loss(case, turned, reduction=reduction))
    for _ in range(2):
        same(torch.autograd.grad(total, list(given.values()), retain_graph=True), expected)


def slopes_unless_refused(total: Tensor, given: dict[str, Tensor]) -> Any:
    try:
        return torch.autograd.grad(total, list(given.values()), retain_graph=True)
    except RuntimeError as error:
        if "modified by an inplace operation" not in str(error):
            raise
        return None


@every_case
@every_form
@every_reduction
@pytest.mark.parametrize("normalize", [True, False])
def test_what_changes_before_the_backward_changes_no_gradient_or_is_refused(
    case: str, form: str, reduction: str, normalize: bool
) -> None:
    """As where a queue of keys takes new ones in, or a step of the optimizer comes between."""
    given = values(case)
    with FORMS[form]():
        total = weighted(loss(case, given, reduction=reduction, normalize=normalize))
        expected = torch.autograd.grad(total, list(given.values()), retain_graph=True)
        for value in given.values():
            with torch.no_grad():
                value.add_(1)
            found = slopes_unless_refused(total, given)
            if found is None:
                assert reduction == "none"
            else:
                same(found, expected)


@every_form
@pytest.mark.parametrize("name", ["info_nce", "clip_loss", "siglip_loss"])
def test_weights_of_pairs_that_change_are_refused(name: str, form: str) -> None:
    given, target = values(name), SQUARE.clone()
    given |= {"key": given["key"][:7]} if name == "info_nce" else {}
    with FORMS[form]():
        total = getattr(wye.losses, name)(**given, target=target, reduction="none").sum()
        target.mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            total.backward()


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # which torch's forward mode uses
@every_case
@every_form
@pytest.mark.parametrize("attached", [False, True])
def test_forward_mode(case: str, form: str, attached: bool) -> None:
    given = values(case)
    slope = value_and_slopes(case, given)[1]
    role, rows = next(iter(given.items()))
    tangent = torch.linspace(-1, 1, rows.numel(), dtype=rows.dtype).reshape(rows.shape)
    with FORMS[form](), forward_ad.dual_level():
        both = forward_ad.make_dual(rows.detach().requires_grad_(attached), tangent)
        found = forward_ad.unpack_dual(loss(case, {**given, role: both})).tangent
    assert found is not None
    same([found.detach()], [(slope * tangent).sum()])


@every_case
@every_form
def test_gradients_to_be_differentiated_are_not_rounded_by_autocast(case: str, form: str) -> None:
    """Facts: logits in bfloat16 are off by 0.39 at a scale of 100."""
    given = values(case, torch.float32, 0.01)
    expected = value_and_slopes(case, given)[1:]
    with torch.autocast("cpu", torch.bfloat16), FORMS[form]():
        found = torch.autograd.grad(loss(case, given), list(given.values()), create_graph=True)
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= 1e-4 * other.norm()


@every_case
@pytest.mark.parametrize("grad", [False, True])
def test_tensors_without_numbers(case: str, grad: bool) -> None:
    name, target = CASES[case]
    given = {role: value.detach().to("meta").requires_grad_(grad) for role, value in values(case).items()}
    told = {role: value.to("meta") for role, value in target.items()}
    for reduction, shape in (("mean", ()), ("none", (7,))):
        found = getattr(wye.losses, name)(**given, **told, reduction=reduction)
        assert found.is_meta
        assert found.shape == shape


def test_many_labels_under_a_transform() -> None:
    """Sorting labels has no batch of its own: there all are compared, at any size."""
    x, label = torch.randn(2, 400, 4, dtype=torch.float64), torch.arange(800).reshape(2, 400) % 30
    found = torch.func.vmap(lambda x, label: wye.losses.sup_con(x, label, 0.5))(x, label)
    expected = [wye.losses.sup_con(one, own, 0.5) for one, own in zip(x, label, strict=True)]
    same(found, expected)


WHOLE = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16, torch.uint32, torch.uint64]


@pytest.mark.parametrize("dtype", WHOLE)
def test_labels_of_any_width_and_of_two(dtype: torch.dtype) -> None:
    given = {role: value.detach() for role, value in values("info_nce by label").items()}
    label, key_label = CASES["info_nce by label"][1].values()
    expected = wye.losses.info_nce(**given, label=label, key_label=key_label)
    for one in (dtype, torch.int64):
        found = wye.losses.info_nce(**given, label=label.to(dtype), key_label=key_label.to(one))
        torch.testing.assert_close(found, expected)
    if dtype.is_signed:  # an id below 0 is one like others
        below = wye.losses.info_nce(**given, label=label.to(dtype) - 100, key_label=key_label - 100)
        torch.testing.assert_close(below, expected)
