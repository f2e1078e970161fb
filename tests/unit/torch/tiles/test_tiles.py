"""The laws of contrastive losses, in tiles and at once.

- The values are those of NumPy, the gradients those of the plain form.
- Neither depends on the size of the tiles.
- Nothing of the size of all logits is in memory.
- Any scale is finite; sums are in float32 at least.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import wye
from benchmarks.memory import peak_memory
from tests.unit.torch.tiles.cases import CASES, SOFT, in_tiles, loss, value_and_slopes, values, written_out
from wye.torch.tiles import dense

FORMS: dict[str, Callable[[], Any]] = {"at once": nullcontext, "in tiles": lambda: in_tiles(3)}
OPTIONS: list[dict[str, Any]] = [
    {"reduction": one, "normalize": normalize} for one in ("mean", "sum", "none") for normalize in (True, False)
]
every_case = pytest.mark.parametrize("case", CASES)
every_form = pytest.mark.parametrize("form", FORMS)


def same(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@every_case
@every_form
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("normalize", [True, False])
def test_values_are_those_of_numpy_and_gradients_those_of_the_plain_form(
    case: str, form: str, reduction: str, normalize: bool
) -> None:
    """At a temperature that is low; at another one see `test_losses_written`."""
    temperature = 0.004
    given, options = values(case, temperature=temperature), {"reduction": reduction, "normalize": normalize}
    with FORMS[form]():
        found = value_and_slopes(case, given, **options)
    with written_out():
        expected = value_and_slopes(case, given, **options)
    name, target = CASES[case]
    arrays = {role: value.detach().numpy() for role, value in {**given, **target}.items()}
    oracle = torch.as_tensor(getattr(wye.losses, name)(**arrays, **options))
    torch.testing.assert_close(found[0], oracle, rtol=1e-10, atol=1e-10)
    same(found, expected, 1e-9 / temperature)


@every_case
@every_form
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_gradients_are_those_of_differences_twice(case: str, form: str, options: dict[str, Any]) -> None:
    """Of all arguments at once along drawn directions, and the gradients of these gradients.

    Facts: a gradient that is formed in the forward has no gradient of its own. It is computed anew, by the plain form.
    """
    given = values(case)

    def of_all(*inputs: Tensor) -> Tensor:
        return loss(case, dict(zip(given, inputs, strict=True)), **options)

    with FORMS[form]():
        assert torch.autograd.gradcheck(of_all, tuple(given.values()), fast_mode=True, rtol=1e-5, atol=1e-6)
        assert torch.autograd.gradgradcheck(of_all, tuple(given.values()), fast_mode=True, rtol=1e-5, atol=1e-6)


@every_case
@pytest.mark.parametrize("temperature", [0.3, 0.01, 1e-6])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_size_of_the_tiles_does_not_matter(case: str, temperature: float, options: dict[str, Any]) -> None:
    """Nor that there are any: in float32 each is within 1e-6 of its length."""
    given = values(case, torch.float32, temperature)
    expected = value_and_slopes(case, given, **options)
    for edge in (1, 3, 4, 16):
        with in_tiles(edge):
            found = value_and_slopes(case, given, **options)
        for one, other in zip(found, expected, strict=True):
            assert (one - other).norm() <= 1e-6 * other.norm()


MANY = 400
GROUPS = torch.arange(MANY) * 7 % 300
MANY_CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "info_nce": ("query key", {}),
    "info_nce by label": ("query key", {"label": GROUPS, "key_label": GROUPS.flip(0)}),
    "clip_loss": ("a b", {}),
    "clip_loss by label": ("a b", {"label": GROUPS}),
    "siglip_loss": ("a b", {"bias": -1.0}),
    "siglip_loss by label": ("a b", {"bias": -1.0, "label": GROUPS}),
    "nt_xent": ("a b", {}),
    "sup_con": ("x", {"label": GROUPS}),
}


@pytest.mark.parametrize("case", MANY_CASES)
def test_many_rows_are_in_tiles_and_as_the_plain_form_has_them(case: str) -> None:
    """Rows enough for tiles of their own accord, and labels too many to compare each with each; NumPy compares them."""
    roles, more = MANY_CASES[case]
    sides = [torch.randn(MANY, 6, dtype=torch.float64, requires_grad=True) for _ in roles.split()]
    given = dict(zip(roles.split(), sides, strict=True)) | more
    assert MANY * MANY > dense.FEW

    def made() -> list[Tensor]:
        found = getattr(wye.losses, case.split()[0])(**given, temperature=0.05)
        return [found.detach(), *torch.autograd.grad(found, sides)]

    found = made()
    with written_out():
        same(found, made(), 1e-11)
    arrays = {role: value.detach().numpy() if isinstance(value, Tensor) else value for role, value in given.items()}
    oracle = getattr(wye.losses, case.split()[0])(**arrays, temperature=0.05)
    torch.testing.assert_close(found[0], torch.as_tensor(oracle), rtol=1e-11, atol=1e-11)


@every_case
@every_form
def test_products_rounded_to_bfloat16_are_summed_in_float32(case: str, form: str) -> None:
    given = values(case, temperature=0.01)
    with FORMS[form]():
        found = value_and_slopes(case, given, multiply="bfloat16")
    name, target = CASES[case]
    arrays = {role: value.detach().numpy() for role, value in {**given, **target}.items()}
    oracle = torch.as_tensor(getattr(wye.losses, name)(**arrays, multiply="bfloat16"))
    torch.testing.assert_close(found[0], oracle, rtol=1e-9, atol=1e-9)
    exact = value_and_slopes(case, given)
    for one, other in zip(found[1:], exact[1:], strict=True):
        assert 0 < (one - other).norm() < 0.05 * other.norm()
    with in_tiles(1):
        one_by_one = value_and_slopes(case, given, multiply="bfloat16")
    with in_tiles(16):
        same(one_by_one, value_and_slopes(case, given, multiply="bfloat16"), 1e-9)
    for one, other in zip(found, one_by_one, strict=True):  # at once the positives are rounded too
        assert (one - other).norm() <= 2**-7 * other.norm()
    single = {role: value.detach().float().requires_grad_() for role, value in given.items()}
    with FORMS[form]():
        less = value_and_slopes(case, single, multiply="bfloat16")
    torch.testing.assert_close(less[0].double(), found[0], rtol=2e-3, atol=2e-2)


@every_case
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rows_of_16_bits_are_computed_in_float32(case: str, dtype: torch.dtype) -> None:
    """Facts: logits in bf16 are off by 0.39 at scale 100."""
    given = values(case, dtype, 0.01)
    found = value_and_slopes(case, given)
    assert found[0].dtype is dtype
    wide = {role: value.detach().float().requires_grad_() for role, value in given.items()}
    expected = value_and_slopes(case, wide)
    torch.testing.assert_close(found[0], expected[0].to(dtype), rtol=0.0, atol=0.0)
    for one, other in zip(found[1:], expected[1:], strict=True):
        torch.testing.assert_close(one.float(), other, rtol=2e-2, atol=2e-2 * float(other.abs().max()))


def test_autocast_leaves_products_as_they_are() -> None:
    given = values("clip_loss", torch.float32, 0.01)
    with torch.autocast("cpu", torch.bfloat16):
        for form in FORMS.values():
            with form():
                found = value_and_slopes("clip_loss", given)
    same(found, value_and_slopes("clip_loss", given), 1e-4)


@pytest.mark.parametrize("temperature", [1.0, 0.03, 0.02, 0.0125, 0.01, 0.001])
def test_any_scale_is_finite_and_right(temperature: float) -> None:
    """Facts: a fixed shift overflows where twice the scale is 80 or more."""
    generator = torch.Generator().manual_seed(1)
    a = torch.randn(600, 8, generator=generator)
    rows = torch.cat([a, -a[:1]]).requires_grad_()
    others = torch.cat([-a, a[:1]]).requires_grad_()  # each far from the row it belongs to: logits of ±scale
    wide = [side.detach().double().requires_grad_() for side in (rows, others)]
    found = wye.losses.clip_loss(rows, others, temperature)
    x, y = (F.normalize(side) for side in wide)
    logits, place = x @ y.T / temperature, torch.arange(601)
    expected = (F.cross_entropy(logits, place) + F.cross_entropy(logits.T, place)) / 2
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
    for one, other in zip(torch.autograd.grad(found, (rows, others)), torch.autograd.grad(expected, wide), strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-3, atol=1e-4 * float(other.abs().max()))


@pytest.mark.parametrize("name", ["info_nce", "clip_loss", "siglip_loss", "nt_xent", "sup_con"])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_no_logits_of_all_pairs_are_in_memory(name: str, reduction: str) -> None:
    """Facts: tiles need no N×N matrix; the NTXentLoss of pytorch-metric-learning takes memory for M³ of its pairs."""
    count = 3000
    a, b = (torch.randn(count, 16, requires_grad=True) for _ in range(2))
    given: dict[str, Any] = {"a": a, "b": b, "temperature": 0.1}
    if name == "info_nce":
        given = {"query": a, "key": b, "temperature": 0.1}
    elif name == "sup_con":
        given = {"x": a, "label": torch.arange(count) // 2, "temperature": 0.1}
    elif name == "siglip_loss":
        given["bias"] = -10.0

    def run() -> None:
        getattr(wye.losses, name)(**given, reduction=reduction).sum().backward()

    def clear() -> None:
        a.grad = b.grad = None

    run()
    assert peak_memory(run, clear) < 4 * count * count / 4  # all logits are 36 MB; few tiles, and rows, are not


def test_only_the_gradients_that_are_wanted() -> None:
    for form in FORMS.values():
        given = values("info_nce")
        given["key"] = given["key"].detach()
        with form():
            loss("info_nce", given).backward()
        assert given["key"].grad is None
        assert given["query"].grad is not None
        with torch.no_grad(), form():
            assert not loss("info_nce", given).requires_grad


def test_weights_with_a_gradient_take_the_plain_form() -> None:
    target = SOFT.clone().requires_grad_()
    given = values("info_nce")
    wye.losses.info_nce(**given, target=target).backward()
    logits = F.normalize(given["query"]) @ F.normalize(given["key"]).T / given["temperature"]
    expected = (logits.logsumexp(1, keepdim=True) - logits) / 7
    torch.testing.assert_close(target.grad, expected.detach())


@every_case
def test_captured_graphs_and_transforms_take_the_plain_form(case: str) -> None:
    given, expected = values(case), value_and_slopes(case, values(case))
    name, target = CASES[case]
    words = ", ".join(f"{role}={role}" for role in {**given, **target})
    torch._dynamo.reset()  # one code object serves all cases
    join = wye.Join(f"{name}({words})")
    run = torch.compile(join, backend="eager", fullgraph=True)
    assert torch.allclose(run(**given, **target), join(**given, **target))
    torch.testing.assert_close(join(**given, **target).detach(), expected[0])
    role, rows = next(iter(given.items()))

    def of_rows(x: Tensor) -> Tensor:
        return loss(case, {**given, role: x})

    torch.testing.assert_close(torch.func.grad(of_rows)(rows.detach()), expected[1])
