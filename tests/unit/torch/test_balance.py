"""Balance against full backward passes, combined by hand with weights that NumPy makes of the Gramian."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.testing import assert_close

import wye

Array = NDArray[np.float64]


class Model(nn.Module):
    """A trunk, three heads on it, and a head that does not see it."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 6), nn.Tanh())
        self.first, self.second, self.third = nn.Linear(6, 3), nn.Linear(6, 1), nn.Linear(6, 5)
        self.double()

    def terms(self, x: Tensor, h: Tensor) -> dict[str, Tensor]:
        return {
            "ce": F.cross_entropy(self.first(h), torch.arange(len(x)) % 3),
            "size": 20 * (self.second(h) - 1).square().mean(),
            "again": 0.1 * F.mse_loss(self.third(h), x),
        }


def equal(gramian: Tensor) -> Tensor:
    return 1 / gramian.diagonal().sqrt()


def equal_by_numpy(gramian: Array) -> Array:
    return np.array([1 / np.sqrt(gramian[k, k]) for k in range(len(gramian))])


def least_norm(gramian: Tensor) -> Tensor:
    """The point of least norm between two gradients: Sener and Koltun, Algorithm 1."""
    (a, b), (_, c) = gramian.tolist()
    gamma = 1.0 if b >= a else 0.0 if b >= c else (c - b) / (a + c - 2 * b)
    return torch.tensor([gamma, 1 - gamma])


def by_hand(
    model: Model, x: Tensor, terms: Callable[[Model, Tensor], dict[str, Tensor]], rule: Callable[[Array], Array]
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Weights and gradients from one whole graph and one full backward for each term."""
    names = list(terms(model, model.trunk(x)))
    rows, own = [], []
    for name in names:
        h = model.trunk(x)
        h.retain_grad()
        model.zero_grad()
        terms(model, h)[name].backward()
        rows.append(h.grad.numpy().ravel())
        own.append({key: p.grad for key, p in model.named_parameters()})
    jacobian = np.stack(rows)
    weights = rule(np.array([[float(np.sum(a * b)) for b in jacobian] for a in jacobian]))
    grads: dict[str, Tensor] = {}
    for weight, one in zip(weights, own, strict=True):
        for key, grad in one.items():
            if grad is not None:
                factor = weight if key.startswith("trunk") else 1.0
                grads[key] = grads.get(key, torch.zeros(())) + factor * grad
    model.zero_grad()
    return dict(zip(names, weights, strict=True)), grads


def grads_of(module: nn.Module) -> dict[str, Tensor]:
    return {key: p.grad for key, p in module.named_parameters() if p.grad is not None}


# weights and gradients


@pytest.mark.parametrize("times", [1.0, 1024.0])
def test_it_is_k_full_backwards_combined_by_hand(times: float) -> None:
    model, x = Model(), torch.randn(8, 5).double()
    weights, grads = by_hand(model, x, lambda net, h: net.terms(x, h), equal_by_numpy)
    h = model.trunk(x)
    terms = model.terms(x, h)
    total, found = wye.Balance(equal)(terms, at=h)
    assert all(p.grad is None for p in model.parameters())  # nothing is written before the backward
    (times * total).backward()  # as a gradient scaler does
    assert_close(total, sum(terms.values()))
    assert {name: float(weight) for name, weight in found.items()} == pytest.approx(weights, rel=1e-12)
    assert not any(weight.requires_grad or weight.dim() for weight in found.values())
    assert grads_of(model).keys() == grads.keys()
    for key, grad in grads_of(model).items():
        assert_close(grad, times * grads[key], rtol=1e-10, atol=1e-13)


def test_two_terms_by_the_closed_form_of_mgda() -> None:
    for scale in (0.01, 1.0, 100.0):  # at the ends one term alone, between them a true mixture
        model, x = Model(), torch.randn(8, 5).double()

        def terms(net: Model, h: Tensor, x: Tensor = x, scale: float = scale) -> dict[str, Tensor]:
            found = net.terms(x, h)
            return {"ce": found["ce"], "again": scale * found["again"]}

        def rule(gramian: Array) -> Array:
            """The least of |γ a + (1 - γ) b|² on a fine grid, no formula."""
            gammas = np.linspace(0, 1, 200_001)
            both = np.stack([gammas, 1 - gammas])
            best = int(np.argmin(np.einsum("ig,ij,jg->g", both, gramian, both)))
            return both[:, best]

        weights, _ = by_hand(model, x, terms, rule)
        h = model.trunk(x)
        _, found = wye.Balance(least_norm)(terms(model, h), at=h)
        assert {name: float(weight) for name, weight in found.items()} == pytest.approx(weights, abs=1e-5)


def test_the_plain_sum() -> None:
    model, x = Model(), torch.randn(8, 5).double()
    other = copy.deepcopy(model)
    sum(other.terms(x, other.trunk(x)).values()).backward()
    for balance, at in ((wye.Balance(), None), (wye.Balance("sum"), x), (wye.Balance(lambda g: g.new_ones(3)), ...)):
        model.zero_grad()
        h = model.trunk(x)
        total, weights = balance(model.terms(x, h), at=h if at is ... else at)
        total.backward()
        assert {name: float(weight) for name, weight in weights.items()} == {"ce": 1, "size": 1, "again": 1}
        for key, grad in grads_of(model).items():
            assert_close(grad, grads_of(other)[key])


def test_it_trains_as_a_loop_by_hand() -> None:
    model, x = Model(), torch.randn(8, 5).double()
    other, balance = copy.deepcopy(model), wye.Balance(equal)
    mine, theirs = (torch.optim.Adam(net.parameters(), lr=0.01) for net in (model, other))
    for _ in range(10):
        h = model.trunk(x)
        total, _ = balance(model.terms(x, h), at=h)
        mine.zero_grad()
        total.backward()
        mine.step()
        _, grads = by_hand(other, x, lambda net, h: net.terms(x, h), equal_by_numpy)
        for key, p in other.named_parameters():
            p.grad = grads[key].clone()
        theirs.step()
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert_close(one, two, rtol=1e-8, atol=1e-10)


def test_several_features_count_as_one_long_one() -> None:
    x = torch.randn(8, 5).double()
    trunks = [nn.Linear(5, 4).double(), nn.Linear(5, 2).double()]
    head = nn.Linear(6, 1).double()

    def terms(a: Tensor, b: Tensor) -> dict[str, Tensor]:
        return {
            "both": 3 * head(torch.cat([a, b], 1)).square().mean(),
            "a": a.square().mean(),
            "b": (b - 1).abs().mean(),
        }

    whole = torch.cat([trunk(x) for trunk in trunks], 1)
    total, one = wye.Balance(equal)(terms(whole[:, :4], whole[:, 4:]), at=whole)
    total.backward()
    wanted = [p.grad.clone() for trunk in (*trunks, head) for p in trunk.parameters()]
    for trunk in (*trunks, head):
        trunk.zero_grad()
    a, b = (trunk(x) for trunk in trunks)
    for at in ((a, b), [a, b, a]):  # given twice, it counts once
        for trunk in (*trunks, head):
            trunk.zero_grad()
        total, two = wye.Balance(equal)(terms(a, b), at=at)
        total.backward(retain_graph=True)
        assert_close(two, one)
        for grad, p in zip(wanted, (p for trunk in (*trunks, head) for p in trunk.parameters()), strict=True):
            assert_close(p.grad, grad)


def test_features_may_be_pieces_of_one_tensor_or_a_weight() -> None:
    weight = nn.Parameter(torch.randn(4, 6))
    a, b = weight.tanh().chunk(2, 1)
    total, weights = wye.Balance(equal)({"a": a.square().sum(), "b": 5 * b.sum()}, at=(a, b))
    total.backward()
    piece = weight.detach().tanh()
    first = 2 * piece[:, :3] / (2 * piece[:, :3]).norm()
    wanted = torch.cat([first, torch.full((4, 3), 12**-0.5)], 1) * (1 - piece**2)
    assert_close(weight.grad, wanted)
    assert_close(weights["b"], torch.tensor(1 / (5 * 12**0.5)))
    weight.grad = None
    total, _ = wye.Balance(equal)({"a": weight.sum(), "b": 3 * weight.square().sum()}, at=weight)
    total.backward()
    assert_close(weight.grad, torch.full((4, 6), 24**-0.5) + weight.detach() / weight.detach().norm())


# terms of other kinds


def test_a_term_apart_from_the_features_has_weight_one() -> None:
    model, x = Model(), torch.randn(8, 5).double()
    apart = nn.Linear(5, 1).double()
    h = model.trunk(x)
    decay = model.trunk[0].weight.square().sum()
    terms = {**model.terms(x, h), "apart": apart(x).square().mean(), "decay": decay, "constant": torch.tensor(2.0)}
    total, weights = wye.Balance(equal)(terms, at=h)
    total.backward()
    assert_close(total, sum(terms.values()))
    assert [float(weights[name]) for name in ("apart", "decay", "constant")] == [1, 1, 1]
    twin = copy.deepcopy(model)
    known, grads = by_hand(twin, x, lambda net, h: net.terms(x, h), equal_by_numpy)
    assert {name: float(weights[name]) for name in known} == pytest.approx(known)
    assert_close(model.trunk[0].weight.grad, grads["trunk.0.weight"] + 2 * model.trunk[0].weight.detach())
    assert_close(model.trunk[2].weight.grad, grads["trunk.2.weight"])
    wanted = torch.autograd.grad(apart(x).square().mean(), apart.weight)[0]
    assert_close(apart.weight.grad, wanted)


def test_one_term_and_a_head_that_all_terms_share() -> None:
    x = torch.randn(8, 3)
    trunk, head = nn.Linear(3, 4), nn.Linear(4, 2)
    h = trunk(x)
    y = head(h)  # one graph, passed for each term
    total, weights = wye.Balance(equal)({"a": y.square().mean(), "b": y.abs().mean()}, at=h)
    total.backward()
    wanted = torch.autograd.grad(head(trunk(x)).square().mean() + head(trunk(x)).abs().mean(), list(head.parameters()))
    assert_close(list(grads_of(head).values()), list(wanted))
    h = trunk(x)
    total, weights = wye.Balance(lambda gramian: gramian.new_full((1,), 0.5))({"only": h.sum()}, at=h)
    total.backward()
    assert weights == {"only": 0.5}


def test_a_gradient_of_zeros_is_the_weightings_to_judge() -> None:
    h = torch.randn(4, 3, requires_grad=True)
    seen: list[Tensor] = []

    def keep(gramian: Tensor) -> Tensor:
        seen.append(gramian)
        return gramian.new_ones(len(gramian))

    total, _ = wye.Balance(keep)({"flat": (h - 100).relu().mean(), "b": h.sum()}, at=h)
    total.backward()
    assert_close(seen[0], torch.tensor([[0.0, 0.0], [0.0, 12.0]]))
    assert_close(h.grad, torch.ones(4, 3))


def test_half_precision_and_autocast_make_the_gramian_in_float32() -> None:
    trunk, head = nn.Linear(8, 16), nn.Linear(16, 4)
    x, seen = torch.randn(32, 8), list[Tensor]()

    def keep(gramian: Tensor) -> Tensor:
        seen.append(gramian)
        return equal(gramian)

    with torch.autocast("cpu", torch.bfloat16):
        h = trunk(x)
        assert h.dtype == torch.bfloat16
        y = head(h)
        terms = {"a": y.float().square().mean(), "b": 3 * y.float().mean()}
        total, weights = wye.Balance(keep)(terms, at=h)
    total.backward()
    rows = torch.stack([torch.autograd.grad(term, h, retain_graph=True)[0].flatten() for term in terms.values()])
    assert seen[0].dtype == torch.float32
    assert_close(seen[0], rows.float() @ rows.float().T)
    assert_close(weights["a"], 1 / rows[0].float().norm())
    assert trunk.weight.grad.dtype == torch.float32


@pytest.mark.parametrize("scaled", ["total", "terms"])
def test_a_gradient_scaler(scaled: str) -> None:
    weight = nn.Parameter(torch.randn(4, 3))
    optimizer, scaler = torch.optim.SGD([weight], lr=1.0), torch.amp.GradScaler("cpu", init_scale=256.0)
    balance = wye.Balance(least_norm, on_nonfinite="keep")

    def terms(h: Tensor) -> dict[str, Tensor]:
        return {"a": h.square().mean(), "b": (h - 1).abs().mean()}

    h = weight.tanh()
    (wanted,) = torch.autograd.grad(balance(terms(h), at=h)[0], weight)
    before, h = weight.detach().clone(), weight.tanh()
    if scaled == "terms":
        total, _ = balance({name: scaler.scale(term) for name, term in terms(h).items()}, at=h)
    else:
        total = scaler.scale(balance(terms(h), at=h)[0])
    total.backward()
    scaler.step(optimizer)
    scaler.update()
    assert_close(before - weight, wanted)
    after, h = weight.detach().clone(), weight.tanh()
    optimizer.zero_grad()
    balance({name: scaler.scale(term / 0) for name, term in terms(h).items()}, at=h)[0].backward()
    scaler.step(optimizer)
    scaler.update()
    assert torch.equal(weight, after)  # the step is left out, and the scale comes down
    assert scaler.get_scale() == 128


# values that are not finite


def bad(h: Tensor) -> dict[str, Tensor]:
    """A value that is finite, whose gradient is not."""
    return {"good": h.sum(), "bad": (0 * h).abs().sqrt().sum()}


def test_raise_names_the_term() -> None:
    h = torch.ones(3, requires_grad=True) * 1
    with pytest.raises(wye.NonFiniteError, match="the gradient of the term `bad` at the features is not finite"):
        wye.Balance(equal)(bad(h), at=h)
    with pytest.raises(wye.NonFiniteError, match="the term `worse` is not finite"):
        wye.Balance(equal)({"good": h.sum(), "worse": h.sum() / 0}, at=h)


def test_skip_leads_to_no_weight_and_keep_to_nan() -> None:
    weight = nn.Parameter(torch.ones(3))
    h = weight * 1
    total, weights = wye.Balance(equal, on_nonfinite="skip")(bad(h), at=h)
    total.backward()
    assert total.item() == 0
    assert weights == {"good": 0, "bad": 0}
    assert weight.grad is None
    total, weights = wye.Balance(equal, on_nonfinite="keep")(bad(h), at=h)
    total.backward()
    assert all(torch.isnan(one) for one in weights.values())
    assert torch.isnan(weight.grad).all()


# an Objective


def objective(**settings: Any) -> wye.Objective:
    return wye.Objective("fit + beta * mean(h ** 2) - gain", fit="mse(head(h), y)", gain="mean(abs(h))", beta=0.5,
                         head=nn.Linear(4, 2), **settings)  # fmt: skip


def test_summands_are_the_total_and_on_their_graph() -> None:
    loss, h, y = objective(), torch.randn(6, 4, requires_grad=True), torch.randn(6, 2)
    summands = loss.summands({"h": h, "extra": 1}, y=y)
    total, terms = loss(h=h, y=y)
    assert list(summands) == ["fit", "gain", "beta * mean(h ** 2)"]
    assert_close(sum(summands.values()), total)
    assert_close(summands["gain"], -terms["gain"])
    assert all(one.grad_fn for one in summands.values())
    assert not loss._observers
    balanced, weights = wye.Balance(equal)(summands, at=h)
    balanced.backward()
    assert_close(balanced, total)
    rows = [
        torch.autograd.grad(one, h)[0] for one in (F.mse_loss(loss.head(h), y), -h.abs().mean(), 0.5 * (h**2).mean())
    ]
    assert_close(h.grad, sum(row / row.norm() for row in rows))
    assert weights.keys() == summands.keys()


SUMS: list[tuple[str, dict[str, Any], dict[str, float]]] = [
    ("a * b", {}, {"a * b": 6}),
    ("a", {}, {"a": 2}),
    ("p = a * 2\nq = p * b\nq", {}, {"q": 12}),
    ("a - b", {}, {"a": 2, "-b": -3}),
    ("p + p - q", {"p": "a * 2", "q": "b"}, {"p": 8, "q": -3}),
    ("p + b - p", {"p": "a * 2"}, {"b": 3}),
    ("a + a + w + w", {"w": nn.Parameter(torch.tensor(5.0))}, {"a": 4, "w": 10}),
    ("a + 1", {}, {"a": 2, "1": 1}),
]


@pytest.mark.parametrize(("formula", "parts", "expected"), SUMS, ids=[formula for formula, *_ in SUMS])
def test_summands_of_many_forms(formula: str, parts: dict[str, Any], expected: dict[str, float]) -> None:
    loss = wye.Objective(formula, **parts)
    known = {"a": torch.tensor(2.0), "b": torch.tensor(3.0)}
    summands = loss.summands(known)
    assert {name: one.item() for name, one in summands.items()} == expected
    assert_close(sum(summands.values()), loss.on(known)[0])


def test_a_batch_that_the_objective_skips_is_skipped() -> None:
    loss, h = objective(on_nonfinite="skip"), torch.randn(6, 4, requires_grad=True) * 1
    total, weights = wye.Balance(equal)(loss.summands(h=h, y=torch.full((6, 2), torch.nan)), at=h)
    total.backward()
    assert total.item() == 0
    assert all(p.grad is None for p in loss.parameters())
    assert len(weights) == 3


# what torch asks of a module


def test_without_gradients_it_is_the_sum() -> None:
    model, x = Model(), torch.randn(8, 5).double()
    with torch.no_grad():
        h = model.trunk(x)
        total, weights = wye.Balance(equal)(model.terms(x, h), at=h)
    assert_close(total, sum(model.terms(x, model.trunk(x)).values()).detach())
    assert [float(one) for one in weights.values()] == [1, 1, 1]


def test_no_second_derivative_is_made_up() -> None:
    h = torch.ones(3, requires_grad=True) * 1
    total, _ = wye.Balance(equal)({"a": h.square().sum()}, at=h)
    (grad,) = torch.autograd.grad(total, h, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        grad.sum().backward()


def test_hooks_of_weights_see_one_gradient() -> None:
    """Facts: a Gramian at the shared features costs one backward of the trunk, whatever the number of terms."""
    model, x = Model(), torch.randn(8, 5).double()
    seen: list[str] = []
    for key, p in model.named_parameters():
        p.register_post_accumulate_grad_hook(lambda _, key=key: seen.append(key))
    h = model.trunk(x)
    wye.Balance(equal)(model.terms(x, h), at=h)[0].backward()
    assert sorted(seen) == sorted(key for key, _ in model.named_parameters())


def test_a_compiled_trunk() -> None:
    torch._dynamo.reset()
    model, x = Model(), torch.randn(8, 5).double()
    trunk = torch.compile(model.trunk, backend="aot_eager")
    weights, grads = by_hand(copy.deepcopy(model), x, lambda net, h: net.terms(x, h), equal_by_numpy)
    h = trunk(x)
    total, found = wye.Balance(equal)(model.terms(x, h), at=h)
    total.backward()
    assert {name: float(one) for name, one in found.items()} == pytest.approx(weights)
    for key, grad in grads_of(model).items():
        assert_close(grad, grads[key])
    torch._dynamo.reset()


def test_repr_and_copies() -> None:
    assert repr(wye.Balance()) == "Balance('sum')"
    assert repr(wye.Balance(equal, on_nonfinite="keep")) == "Balance(equal, on_nonfinite='keep')"
    saved = io.BytesIO()
    torch.save(wye.Balance(equal), saved)
    saved.seek(0)
    assert repr(torch.load(saved, weights_only=False)) == repr(copy.deepcopy(wye.Balance(equal))) == "Balance(equal)"
