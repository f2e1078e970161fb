"""Contrastive losses under autograd and torch's transforms: whatever is asked of them is right, or refused."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor

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
