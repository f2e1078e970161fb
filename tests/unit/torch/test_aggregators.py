"""Balance by torchjd's aggregators and scalarisers, against torchjd's own backwards with the same ones."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import wye
from tests.unit.torch.test_balance import Model

pytest.importorskip("torchjd")
from torchjd import aggregation, autojac, scalarization

AGGREGATORS = {
    "UPGrad": aggregation.UPGrad,
    "DualProj": aggregation.DualProj,
    "MGDA": aggregation.MGDA,
    "IMTLG": aggregation.IMTLG,
    "AlignedMTL": aggregation.AlignedMTL,
    "PCGrad": aggregation.PCGrad,
    "Mean": aggregation.Mean,
    "Sum": aggregation.Sum,
}
WEIGHTLESS = {"ConFIG": aggregation.ConFIG, "GradDrop": aggregation.GradDrop}


def theirs(model: Model, x: Tensor, aggregator: Any) -> tuple[Tensor | None, dict[str, Tensor]]:
    """Torchjd's Jacobian at the features, its aggregation there, and the gradients that come of it."""
    h = model.trunk(x)
    leaf = h.detach().requires_grad_()
    heads = {key: p for key, p in model.named_parameters() if not key.startswith("trunk")}
    grads = dict(zip(heads, torch.autograd.grad(sum(model.terms(x, leaf).values()), [*heads.values()]), strict=True))
    autojac.backward(list(model.terms(x, leaf).values()), inputs=[leaf])
    weights = autojac.jac_to_grad([leaf], aggregator)
    trunk = {key: p for key, p in model.named_parameters() if key.startswith("trunk")}
    grads |= dict(zip(trunk, torch.autograd.grad(h, [*trunk.values()], leaf.grad), strict=True))
    return weights, grads


@pytest.mark.parametrize("form", ["name", "aggregator", "weighting"])
@pytest.mark.parametrize("name", AGGREGATORS)
def test_aggregators_with_weights(name: str, form: str) -> None:
    model, x = Model(), torch.randn(8, 5).double()
    torch.manual_seed(3)  # some draw
    weights, grads = theirs(model, x, AGGREGATORS[name]())
    torch.manual_seed(3)
    weighting = {
        "name": name,
        "aggregator": AGGREGATORS[name](),
        "weighting": getattr(aggregation, f"{name}Weighting")(),
    }
    h = model.trunk(x)
    total, found = wye.Balance(weighting[form])(model.terms(x, h), at=h)
    total.backward()
    assert_close(torch.stack(list(found.values())), weights)
    for key, p in model.named_parameters():
        assert_close(p.grad, grads[key], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", WEIGHTLESS)
def test_aggregators_that_mix_entry_by_entry(name: str) -> None:
    model, x = Model(), torch.randn(8, 5).double()
    torch.manual_seed(3)
    none, grads = theirs(model, x, WEIGHTLESS[name]())
    assert none is None
    torch.manual_seed(3)
    h = model.trunk(x)
    total, found = wye.Balance(name)(model.terms(x, h), at=h)
    total.backward()
    assert all(torch.isnan(weight) for weight in found.values())
    for key, p in model.named_parameters():
        assert_close(p.grad, grads[key], rtol=1e-6, atol=1e-12)


def test_mtl_backward_where_the_shared_weights_are_the_features() -> None:
    features = nn.Parameter(torch.randn(8, 6).double())
    model, x = Model(), torch.randn(8, 5).double()
    h = features * 1
    autojac.mtl_backward(list(model.terms(x, h).values()), h)
    autojac.jac_to_grad([features], aggregation.UPGrad())
    wanted = {key: p.grad.clone() for key, p in [("h", features), *model.named_parameters()] if p.grad is not None}
    features.grad = None
    model.zero_grad()
    h = features * 1
    wye.Balance(aggregation.UPGrad())(model.terms(x, h), at=h)[0].backward()
    for key, p in [("h", features), *model.named_parameters()]:
        if not key.startswith("trunk"):
            assert_close(p.grad, wanted[key], rtol=1e-6, atol=1e-12)


def test_by_name_small_gradients_are_still_gradients() -> None:
    """The projector of torchjd takes gradients for zero below a length of 0.01, and then weighs all alike."""
    conflict = torch.tensor([[1.0, 0.0], [-1.0, 0.2]])
    found = []
    for scale in (1.0, 1e-3, 1e-6):
        h = torch.zeros(2, requires_grad=True)
        terms = {"a": scale * (conflict[0] * h).sum(), "b": scale * (conflict[1] * h).sum()}
        total, weights = wye.Balance("UPGrad")(terms, at=h)
        total.backward()
        assert bool((conflict @ h.grad > 0).all())  # no term grows
        found.append(torch.stack(list(weights.values())))
    assert_close(found[1], found[0], rtol=1e-3, atol=1e-4)
    assert_close(found[2], found[0], rtol=1e-3, atol=1e-4)
    own = aggregation.UPGradWeighting()
    assert_close(own(1e-6 * conflict @ conflict.T), torch.full((2,), 0.5))


def test_gradients_of_zeros() -> None:
    for name in ("UPGrad", "MGDA", "IMTLG", "PCGrad", "AlignedMTL"):
        h = torch.randn(4, 3, requires_grad=True)
        terms = {"flat": (h - 100).relu().mean(), "other": (h - 90).relu().mean()}
        total, weights = wye.Balance(name)(terms, at=h)
        total.backward()
        assert all(torch.isfinite(weight) for weight in weights.values())
        assert_close(h.grad, torch.zeros(4, 3))


# scalarisers


@pytest.mark.parametrize(
    "make",
    [
        scalarization.Mean,
        scalarization.GeometricMean,
        lambda: scalarization.STCH(0.5),
        lambda: scalarization.UW(3),
        scalarization.DWA,
    ],
)
def test_scalarisers_weigh_the_terms_themselves(make: Any) -> None:
    model, x, scalarizer, twin = Model(), torch.randn(8, 5).double(), make().double(), make().double()
    values = torch.stack(list(model.terms(x, model.trunk(x)).values()))
    wanted = twin(values)
    (weights,) = torch.autograd.grad(wanted, values, retain_graph=True)
    learned = [*model.parameters(), *twin.parameters()]
    grads = torch.autograd.grad(wanted, learned)
    balance = wye.Balance(scalarizer)
    total, found = balance(model.terms(x, model.trunk(x)))
    total.backward()
    assert_close(total, wanted)
    assert_close(torch.stack(list(found.values())), weights)
    for p, grad in zip([*model.parameters(), *balance.parameters()], grads, strict=True):
        assert_close(p.grad, grad)


def test_importing_and_a_function_ask_for_no_torchjd(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [module for module in sys.modules if module.partition(".")[0] == "torchjd"]:
        monkeypatch.setitem(sys.modules, module, None)
    h = torch.ones(2, requires_grad=True)
    wye.Balance(lambda gramian: gramian.new_ones(1))({"a": h.sum()}, at=h)[0].backward()
    assert_close(h.grad, torch.ones(2))
