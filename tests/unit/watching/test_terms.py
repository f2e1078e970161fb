"""Terms in a live run: the same bits, which call of a step counts, switches, checkpoints, compiled objectives."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wye
from tests.unit.watching.term_losses import K, data, last, objective
from wye.watching.terms import Terms

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
