"""Terms against losses written by hand: each term's gradient by itself, and weights as finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import wye
from tests.unit.watching.term_losses import B, K, data, last, norms, objective
from wye.watching.slopes import edge_of, now, slopes
from wye.watching.terms import Terms


def test_values_weights_and_shares_are_those_of_a_hand_written_loss() -> None:
    (x, label, picture), net = data(), nn.Linear(4, K).double()
    logits, loss = net(x), objective()
    terms = Terms(loss, 1)
    loss(logits=logits, label=label, picture=picture)
    h = logits.detach().requires_grad_()
    ce, fit, size = F.cross_entropy(h, label), F.mse_loss(h, picture), h.abs().mean()
    by_hand = {"ce": ce, "fit": fit, "beta * fit": 0.3 * fit, "-0.5 * mean(abs(logits))": -0.5 * size}
    assert last(terms, "value") == pytest.approx({name: value.item() for name, value in by_hand.items()}, rel=1e-12)
    assert last(terms, "weight") == pytest.approx(dict(zip(by_hand, (1, 0.3, 1, 1), strict=True)), rel=1e-12)
    own = norms(by_hand, [h])
    shared = own["ce"] + own["beta * fit"] + own["-0.5 * mean(abs(logits))"]
    own["fit"] *= 0.3
    assert last(terms, "share") == pytest.approx({name: norm / shared for name, norm in own.items()}, rel=1e-12)
    assert (terms.rest.last, terms.why_not) == (0, "")


def test_closed_forms() -> None:
    """∂(Σx²)/∂x = 2x and ∂(3 Σx)/∂x = 3: shares from their norms, in NumPy."""
    x = torch.randn(5, dtype=torch.float64, requires_grad=True)
    loss = wye.Objective("sum(x * x) + 3 * sum(x)")
    terms = Terms(loss, 1)
    loss(x)
    square, line = np.linalg.norm(2 * x.detach().numpy()), 3 * math.sqrt(5)
    assert last(terms, "share") == pytest.approx(
        {"sum(x * x)": square / (square + line), "3 * sum(x)": line / (square + line)}, rel=1e-12
    )


def test_weights_are_finite_differences() -> None:
    """`a` and `b` stand in several places; the total as a function of each value is differenced by hand."""
    text = "a * b + 2 * a / (1 + b * b) - a"
    x = torch.randn(4, dtype=torch.float64, requires_grad=True)
    terms = Terms(loss := wye.Objective(text, a="mean(exp(x))", b="sum(x * x)"), 1)
    loss(x)
    a, b, step = float(x.detach().exp().mean()), float((x.detach() ** 2).sum()), 1e-6

    def total(a: float, b: float) -> float:
        return a * b + 2 * a / (1 + b * b) - a

    weights = last(terms, "weight")
    assert weights["a"] == pytest.approx((total(a + step, b) - total(a - step, b)) / (2 * step), rel=1e-7)
    assert weights["b"] == pytest.approx((total(a, b + step) - total(a, b - step)) / (2 * step), rel=1e-7)
    h = x.detach().requires_grad_()
    one, two = h.exp().mean(), (h * h).sum()
    own = norms({"a": one, "a * b": one * two, "2 * a / (1 + b * b)": 2 * one / (1 + two * two)}, [h])
    shared = sum(own.values())
    assert terms.terms["a * b"].share.last == pytest.approx(own["a * b"] / shared, rel=1e-12)
    assert terms.terms["a"].share.last == pytest.approx(abs(weights["a"] or 0) * own["a"] / shared, rel=1e-12)


FUZZ = [
    "mean(w * (z - a) / s) + a",
    "sum(w[b, k] * z[j, k] * a, b, j, k) / s + a",
    "mean((z - a) ** 2) * s - 2 * a * (s + 1) - a",
    "a + a - s + mean(a * z) + max(a, s)",
    "sum((a * z - s * w) ** 2) / (1 + a ** 2) + exp(a / 100)",
    "mean(w[b, k] * (z[b, k] - a) / sqrt(var(z) + 0.2)) + mean(z[b, k] * w[b, k] * s * a, b, k)",
    "var(a * z + s) + norm(z - a) + logsumexp(s * w) + where(a > 0, a, s) * s",
]


@pytest.mark.parametrize("top", FUZZ)
def test_weights_are_differences_of_the_total_with_the_term_as_an_input(top: str) -> None:
    z, w = torch.randn(3, 4, dtype=torch.float64, requires_grad=True), torch.rand(3, 4, dtype=torch.float64)
    terms = Terms(loss := wye.Objective(f"a = mean(z)\ns = sum(z * w)\n{top}"), 1)
    loss.on({"z": z, "w": w})
    values, free = {name: terms.terms[name].value.last or 0 for name in "as"}, wye.Objective(top)

    def total(name: str, step: float) -> float:
        moved = {one: torch.tensor(value + step * (one == name), dtype=torch.float64) for one, value in values.items()}
        return free.on({"z": z.detach(), "w": w, **moved})[0].item()

    for name in "as":
        slope = (total(name, 1e-5) - total(name, -1e-5)) / 2e-5
        assert terms.terms[name].weight.last == pytest.approx(slope, rel=1e-5, abs=1e-7)


def test_a_term_inside_a_value_that_is_computed_whole_has_no_weight() -> None:
    """(x - a) / s is one operation, so the graph shows a and s beside it only: no weight rather than a wrong one."""
    text = "a = mean(z[b, k], b, k)\ns = sqrt(var(z[b, k], b, k) + 0.1)\nsum(w[b, k] * (z[b, k] - a) / s, b, k) + a * s"
    terms = Terms(loss := wye.Objective(text), 1)
    loss.on({"z": torch.randn(3, 4, requires_grad=True), "w": torch.rand(3, 4)})
    weights = last(terms, "weight")
    assert (weights["a"], weights["s"], weights["a * s"]) == (None, None, 1)
    assert sum(share or 0 for share in last(terms, "share").values()) == pytest.approx(1, rel=1e-6)
    assert terms.why_not == "`a` may be part of a standardised value, which is computed whole"


def test_what_lies_in_no_term_is_the_rest() -> None:
    x = torch.randn(4, dtype=torch.float64, requires_grad=True)
    terms = Terms(loss := wye.Objective("a = sum(exp(x))\nwhole = a + 2 * sum(x * x)\nwhole"), 1)
    loss(x)
    h = x.detach().requires_grad_()
    own = norms({"a": h.exp().sum(), "rest": 2 * (h * h).sum()}, [h])
    shared = own["a"] + own["rest"]
    assert last(terms, "share") == pytest.approx({"a": own["a"] / shared, "whole": 1}, rel=1e-12)
    assert terms.rest.last == pytest.approx(own["rest"] / shared, rel=1e-12)


def plain(x: Tensor, beta: float) -> tuple[Tensor, dict[str, Any]]:
    near, far = (x * x).mean(), x.exp().sum()
    weighed = beta * far
    return near + weighed, {"near": near, "far": far, "weighed": weighed, "seen": near.detach(), "count": 3}


class Plain(nn.Module):
    """A loss of a user's own."""

    def forward(self, x: Tensor, beta: float) -> tuple[Tensor, dict[str, Any]]:
        return plain(x, beta)


@pytest.mark.parametrize("make", [lambda: wye.Objective(plain), Plain], ids=["callable", "module"])
def test_other_losses_share_by_what_they_return(make: Callable[[], nn.Module]) -> None:
    x = torch.randn(4, dtype=torch.float64, requires_grad=True)
    terms = Terms(loss := make(), 1)
    loss(x, beta=0.2)
    h = x.detach().requires_grad_()
    own = norms({"near": (h * h).mean(), "weighed": 0.2 * h.exp().sum()}, [h])
    shared = sum(own.values())
    want = {name: norm / shared for name, norm in own.items()}
    for what, values in (("share", want | {"far": want["weighed"]}), ("weight", {"near": 1, "far": 0.2, "weighed": 1})):
        found = last(terms, what)
        assert (found.pop("seen"), found.pop("count")) == (None, None)
        assert found == pytest.approx(values, rel=1e-9)
    assert terms.terms["count"].value.last == 3
    assert terms.rest.last == 0
    assert terms.why_not == "`seen` came detached from the graph"


def test_an_input_that_leads_to_another_is_held_still() -> None:
    """As in a VAE: the picture is made from the code, and the decoder between them is not run backwards."""
    code, decoder = torch.randn(B, 2, dtype=torch.float64, requires_grad=True), nn.Linear(2, K).double()
    ran: list[str] = []
    decoder.register_full_backward_hook(lambda *_: ran.append("decoder"))
    middle = code * 1
    middle.register_hook(lambda _: ran.append("code"))
    middle.retain_grad()
    made, picture = decoder(middle), data()[2]
    loss = wye.Objective("fit + 0.1 * sum(code ** 2)", fit="mse(made, picture)")
    terms = Terms(loss, 1)
    total, _ = loss.on({"made": made, "picture": picture, "code": middle})
    assert ran == []
    assert middle.grad is None
    assert decoder.weight.grad is None
    h, g = made.detach().requires_grad_(), code.detach().requires_grad_()
    own = norms({"fit": F.mse_loss(h, picture), "0.1 * sum(code ** 2)": 0.1 * (g**2).sum()}, [h, g])
    shared = sum(own.values())
    assert last(terms, "share") == pytest.approx({name: norm / shared for name, norm in own.items()}, rel=1e-12)
    total.backward()
    assert sorted(ran) == ["code", "decoder"]


def test_two_towers_end_where_the_objective_takes_over() -> None:
    towers = {"see": nn.Sequential(nn.Linear(4, 2), nn.Tanh()).double(), "read": nn.Linear(3, 2).double()}
    image, text, wanted = torch.randn(B, 4).double(), torch.randn(B, 3).double(), torch.randn(B, 2).double()
    loss = wye.Objective("mse(see(image), read(text)) + 0.1 * mse(see(image), wanted)", **towers)
    terms = Terms(loss, 1)
    loss(image=image, text=text, wanted=wanted)
    with torch.no_grad():
        one, two = towers["see"](image), towers["read"](text)
    one.requires_grad_(), two.requires_grad_()
    values = {
        "mse(see(image), read(text))": F.mse_loss(one, two),
        "0.1 * mse(see(image), wanted)": 0.1 * F.mse_loss(one, wanted),
    }
    own = norms(values, [one, two])
    shared = sum(own.values())
    assert last(terms, "share") == pytest.approx({name: norm / shared for name, norm in own.items()}, rel=1e-12)
    assert all(weight.grad is None for weight in loss.parameters())


def test_a_part_that_continues_another_is_within_the_loss() -> None:
    body, head = nn.Linear(4, 2).double(), nn.Linear(2, K).double()
    x, _, picture = data()
    loss = wye.Objective("mse(head(body(x)), picture) + 0.1 * mean(body(x) ** 2)", body=body, head=head)
    terms = Terms(loss, 1)
    loss(x=x, picture=picture)
    h = body(x).detach().requires_grad_()
    values = {
        "mse(head(body(x)), picture)": F.mse_loss(head(h), picture),
        "0.1 * mean(body(x) ** 2)": 0.1 * (h**2).mean(),
    }
    own = norms(values, [h])
    shared = sum(own.values())
    assert last(terms, "share") == pytest.approx({name: norm / shared for name, norm in own.items()}, rel=1e-12)


def test_a_gradient_ends_at_the_output_that_stops_it() -> None:
    """Of two outputs of one node the first ends it: x has a gradient by way of the second alone."""
    x = torch.arange(4.0, requires_grad=True)
    one, two = (x * 1).split(2)
    found = slopes(edge_of(one.sum() * two.sum()), [edge_of(one), edge_of(x)])
    torch.testing.assert_close(found[edge_of(one)], torch.full((2,), 5.0))
    torch.testing.assert_close(found[edge_of(x)], torch.tensor([0.0, 0.0, 1.0, 1.0]))


LOSSES: list[Callable[[Tensor, Tensor], Tensor]] = [
    lambda h, v: F.layer_norm(h, (4,), v, v).pow(3).sum() + torch.linalg.svd(h)[1].sum(),
    lambda h, v: (h[:, 0] * 2).sum() + torch.cat([h, v[None]]).std() + h.max() + h.topk(2).values.sum(),
    lambda h, v: (F.softmax(h, 1) @ v).logsumexp(0) + torch.stack(h.unbind(1)).prod(),
    lambda h, v: F.dropout(h, 0.5).sum() * h[[1, 1, 3]].sum() + (h.double() + v).exp().mean(),
    lambda h, v: torch.complex(*h.split(2, 1)).abs().sum() + (h * 1).mul_(2).fill_diagonal_(0).square().sum(),
    lambda h, v: ((h + v) ** 2).mean() * h.exp().sum() / (1 + v.sum() ** 2) + torch.cdist(h, h[:2] + 1).sum(),
]  # fmt: skip


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_by_hand_are_those_of_autograd(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    h, v = (torch.randn(6, 4, requires_grad=True) * 1), torch.randn(4, requires_grad=True)
    since = now()
    total = loss(h, v)
    found = slopes(edge_of(total), [edge_of(h), edge_of(v)], since=since)
    for tensor, want in zip((h, v), torch.autograd.grad(total, (h, v), allow_unused=True), strict=True):
        got = found.get(edge_of(tensor))
        assert (got is None) == (want is None)
        if got is not None:
            torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


def test_a_total_that_is_its_only_term() -> None:
    terms = Terms(loss := wye.Objective("ce", ce="mean(x * x)"), 1)
    loss(torch.randn(4, requires_grad=True))
    assert (last(terms, "weight"), last(terms, "share"), terms.rest.last) == ({"ce": 1}, {"ce": 1}, 0)


def test_an_objectives_own_weights_serve_where_there_is_nothing_else() -> None:
    weight = nn.Parameter(torch.tensor([1.0, 2.0], dtype=torch.float64))
    terms = Terms(loss := wye.Objective("sum(w * x) + sum(w * w)", w=weight), 1)
    loss(torch.tensor([3.0, 4.0], dtype=torch.float64))
    assert terms.terms["sum(w * x)"].share.last == pytest.approx(5 / (5 + 2 * math.sqrt(5)), rel=1e-12)


def test_no_gradient_at_all_has_no_shares() -> None:
    terms = Terms(loss := wye.Objective("sum(x * x) + 0 * sum(x)"), 1)
    loss(torch.zeros(3, requires_grad=True))
    assert last(terms, "share") == {"sum(x * x)": None, "0 * sum(x)": None}
    assert (last(terms, "value"), terms.why_not) == ({"sum(x * x)": 0, "0 * sum(x)": 0}, "every gradient is zero")


def test_a_summand_without_a_gradient_has_share_zero() -> None:
    terms = Terms(loss := wye.Objective("mean(x * x) - gap", gap="stop(mean(x))"), 1)
    loss(torch.ones(3, requires_grad=True))
    assert last(terms, "share") == {"mean(x * x)": 1, "gap": 0}
    assert last(terms, "weight") == {"mean(x * x)": 1, "gap": -1}
