"""Terms against losses written by hand: each term's gradient by itself, and weights as finite differences."""

from __future__ import annotations

import copy
import gc
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import wye
from wye.watching.slopes import edge_of, now, slopes
from wye.watching.terms import Terms

B, K = 6, 3


def data(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, labels and a picture."""
    return torch.randn(B, 4, dtype=dtype), torch.randint(0, K, (B,)), torch.randn(B, K, dtype=dtype)


def norms(values: dict[str, Tensor], places: list[Tensor]) -> dict[str, float]:
    """The norm of each value's gradient at the places together, by autograd."""
    found = {}
    for name, value in values.items():
        grads = torch.autograd.grad(value, places, retain_graph=True, allow_unused=True)
        found[name] = math.sqrt(sum(float((grad**2).sum()) for grad in grads if grad is not None))
    return found


def last(terms: Terms, what: str) -> dict[str, float | None]:
    return {name: getattr(term, what).last for name, term in terms.terms.items()}


def objective() -> wye.Objective:
    return wye.Objective(
        "ce + beta * fit - 0.5 * mean(abs(logits))",
        ce="cross_entropy(logits, label)",
        fit="mse(logits, picture)",
        beta=0.3,
        mask=torch.ones(1000, K),
    )


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


# what must not change


def run(watched: bool, autocast: bool = False, steps: int = 20) -> tuple[list[Any], Terms | None]:
    """A run with dropout, accumulation and Adam; all that it leaves."""
    torch.manual_seed(5)
    net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.Tanh(), nn.Linear(8, K))
    loss = objective()
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    terms = Terms(loss, 2) if watched else None
    kept: list[Any] = []
    for step in range(steps):
        if terms is not None:
            terms.due(step)
        optimizer.zero_grad()
        for _ in range(2):
            x, label, picture = data(torch.float32)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
                out = net(x)
                total, found = loss.on({"logits": out, "label": label, "picture": picture.to(out.dtype)})
            (total + 0.1 * out.float().square().mean()).backward()
            kept += [total.detach(), *found.values()]
        optimizer.step()
    state = [value for one in optimizer.state.values() for value in one.values()]
    return [*kept, *net.state_dict().values(), *state, torch.get_rng_state()], terms


@pytest.mark.parametrize("autocast", [False, True])
def test_the_bits_are_the_same(autocast: bool) -> None:
    (with_it, terms), (without, _) = run(True, autocast), run(False, autocast)
    assert len(with_it) == len(without)
    assert all(torch.equal(one, other) for one, other in zip(with_it, without, strict=True))
    assert terms is not None
    assert [step for step, _ in terms.terms["ce"].share] == list(range(0, 20, 2))
    shares = [last(terms, "share")[name] or 0 for name in ("ce", "beta * fit", "-0.5 * mean(abs(logits))")]
    assert sum(shares) == pytest.approx(1, rel=1e-6)
    assert min(shares) > 0
    assert terms.why_not == ""


def test_a_backward_that_draws_leaves_the_generator() -> None:
    class Draws(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
            return x * scale

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Any:  # type: ignore[override]
            torch.rand(3)
            return grad * 2, None

    terms = Terms(loss := wye.Objective(lambda x: (t := Draws.apply(x, 2.0).sum(), {"t": t})), 1)
    before = torch.get_rng_state()
    loss(torch.ones(3, requires_grad=True))
    assert torch.equal(before, torch.get_rng_state())
    assert (terms.terms["t"].share.last, terms.why_not) == (1, "")


def test_the_first_training_call_of_a_step_counts() -> None:
    loss = wye.Objective("mean(x * x) + mean(x)")
    terms = Terms(loss, 3)
    seen = []
    for step in range(7):
        assert terms.due(step) == (step % 3 == 0)
        with torch.no_grad():
            loss(torch.full((2,), 50.0, requires_grad=True))
        loss.eval()(torch.full((2,), 60.0, requires_grad=True))
        loss.train()(torch.full((2,), 70.0))
        for part in (0.0, 0.5):
            loss(torch.full((2,), step + part, requires_grad=True))
            terms.due(step)
        seen += [(step, (float(step),))] if step % 3 == 0 else []
    assert list(terms.terms["mean(x)"].value) == seen
    assert terms.terms["mean(x)"].value.mean == 3


def test_a_switched_formula_ends_terms_and_begins_others() -> None:
    loss = wye.Objective("mean(x * x) + mean(x)")
    terms, x = Terms(loss, 1), torch.ones(2, requires_grad=True)
    loss(x)
    loss.formula = "mean(x * x) + mean(abs(x))"
    terms.due(1)
    loss(x)
    spans = {name: (term.since, term.until, len(term.value)) for name, term in terms.terms.items()}
    assert spans == {"mean(x * x)": (0, None, 2), "mean(x)": (0, 1, 1), "mean(abs(x))": (1, None, 1)}


@pytest.mark.parametrize("on_nonfinite", ["keep", "skip", "raise"])
def test_a_term_that_is_not_finite(on_nonfinite: str) -> None:
    loss = wye.Objective("mean(log(x)) + mean(x)", on_nonfinite=on_nonfinite)
    terms, x = Terms(loss, 1), torch.tensor([-1.0, 2.0], requires_grad=True)
    if on_nonfinite == "raise":
        with pytest.raises(wye.NonFiniteError):
            loss(x)
        assert terms._call is None
        assert not terms.terms
        return
    loss(x)
    value = terms.terms["mean(log(x))"].value
    assert math.isnan(value.last or 0)
    assert value.mean is None
    if on_nonfinite == "skip":
        assert terms.terms["mean(x)"].weight.last is None
        assert terms.why_not == "the batch was skipped: its total is not finite"
        return
    assert terms.terms["mean(x)"].share.last == pytest.approx(1 / (1 + math.sqrt(1 + 1 / 4) / math.sqrt(2)))
    terms.due(1)
    loss(torch.zeros(2, requires_grad=True))
    assert (terms.terms["mean(x)"].share.last, terms.why_not) == (None, "a gradient is not finite")


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


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoints_inside(reentrant: bool) -> None:
    from torch.utils.checkpoint import checkpoint

    inner = nn.Linear(3, 3)

    def body(x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        term: Any = checkpoint(lambda y: inner(y).square().mean(), x, use_reentrant=reentrant)
        return term + x.mean(), {"term": term}

    terms, x = Terms(loss := wye.Objective(body), 1), torch.ones(2, 3, requires_grad=True)
    total, _ = loss(x)
    assert inner.weight.grad is None
    assert x.grad is None
    assert (terms.terms["term"].share.last is None) == reentrant
    assert ("Checkpoint" in terms.why_not) == reentrant
    total.backward()
    assert inner.weight.grad is not None


def test_a_backward_that_fails_ends_nothing() -> None:
    class Fails(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.sum()

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
            raise ValueError("not today")

    terms = Terms(loss := wye.Objective(lambda x: (t := Fails.apply(x), {"t": t})), 1)
    loss(torch.ones(3, requires_grad=True))
    assert (terms.terms["t"].value.last, terms.terms["t"].share.last) == (3, None)
    assert terms.why_not == "ValueError in a backward: not today"


# compiled


@pytest.mark.parametrize("how", ["around", "before", "after", "in place"])
def test_a_compiled_objective_has_as_many_graphs(how: str) -> None:
    def train(watched: bool) -> tuple[int, list[Tensor], Terms | None]:
        torch.manual_seed(3)
        torch._dynamo.reset()
        graphs: list[Any] = []

        def backend(graph: Any, _: Any) -> Any:
            graphs.append(graph)
            return graph.forward

        net, loss, terms = nn.Linear(4, K).double(), objective(), None
        if watched and how in ("before", "in place"):
            terms = Terms(loss, 1)
        if how == "in place":
            loss.compile(backend=backend, fullgraph=True)
            call: Any = loss
        else:
            call = torch.compile(loss, backend=backend, fullgraph=True)
        if watched and how == "around":
            terms = Terms(call, 1)
        totals = []
        for step in range(4):
            if step == 1 and watched and how == "after":
                terms = Terms(loss, 1)
            if terms is not None:
                terms.due(step)
            x, label, picture = data()
            totals.append(call(logits=net(x).detach().requires_grad_(), label=label, picture=picture)[0])
        return len(graphs), totals, terms

    count, totals, terms = train(True)
    expected, others, _ = train(False)
    assert count == expected == 1
    assert all(torch.equal(one, other) for one, other in zip(totals, others, strict=True))
    assert terms is not None
    if how == "around":
        assert len(terms.terms["ce"].value) == 4
        assert terms.terms["ce"].share.last is None
        assert terms.why_not == "the terms came detached from the graph"
    else:
        assert not terms.terms
        assert ("compiled" in terms.why_not) == (how == "in place")
        assert "graph" in terms.why_not


# memory, copies, contexts


def test_memory_is_flat() -> None:
    loss, net = objective(), nn.Linear(4, K).double()
    terms = Terms(loss, 1)

    def steps(first: int, count: int) -> int:
        for step in range(first, first + count):
            terms.due(step)
            x, label, picture = data()
            loss(logits=net(x), label=label, picture=picture)[0].backward()
        gc.collect()
        return sum(issubclass(type(one), Tensor) for one in gc.get_objects())

    steps(0, 10)
    before = steps(10, 10)
    assert steps(20, 480) <= before
    assert terms._call is None
    assert len(terms.terms["ce"].value) <= 256


def test_nothing_is_held_of_a_call_that_fails() -> None:
    def body(x: Tensor) -> Tensor:
        raise ValueError("no")

    terms = Terms(loss := wye.Objective(body), 1)
    with pytest.raises(ValueError, match="no"):
        loss(torch.ones(2, requires_grad=True))
    assert terms._call is None


def test_a_copy_is_not_watched() -> None:
    loss = objective()
    terms = Terms(loss, 1)
    x, label, picture = data()
    for other in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        other(logits=x.narrow(1, 0, K).clone().requires_grad_(), label=label, picture=picture)
    assert not terms.terms
    loss(logits=picture.clone().requires_grad_(), label=label, picture=picture)
    assert set(terms.terms) == {"ce", "fit", "beta * fit", "-0.5 * mean(abs(logits))"}


def test_after_the_end_nothing_hangs_on_the_objective() -> None:
    loss = wye.Objective("mean(net(x))", net=nn.Linear(2, 1))
    terms = Terms(loss, 1)
    loss(torch.ones(1, 2))
    terms.stop()
    terms.due(1)
    loss(torch.ones(1, 2))
    assert not loss._forward_hooks
    assert not loss._forward_pre_hooks
    assert not loss._observers
    assert not loss._forward_hooks_always_called
    assert not loss.net._forward_hooks
    assert [step for step, _ in terms.terms["mean(net(x))"].value] == [0]


def test_a_compiled_part_is_not_called_again() -> None:
    part = torch.compile(lambda x: (x * 2).tanh().sum(), backend="aot_eager")
    terms = Terms(loss := wye.Objective("f(x) + mean(x)", f=part), 1)
    x = torch.randn(4, 3, requires_grad=True)
    loss(x)[0].backward()
    want = 2 * (1 - torch.tanh(2 * x.detach()) ** 2) + 1 / 12
    torch.testing.assert_close(x.grad, want)
    assert last(terms, "share") == {"f(x)": None, "mean(x)": None}
    assert last(terms, "weight") == {"f(x)": 1, "mean(x)": 1}
    assert "CompiledFunction" in terms.why_not


def test_under_a_transform_nothing_is_looked_at() -> None:
    loss = wye.Objective("mean(x * x)")
    terms, x = Terms(loss, 1), torch.randn(5, 3)
    each = torch.func.vmap(torch.func.grad(lambda x: loss(x)[0]))(x)
    torch.testing.assert_close(each, 2 * x / 3)
    assert not terms.terms


def test_contexts_beside_the_batch() -> None:
    class Bank(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("rows", torch.zeros(500, 2, dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.rows[: len(x)]

    table = torch.zeros(1, 3).expand(100, 3)
    loss = wye.Objective(
        "mean(x * x) + k * mean(bank(x)) + 0 * mean(table) + 0 * sum(w) + mean(head(x))",
        bank=Bank(), table=table, k=0.5, w=nn.Parameter(torch.zeros(7)), head=nn.Linear(2, 2).double(),
        s=wye.Schedule("step"),
    )  # fmt: skip
    terms = Terms(loss, 1)
    loss(torch.ones(4, 2, dtype=torch.float64, requires_grad=True))
    sizes = {name: (one.shape, one.rows, one.entries, one.dtype, one.bytes) for name, one in terms.contexts.items()}
    assert sizes == {
        "bank.rows": ((500, 2), 500, 1000, "float64", 8000),
        "table": ((100, 3), 100, 300, "float32", 12),
        "w": ((7,), 7, 7, "float32", 28),
    }
    assert (terms.batch.bytes, terms.batch.entries) == (64, 8)


def test_without_an_objective_there_is_nothing() -> None:
    terms = Terms(None)
    terms.due(0)
    terms.stop()
    assert not terms.terms
    assert not terms.contexts
