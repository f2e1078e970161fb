"""M3: two modules on one input, joined by an operator, held against the two called by hand."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import wye
from examples import m03_two_modules as example
from tests.examples.training import OPTIMIZERS, assert_close, assert_same_gradients, assert_same_weights, step

PLAIN: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "max": torch.maximum,
    "min": torch.minimum,
    "mean": lambda first, second: (first + second) / 2,
}


def twins(name: str) -> tuple[wye.Join, nn.ModuleDict]:
    net = example.two_modules(name).double()
    return net, nn.ModuleDict({"a": copy.deepcopy(net.a), "b": copy.deepcopy(net.b)})


def batch(size: int = 16) -> tuple[Tensor, Tensor]:
    return torch.randn(size, 10, dtype=torch.float64), torch.randn(size, 1, dtype=torch.float64)


def test_all_operators_are_covered() -> None:
    assert set(PLAIN) == set(example.OPERATORS)


@pytest.mark.parametrize("name", PLAIN)
def test_value_and_gradients(name: str) -> None:
    net, plain = twins(name)
    ours, _ = batch()
    theirs = ours.clone().requires_grad_()
    ours.requires_grad_()
    got, wanted = net(ours), PLAIN[name](plain["a"](theirs), plain["b"](theirs))
    assert_close(got, wanted)
    got.square().sum().backward()
    wanted.square().sum().backward()
    assert_same_gradients(net.parameters(), plain.parameters())
    assert ours.grad is not None
    assert theirs.grad is not None
    assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("name", PLAIN)
def test_weights_after_training(name: str, kind: str) -> None:
    net, plain = twins(name)
    start = copy.deepcopy(plain)
    ours, theirs = OPTIMIZERS[kind](net.parameters()), OPTIMIZERS[kind](plain.parameters())
    x, y = batch()
    for _ in range(20):
        step(ours, F.smooth_l1_loss(net(x), y))
        step(theirs, F.smooth_l1_loss(PLAIN[name](plain["a"](x), plain["b"](x)), y))
    assert_same_weights(net.parameters(), plain.parameters())
    assert all(not torch.equal(now, then) for now, then in zip(net.parameters(), start.parameters(), strict=True))


def test_switched_while_training() -> None:
    net, plain = twins("+")
    ours, theirs = OPTIMIZERS["adamw"](net.parameters()), OPTIMIZERS["adamw"](plain.parameters())
    x, y = batch()
    for name in ("+", "*", "max", "-"):
        net.formula = wye.Formula("a(x) + b(x)").swap("+", name)
        for _ in range(5):
            step(ours, F.mse_loss(net(x), y))
            step(theirs, F.mse_loss(PLAIN[name](plain["a"](x), plain["b"](x)), y))
    assert_same_weights(net.parameters(), plain.parameters())


@pytest.mark.parametrize("name", ["plus", "", "add", "^"])
def test_an_operator_that_does_not_exist(name: str) -> None:
    with pytest.raises(wye.FormulaError, match="is not an operator"):
        example.two_modules(name)


def test_modules_of_widths_that_do_not_fit() -> None:
    net = wye.Join.of("+", nn.Linear(10, 2), nn.Linear(10, 3))
    with pytest.raises(wye.ShapeError):
        net(torch.zeros(4, 10))


def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example.main()
    told = capsys.readouterr().out
    for formula in ("a(x) + b(x)", "a(x) - b(x)", "a(x) * b(x)", "a(x) / b(x)", "max(a(x), b(x))", "(a(x) + b(x)) / 2"):
        assert formula in told
    assert "moved by 0.00" not in told
    assert "`plus` is not an operator" in told
