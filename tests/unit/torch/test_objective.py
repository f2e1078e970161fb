"""An Objective against plain torch: its total and terms, its calls, its schedules, and totals that are not finite."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import warnings
import weakref
from collections import UserDict
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

import wye

HERE = __file__


def scalars(*values: float) -> list[Tensor]:
    return [torch.tensor(value) for value in values]


def called(formula: str, **parts: Any) -> tuple[Tensor, dict[str, Tensor]]:
    """The objective with 2, 3, 5 and 7 for a, b, c and d."""
    objective = wye.Objective(formula, **parts)
    known = dict(zip("abcd", scalars(2.0, 3.0, 5.0, 7.0), strict=True))
    return objective(**{name: known[name] for name in objective.inputs})


# terms

TERMS: list[tuple[str, dict[str, Any], dict[str, float]]] = [
    ("a + b - c", {}, {"a": 2, "b": 3, "-c": -5}),
    ("2*a - b*c", {}, {"2 * a": 4, "-b * c": -15}),
    ("-a - b*c", {}, {"-a": -2, "-b * c": -15}),
    ("a * (b + c) - (c - a)", {}, {"a * (b + c)": 16, "-(c - a)": -3}),
    ("a * b", {}, {"a * b": 6}),
    ("a", {}, {"a": 2}),
    ("a - sum(b)", {}, {"a": 2, "-sum(b)": -3}),
    ("a + 1", {}, {"a": 2, "1": 1}),
    ("ce + beta * kl", {"ce": "a * b", "kl": "c", "beta": 0.5}, {"ce": 6, "kl": 5, "beta * kl": 2.5}),
    ("a + b - ce", {"ce": "c * 2"}, {"ce": 10, "a": 2, "b": 3}),
    ("p = a * 2\nq = b - c\np - q", {}, {"p": 4, "q": -2}),
    ("p = a * 2\np + b*p", {}, {"p": 4, "b * p": 12}),
]


@pytest.mark.parametrize(("formula", "parts", "expected"), TERMS, ids=[formula for formula, _, _ in TERMS])
def test_terms_are_named_values_and_signed_summands(
    formula: str, parts: dict[str, Any], expected: dict[str, float]
) -> None:
    total, terms = called(formula, **parts)
    assert type(terms) is dict
    assert {name: float(value) for name, value in terms.items()} == expected
    assert total.shape == ()


@pytest.mark.parametrize("formula", ["a + b - c", "2*a - b*c", "-a - b*c + 1", "a*b/c - (d - a)", "a - b - c - d"])
def test_unnamed_terms_add_up_to_the_total(formula: str) -> None:
    total, terms = called(formula)
    a, b, c, d = 2.0, 3.0, 5.0, 7.0
    assert_close(total, torch.tensor(eval(formula, {}, {"a": a, "b": b, "c": c, "d": d})))
    assert_close(sum(terms.values()), total)


def test_named_values_with_axes_are_no_terms() -> None:
    x = torch.arange(6.0).reshape(3, 2)
    objective = wye.Objective("rows = sum(x, axis=1)\nall = sum(rows)\nall + mean(h)", h="x * 2")
    total, terms = objective(x)
    assert list(terms) == ["all", "mean(h)"]
    assert_close(terms["all"], x.sum())
    assert_close(total, x.sum() + (x * 2).mean())


def test_terms_are_detached_and_the_total_is_not() -> None:
    w = torch.ones(3, requires_grad=True)
    total, terms = wye.Objective("fit + 0.1 * norm(w)", fit="mean(w)")(w)
    assert total.requires_grad
    assert terms.keys() == {"fit", "0.1 * norm(w)"}
    assert not any(term.requires_grad or term.grad_fn for term in terms.values())


def test_a_formula_of_numbers_alone() -> None:
    total, terms = wye.Objective("1 + gain * 2", gain=3)()
    assert isinstance(total, Tensor)
    assert float(total) == 7
    assert {name: float(term) for name, term in terms.items()} == {"1": 1, "gain * 2": 6}
    assert all(isinstance(term, Tensor) for term in terms.values())


# gradients


def test_total_and_gradients_are_those_of_plain_torch() -> None:
    net = nn.Linear(4, 3).double()
    other = copy.deepcopy(net)
    x, label = torch.randn(5, 4).double(), torch.tensor([0, 2, 1, 1, 0])
    ce = "cross_entropy(net(x), label)"
    objective = wye.Objective("ce + beta * mean(w ** 2) - 0.1 * mean(net(x))", ce=ce, net=net, beta=0.3)
    total, terms = objective(x=x, label=label, w=net.weight)
    total.backward()
    logits = other(x)
    plain_ce = F.cross_entropy(logits, label)
    plain = plain_ce + 0.3 * (other.weight**2).mean() - 0.1 * logits.mean()
    plain.backward()
    assert_close(total, plain)
    assert_close(terms["ce"], plain_ce.detach())
    for mine, theirs in zip(net.parameters(), other.parameters(), strict=True):
        assert_close(mine.grad, theirs.grad)


def test_it_owns_networks_that_one_optimizer_trains() -> None:
    see, read = nn.Linear(4, 3), nn.Linear(5, 3)
    other_see, other_read = copy.deepcopy(see), copy.deepcopy(read)
    objective = wye.Objective(
        "s = dot(see(image), read(text))\nmean(where(label == 1, 1 - s, relu(s - 0.1)))", see=see, read=read
    )
    optimizer = torch.optim.Adam(objective.parameters(), lr=0.1)
    other = torch.optim.Adam([*other_see.parameters(), *other_read.parameters()], lr=0.1)
    image, text, label = torch.randn(6, 4), torch.randn(6, 5), torch.tensor([1, 0, 1, 0, 1, 0])
    start = [weight.detach().clone() for weight in objective.parameters()]
    for _ in range(5):
        optimizer.zero_grad()
        objective.on({"image": image, "text": text, "label": label})[0].backward()
        optimizer.step()
        other.zero_grad()
        s = (other_see(image) * other_read(text)).sum(-1)
        torch.where(label == 1, 1 - s, F.relu(s - 0.1)).mean().backward()
        other.step()
    assert {name.partition(".")[0] for name, _ in objective.named_parameters()} == {"see", "read"}
    for old, new in zip(start, objective.parameters(), strict=True):
        assert not torch.equal(old, new)
    for mine, theirs in zip(objective.parameters(), [*other_see.parameters(), *other_read.parameters()], strict=True):
        assert_close(mine, theirs)


def test_switching_the_formula_keeps_the_moments() -> None:
    net = nn.Linear(4, 1)
    other = copy.deepcopy(net)
    objective = wye.Objective("mse(net(x), y)", net=net)
    mine, theirs = torch.optim.Adam(objective.parameters(), lr=0.1), torch.optim.Adam(other.parameters(), lr=0.1)
    x, y = torch.randn(6, 4), torch.randn(6, 1)

    def step(plain: Tensor) -> None:
        mine.zero_grad()
        objective(x=x, y=y)[0].backward()
        mine.step()
        theirs.zero_grad()
        plain.backward()
        theirs.step()

    for _ in range(3):
        step(F.mse_loss(other(x), y))
    moments = mine.state[net.weight]["exp_avg"].clone()
    objective.formula = "mean(abs(net(x) - y))"
    assert moments.any()
    assert torch.equal(mine.state[net.weight]["exp_avg"], moments)
    for _ in range(3):
        step(F.l1_loss(other(x), y))
    assert_close(net.weight, other.weight)
    assert mine.state[net.weight]["step"] == 6


# on


def test_on_takes_what_it_reads_from_several_mappings() -> None:
    objective = wye.Objective("mse(p, y) + w * norm(p)", w=0.5)
    p, y = torch.randn(4), torch.randn(4)
    plain = F.mse_loss(p, y) + 0.5 * p.norm()
    for found in (
        objective.on({"p": p, "y": y}),
        objective.on({"p": p, "extra": 1}, {"y": y, "other": None}),
        objective.on(UserDict(p=p), y=y),
        objective.on(p=p, y=y, more=3),
        objective.on({"p": p, "y": y}, {"p": p}, y=y, extra=1),
        objective.on({"p": p, "y": y, "extra": 1}, {"extra": 2}),
    ):
        assert_close(found[0], plain)


def test_on_refuses_two_values_under_one_name_and_a_missing_one() -> None:
    objective = wye.Objective("mse(p, y)")
    p, y = torch.randn(4), torch.randn(4)
    with pytest.raises(wye.InputError, match="`p`"):
        objective.on({"p": p, "y": y}, {"p": p.clone()})
    with pytest.raises(wye.InputError, match="`y`"):
        objective.on({"p": p, "y": y}, y=y.clone())
    with pytest.raises(wye.InputError, match="`y` is in none"):
        objective.on({"p": p})
    with pytest.raises(wye.InputError, match="takes mappings"):
        objective.on(p, y)  # type: ignore[arg-type]


def test_on_asks_only_for_what_a_switched_formula_reads() -> None:
    objective = wye.Objective("mean(p) + mean(y)")
    objective.formula = "mean(p)"
    assert float(objective.on({"p": torch.ones(3)})[0]) == 1
    assert float(objective.on({"p": torch.ones(3), "y": torch.ones(1)}, {"y": torch.zeros(1)})[0]) == 1


# schedules


def scheduled(**settings: Any) -> wye.Objective:
    return wye.Objective("beta * mean(x)", beta=wye.Schedule("min(1, step / 10)"), **settings)


def test_follow_moves_the_step_until_it_is_removed() -> None:
    weight = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    objective = scheduled()
    handle = objective.follow(optimizer)
    for count in range(1, 4):
        objective(weight)[0].backward()
        assert int(objective.step) == count - 1
        optimizer.step()
        assert int(objective.step) == count
        assert_close(objective.beta, count / 10)
    handle.remove()
    optimizer.step()
    assert int(objective.step) == 3


def test_follow_does_not_keep_it_alive() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(2))], lr=0.1)
    objective = scheduled()
    objective.follow(optimizer)
    gone = weakref.ref(objective)
    del objective
    gc.collect()
    assert gone() is None
    optimizer.step()


def test_advance_moves_schedules_by_hand() -> None:
    objective, x = scheduled(), torch.full((3,), 2.0)
    found: list[float] = []
    for _ in range(12):
        found.append(float(objective(x)[0]))
        objective.advance()
    assert_close(found, [2 * min(step, 10) / 10 for step in range(12)])


def test_the_step_is_saved_and_loaded() -> None:
    first, second, x = scheduled(), scheduled(), torch.ones(3)
    for _ in range(4):
        first.advance()
    saved = io.BytesIO()
    torch.save(first.state_dict(), saved)
    saved.seek(0)
    second.load_state_dict(torch.load(saved))
    assert int(second.step) == 4
    assert_close(second(x)[0], torch.tensor(0.4))
    second.advance()
    assert_close(second(x)[0], torch.tensor(0.5))


def call(objective: wye.Objective, times: int) -> None:
    x = torch.ones(3)
    for _ in range(times):
        objective(x)


def test_a_schedule_that_never_moves_warns_once_at_the_hundredth_call() -> None:
    objective = scheduled()
    call(objective, 99)
    with pytest.warns(wye.WyeWarning, match="`beta` never moved in 100 training calls") as caught:
        objective(torch.ones(3))
    assert len(caught) == 1
    call(objective, 250)


def test_the_warning_points_at_the_users_line() -> None:
    class Outer(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, x: Tensor) -> Any:
            return self.inner(x)

    inner = wye.Join("o(x)", o=nn.Identity())
    x = torch.ones(3)
    direct, by_name, within, callable_ = scheduled(), scheduled(), scheduled(), scheduled()
    callable_.formula = lambda beta, x: beta * x.mean()
    for run, word in (
        (lambda: direct(x), "direct(x)"),
        (lambda: by_name.on({"x": x}), "by_name.on"),
        (lambda: nn.Sequential(inner, within)(x), "nn.Sequential(inner, within)"),
        (lambda: nn.Sequential(Outer(callable_))(x), "return self.inner(x)"),
    ):
        for _ in range(99):
            run()
        with pytest.warns(wye.WyeWarning) as caught:
            run()
        assert caught[0].filename == HERE
        with open(HERE) as file:
            assert word in file.read().split("\n")[caught[0].lineno - 1]


def test_no_warning_in_eval_without_gradients_once_moved_or_without_schedules() -> None:
    evaluated, ungraded, moved, loaded = scheduled().eval(), scheduled(), scheduled(), scheduled()
    moved.advance()
    loaded.load_state_dict(moved.state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call(evaluated, 150)
        with torch.no_grad():
            call(ungraded, 150)
        call(moved, 150)
        call(loaded, 150)
        call(wye.Objective("beta * mean(x)", beta=1.0), 150)


# totals that are not finite

BAD = [float("inf"), -float("inf"), float("nan")]


@pytest.mark.parametrize("bad", BAD)
def test_keep_returns_what_came_out(bad: float) -> None:
    total, _ = wye.Objective("a + b")(*scalars(1.0, bad))
    assert_close(total, torch.tensor(1.0 + bad), equal_nan=True)


@pytest.mark.parametrize("bad", BAD)
def test_raise_names_the_guilty_term(bad: float) -> None:
    objective = wye.Objective("ce + beta * kl", ce="mean(x)", kl="sum(y)", beta=2.0, on_nonfinite="raise")
    x, y = torch.ones(3), torch.tensor([1.0, bad])
    assert_close(objective(x, torch.ones(2))[0], torch.tensor(5.0))
    with pytest.raises(wye.NonFiniteError, match="the term `kl` is not finite"):
        objective(x, y)


def test_raise_where_every_term_is_finite() -> None:
    objective = wye.Objective("a + b", on_nonfinite="raise")
    with pytest.raises(wye.NonFiniteError, match="though every term is"):
        objective(*scalars(3e38, 3e38))


@pytest.mark.parametrize("bad", BAD)
def test_skip_leads_to_no_weight(bad: float) -> None:
    net = nn.Linear(2, 1)
    objective = wye.Objective("mean(net(x)) + mean(y)", net=net, on_nonfinite="skip")
    optimizer = torch.optim.AdamW(objective.parameters(), lr=0.1)
    before = [weight.detach().clone() for weight in net.parameters()]
    x = torch.ones(3, 2)
    total, terms = objective(x=x, y=torch.tensor([bad]))
    assert total.item() == 0
    assert not all(torch.isfinite(term) for term in terms.values())
    total.backward()
    optimizer.step()
    assert all(weight.grad is None for weight in net.parameters())
    assert all(map(torch.equal, before, net.parameters()))
    total, _ = objective(x=x, y=torch.ones(1))
    total.backward()
    assert_close(total, net(x).mean() + 1)
    assert_close(net.weight.grad, torch.ones(1, 2))


class Nested(nn.Module):
    def __init__(self, objective: wye.Objective) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, x: Tensor) -> Tensor:
        return self.objective(x)[0] * 2


@pytest.mark.parametrize("setting", ["raise", "skip"])
@pytest.mark.parametrize("fullgraph", [True, False])
def test_a_capture_refuses_to_wait(setting: str, fullgraph: bool) -> None:
    torch._dynamo.reset()
    for formula in ("mean(x)", lambda x: x.mean()):
        objective = wye.Objective(formula, on_nonfinite=setting)
        for module in (objective, Nested(objective)):
            with pytest.raises(Exception, match="a captured graph cannot wait for the device") as caught:
                torch.compile(module, fullgraph=fullgraph, backend="eager")(torch.ones(3))
            for word in ("PartError", f"on_nonfinite='{setting}'", 'build it with on_nonfinite="keep"'):
                assert word in str(caught.value)
    torch._dynamo.reset()


@pytest.mark.parametrize("strict", [True, False])
def test_an_export_refuses_to_wait(strict: bool) -> None:
    module = Nested(wye.Objective("mean(x)", on_nonfinite="raise"))
    with pytest.raises(wye.PartError, match="a captured graph cannot wait"):
        torch.export.export(module, (torch.ones(3),), strict=strict)


def test_a_capture_keeps_and_networks_compile_inside_an_eager_objective() -> None:
    torch._dynamo.reset()
    net, x = nn.Linear(3, 1), torch.ones(2, 3)
    plain = net(x).mean()
    kept = wye.Objective("mean(net(x))", net=net)
    total, terms = torch.compile(kept, fullgraph=True, backend="eager")(x)
    assert_close(total, plain)
    assert_close(terms["mean(net(x))"], plain.detach())
    outside = wye.Objective("mean(y)", on_nonfinite="raise")
    assert_close(outside(torch.compile(net, fullgraph=True, backend="eager")(x))[0], plain)
    torch._dynamo.reset()


# where an error points

PLACES: list[tuple[str, dict[str, Any], str]] = [
    ("x * 2", {}, "x * 2"),
    ("p = x * 2\nq = sum(p, axis=1)\nq * 2", {}, "q * 2"),
    ("h * 2", {"h": "x + 1"}, "h * 2"),
    ("p = h * 2\np - h", {"h": "q = x + 1\nq * q"}, "p - h"),
]


@pytest.mark.parametrize(("formula", "parts", "marked"), PLACES)
def test_the_marks_are_under_the_value(formula: str, parts: dict[str, Any], marked: str) -> None:
    with pytest.raises(wye.ShapeError, match="has no axes") as caught:
        wye.Objective(formula, **parts)(torch.ones(3, 2))
    place = caught.value.where
    assert not isinstance(place, str)
    assert place.text[place.start : place.end] == marked
    assert f"  in:  {marked}\n       {'^' * len(marked)}\n" in str(caught.value)
    assert caught.value.fix == f"take the mean: mean({marked})"
    cured = formula.removesuffix(marked) + caught.value.fix.removeprefix("take the mean: ")
    assert wye.Objective(cured, **parts)(torch.ones(3, 2))[0].shape == ()


# a callable in the place of a formula


def test_a_callable_returns_the_total_or_the_total_and_its_terms() -> None:
    net, x = nn.Linear(3, 1), torch.ones(2, 3)

    def alone(x: Tensor, net: nn.Module, beta: float) -> Tensor:
        return beta * net(x).mean()

    def both(x: Tensor, net: nn.Module, beta: float) -> tuple[Tensor, dict[str, Any]]:
        value = net(x)
        return beta * value.mean(), {"fit": value.mean(), "rows": value, "beta": beta}

    for formula, names in ((alone, []), (both, ["fit", "beta"])):
        objective = wye.Objective(formula, net=net, beta=0.5)
        assert objective.inputs == ("x",)
        for total, terms in (objective(x), objective(x=x), objective.on({"x": x, "extra": 1})):
            assert_close(total, 0.5 * net(x).mean())
            assert list(terms) == names
            assert not any(term.requires_grad for term in terms.values())
    objective.formula = "beta * mean(net(x))"
    assert_close(objective(x)[0], 0.5 * net(x).mean())


def test_a_callable_is_held_to_the_same() -> None:
    with pytest.raises(wye.NonFiniteError, match="`fit`"):
        wye.Objective(lambda x: (x.sum(), {"fit": x.sum()}), on_nonfinite="raise")(torch.tensor([float("nan")]))
    for wrong in (lambda x: x, lambda x: (x, {}), lambda x: (x.sum(), x.sum()), lambda x: None):
        with pytest.raises(wye.ShapeError, match="the value of an objective"):
            wye.Objective(wrong)(torch.ones(3))


# copies


def mean_of(x: Tensor, net: nn.Module) -> Tensor:
    return net(x).mean()


@pytest.mark.parametrize("formula", ["mean(net(x))", mean_of])
def test_copies_stand_alone(formula: Any) -> None:
    objective = wye.Objective(
        formula, net=nn.Linear(3, 1), beta=wye.Schedule("min(1, step / 10)"), on_nonfinite="raise"
    )
    objective.advance()
    x = torch.ones(2, 3)
    for other in (copy.deepcopy(objective), pickle.loads(pickle.dumps(objective))):
        assert_close(other(x)[0], objective(x)[0])
        assert list(other(x)[1]) == list(objective(x)[1])
        assert int(other.step) == 1
        with pytest.raises(wye.NonFiniteError):
            other(x * float("nan"))
        other.advance()
        assert int(objective.step) == 1
        with torch.no_grad():
            other.net.weight.zero_()
        assert objective.net.weight.any()


def test_a_summand_written_twice_counts_twice() -> None:
    total, terms = wye.Objective("mean(x) + 2 * mean(y) + mean(x)")(torch.ones(3), torch.ones(3))
    assert {name: term.item() for name, term in terms.items()} == {"mean(x)": 2.0, "2 * mean(y)": 2.0}
    assert total.item() == 4.0
