"""Per token: all axes but the last are taken for samples, against a loop over tokens written by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wye

X = torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
LAYER = nn.Linear(4, 4).double()
CONTROLS: dict[str, Tensor] = {
    "(B,)": torch.tensor([1.0, 0.0]),
    "(B, 1)": torch.tensor([[0.0], [1.0]]),
    "(B, T)": torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]),
    "(B, T, 1)": torch.tensor([[[1.0], [0.0], [1.0]], [[0.0], [1.0], [1.0]]]),
    "()": torch.tensor(1.0),
}


def spread(control: Tensor) -> Tensor:
    """One value for each token, shape (2, 3)."""
    return torch.tensor(
        [[float(control if not control.dim() else row(control, b, t)) for t in range(3)] for b in (0, 1)]
    )


def row(control: Tensor, b: int, t: int) -> Tensor:
    return control[b].reshape(()) if control[b].numel() == 1 else control[b, t].reshape(())


@pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)
def test_side_inputs_of_samples_and_of_tokens(control: Tensor) -> None:
    net = wye.When("c > 0.5", LAYER, per="token")
    value = net(X, c=control)
    rows = [[LAYER(X[b, t]) if spread(control)[b, t] > 0.5 else X[b, t] for t in range(3)] for b in (0, 1)]
    torch.testing.assert_close(value, torch.stack([torch.stack(one) for one in rows]))
    assert net.paths["then"].samples == int(spread(control).sum())


def test_tokens_with_features_travel_and_shared_ones_stay_whole() -> None:
    side = torch.randn(2, 3, 4, dtype=torch.float64)
    table = torch.ones(5, 4, dtype=torch.float64)

    def block(x: Tensor, side: Tensor, table: Tensor) -> Tensor:
        assert side.shape == x.shape
        assert table.shape == (5, 4)
        return x + side + table[0]

    net = wye.When("norm(side) > 2", block, per="token", shared=("table",))
    far = side.norm(dim=-1, keepdim=True) > 2
    assert 0 < far.sum() < 6
    torch.testing.assert_close(net(X, side=side, table=table), torch.where(far, X + side + 1, X))


def test_a_condition_reads_one_token() -> None:
    net = wye.When("norm(x) > 2", LAYER, "2 * x", per="token")
    torch.testing.assert_close(net(X), torch.where(X.norm(dim=-1, keepdim=True) > 2, LAYER(X), 2 * X))
    picture = X.reshape(2, 3, 2, 2)
    whole = wye.When("norm(x) > 1", "2 * x", per="token")(picture)
    torch.testing.assert_close(whole, torch.where(picture.norm(dim=-1, keepdim=True) > 1, 2 * picture, picture))
    flat = X[0]
    torch.testing.assert_close(
        wye.When("norm(x) > 2", "2 * x", per="token")(flat),
        torch.where(flat.norm(dim=-1, keepdim=True) > 2, 2 * flat, flat),
    )


KINDS = torch.tensor([[0, 1, 2], [2, 2, 0]])


def loop_of(x: Tensor, bound: float) -> Tensor:
    out = x.clone()
    for token in out.reshape(-1, out.shape[-1]):
        for _ in range(9):
            if token.norm() >= bound:
                break
            token *= 2
    return out


NODES: dict[str, tuple[Any, dict[str, Any], Any]] = {
    "Switch": (
        lambda: wye.Switch("kind", "x + 1", "x * 2", None, per="token"),
        {"kind": KINDS},
        lambda: torch.stack([X + 1, X * 2, X])[KINDS, torch.arange(2)[:, None], torch.arange(3)],
    ),
    "Repeat": (lambda: wye.Repeat("x + 1", "kind", per="token"), {"kind": KINDS}, lambda: X + KINDS[..., None]),
    "While": (lambda: wye.While("norm(x) < 5", "2 * x", max_steps=9, per="token"), {}, lambda: loop_of(X, 5.0)),
    "EarlyExit": (
        lambda: wye.EarlyExit(["x + 1", "x + 1"], ["x", "10 * x"], "max(x) > 2", per="token"),
        {},
        lambda: torch.where((X + 1).amax(-1, keepdim=True) > 2, X + 1, 10 * (X + 2)),
    ),
}


@pytest.mark.parametrize("name", NODES)
def test_every_node_parts_tokens(name: str) -> None:
    make, sides, expected = NODES[name]
    torch.testing.assert_close(make()(X, **sides), expected())


def test_branches_may_change_the_features_of_tokens() -> None:
    first, second = nn.Linear(4, 7).double(), nn.Linear(4, 7).double()
    net = wye.Switch("kind", first, second, per="token")
    kinds = torch.tensor([[0, 1, 1], [1, 0, 0]])
    torch.testing.assert_close(net(X, kind=kinds), torch.where(kinds[..., None] == 0, first(X), second(X)))
    assert net(X[:0], kind=kinds[:0]).shape == (0, 3, 7)
    assert net(X[:, :0], kind=kinds[:, :0]).shape == (2, 0, 7)


def test_gradients_are_those_of_the_tokens_taken() -> None:
    x = X.clone().requires_grad_()
    LAYER.zero_grad()
    net = wye.When("c > 0.5", LAYER, per="token")
    net(x, c=CONTROLS["(B, T)"]).square().sum().backward()
    mine = x.grad
    assert mine is not None
    own = LAYER.weight.grad
    assert own is not None
    LAYER.zero_grad()
    y = X.clone().requires_grad_()
    mask = CONTROLS["(B, T)"] > 0.5
    (LAYER(y[mask]).square().sum() + y[~mask].square().sum()).backward()
    torch.testing.assert_close(mine, y.grad)
    torch.testing.assert_close(own, LAYER.weight.grad)


def test_nested_values_agree_in_all_axes_but_the_last() -> None:
    value = {"a": X, "b": X[..., :1]}
    net = wye.When('norm(x["a"]) > 2', lambda v: {"a": v["a"] + 1, "b": v["b"] * 2}, per="token")
    out = net(value)
    far = X.norm(dim=-1, keepdim=True) > 2
    torch.testing.assert_close(out["a"], torch.where(far, X + 1, X))
    torch.testing.assert_close(out["b"], torch.where(far, X[..., :1] * 2, X[..., :1]))


def test_tokens_that_a_number_sends_past_are_counted_as_tokens() -> None:
    net = wye.When("c > 0.5", LAYER, per="token")
    for c in (0.0, 1.0, torch.tensor(0.0)):
        net(X, c=c)
    assert (net.paths["passed"].samples, net.paths["then"].samples) == (12, 6)
