"""The formulas of the contrastive losses, as `wye.losses.show` prints them: what loops have, and what kernels have.

Three of each loss are compared, for every way to say which rows belong together: the formula, by the reference and by
torch; the kernel of torch, at once and in tiles, gradients too; and a loop over numbers of Python.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor

import wye
from tests.unit.plain_contrasts import plain
from tests.unit.torch.tiles.cases import CASES, in_tiles, loss, values
from wye.formula.losses import NAMED

FORMS = {"at once": nullcontext, "in tiles": lambda: in_tiles(3)}


def by_loop(case: str, given: dict[str, Tensor], reduction: str, normalize: bool = True) -> Any:
    name, target = CASES[case]
    told = {role: value.tolist() for role, value in {**given, **target}.items()}
    sides = [told.pop(role) for role in ("a", "query", "x", "b", "key") if role in told]
    rows, kept = plain(name, sides[0], sides[-1], **told, normalize=normalize)
    return {"none": rows, "sum": sum(rows), "mean": sum(rows) / max(kept, 1)}[reduction]


def close(found: Any, wanted: Any) -> None:
    torch.testing.assert_close(
        torch.as_tensor(found), torch.as_tensor(wanted, dtype=torch.float64), rtol=1e-11, atol=1e-11
    )


def of_samples(name: str, found: Any, reduction: str) -> Any:
    """The formula of `nt_xent` has an entry for each view; a sample has the mean of its two."""
    if name != "nt_xent" or reduction == "mean":
        return found
    return found / 2 if reduction == "sum" else (found[: len(found) // 2] + found[len(found) // 2 :]) / 2


def written(case: str, reduction: str, normalize: bool) -> str:
    name, target = CASES[case]
    return NAMED[name].text({"reduction": reduction, "normalize": normalize}, tuple(target))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_formula_kernel_and_loop_are_one(case: str, normalize: bool, reduction: str) -> None:
    given, text = values(case), written(case, reduction, normalize)
    name, target = CASES[case]
    wanted = by_loop(case, given, reduction, normalize)
    arrays = {role: value.detach().numpy() for role, value in {**given, **target}.items()}
    close(of_samples(name, wye.evaluate(text, **arrays), reduction), wanted)
    options = {"reduction": reduction, "normalize": normalize}
    close(getattr(wye.losses, name)(**arrays, **options), wanted)
    told = of_samples(name, wye.evaluate(text, **given, **target), reduction)
    close(told.detach(), wanted)
    weights = torch.linspace(1, 2, told.numel(), dtype=told.dtype).reshape(told.shape)
    slopes = torch.autograd.grad((told * weights).sum(), list(given.values()))
    for form in FORMS.values():
        with form():
            found = loss(case, given, **options)
        close(found.detach(), wanted)
        for one, other in zip(torch.autograd.grad((found * weights).sum(), list(given.values())), slopes, strict=True):
            close(one, other)


@pytest.mark.parametrize("case", CASES)
def test_show_prints_that_formula(case: str) -> None:
    name, target = CASES[case]
    told = wye.losses.show(name).split("\n\n")
    heads = {"": told[2], **{told[place - 1]: told[place] for place in range(1, len(told))}}
    extra = [role for role in target if role in NAMED[name].extra]
    shown = heads[f"with {' and '.join(extra)}:" if extra else ""]
    lines = [line.removeprefix("    ") for line in shown.split("\n")]
    assert "\n".join(lines) == written(case, "mean", True)


@pytest.mark.parametrize("case", ["info_nce", "info_nce by label", "info_nce soft"])
def test_formulas_hold_where_there_is_nothing(case: str) -> None:
    """Rows of zeros and no rows, and no keys of a label: the formula says there what kernels do."""
    given, (name, target) = values(case), CASES[case]
    given = {role: value.detach() for role, value in given.items()}
    given["query"][0] = 0
    given["key"][[1, 2]] = 0
    for rows, columns in ((7, 11), (0, 11), (0, 0), *(((7, 0),) if "label" in target else ())):
        few = {"query": given["query"][:rows], "key": given["key"][:columns], "temperature": given["temperature"]}
        told = {role: value[:rows] if role == "label" else value[:columns] for role, value in target.items()}
        if "target" in told:
            told["target"] = target["target"][:rows, :columns]
        sides = few["query"].tolist(), few["key"].tolist()
        rows_of, kept = plain(name, *sides, 0.3, **{role: value.tolist() for role, value in told.items()})
        wanted = sum(rows_of) / max(kept, 1)
        close(getattr(wye.losses, name)(**few, **told), wanted)
        arrays = {role: value.numpy() for role, value in {**few, **told}.items()}
        close(wye.evaluate(written(case, "mean", True), **arrays), wanted)
