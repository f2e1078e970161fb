"""Watch on plain modules: which ran, in which order, and each cause of a gradient that is None or zero."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

import wye
from wye.watching.account import Path

Body = Callable[["Net", Tensor], Any]


class Net(nn.Module):
    """Four layers, joined by whatever function a test gives."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(3, 3), nn.Linear(3, 3), nn.Sequential(nn.Linear(3, 3), nn.ReLU())
        self.d = nn.ModuleList([nn.Linear(3, 3)])
        self.body, self.call = body, 0

    def forward(self, x: Tensor) -> Tensor:
        self.call += 1
        return self.body(self, x)


def squares(y: Tensor) -> Tensor:
    return y.square().sum()


def watched(body: Body, steps: int = 4, loss: Callable[[Any], Tensor] = squares) -> Any:
    net = Net(body)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    with wye.watch(net, optimizer) as seen:
        for _ in range(steps):
            optimizer.zero_grad()
            loss(net(torch.ones(5, 3))).backward()
            optimizer.step()
    return seen


def no_grad(net: Net, x: Tensor) -> Tensor:
    with torch.no_grad():
        return net.b(x)


CUT = "the model's output does not depend on it: what it gave was detached, or not used"
NONE: dict[str, tuple[Body, str, str]] = {
    "not called": (lambda net, x: net.a(x), "b.weight", "`b` did not run"),
    "a whole part": (lambda net, x: net.a(x), "c.0.weight", "`c` did not run"),
    "of a list": (lambda net, x: net.a(x), "d.0.weight", "`d.0` did not run"),
    "no_grad": (lambda net, x: net.a(x) + no_grad(net, x), "b.weight", "`b` ran with gradients off"),
    "detached": (lambda net, x: net.a(net.b(x).detach()), "b.weight", "what `b` gave was detached before `a` got it"),
    "not used": (lambda net, x: net.a(x) + 0 * net.b(x).detach(), "b.bias", CUT),
}


@pytest.mark.parametrize("name", NONE)
def test_why_there_was_no_gradient(name: str) -> None:
    body, key, why = NONE[name]
    weight = watched(body).weights[key]
    assert (weight.none, weight.zero, weight.nonzero, weight.reasons) == (4, 0, 0, {why: 4})


def test_a_list_whose_layers_are_called_one_by_one_is_not_what_did_not_run() -> None:
    def body(net: Net, x: Tensor) -> Tensor:
        return net.a(net.c[1](x))  # the rest of `c` is left out, and `c` itself is never called

    assert watched(body).weights["c.0.weight"].reasons == {"`c.0` did not run": 4}


def test_what_the_model_returns_detached_is_told() -> None:
    def body(net: Net, x: Tensor) -> tuple[Tensor, Tensor]:
        return net.a(x), net.b(x).detach()

    seen = watched(body, loss=lambda both: both[0].sum())
    assert seen.weights["b.weight"].reasons == {"what `b` gave was detached before the model returned it": 4}


def test_a_loss_that_leaves_an_output_out_is_told() -> None:
    seen = watched(lambda net, x: (net.a(x), net.b(x)), loss=lambda both: both[0].sum())
    assert seen.weights["b.weight"].reasons == {"the loss does not depend on it": 4}


def test_a_frozen_weight_and_one_of_no_optimizer_are_told() -> None:
    net = Net(lambda net, x: net.b(net.a(x)))
    net.a.weight.requires_grad_(False)
    optimizer = torch.optim.SGD(net.a.parameters(), lr=0.1)
    with wye.watch(net, optimizer) as seen:
        net(torch.ones(5, 3)).sum().backward()
        optimizer.step()
    assert seen.weights["a.weight"].reasons == {"it does not require one": 1}
    assert "b.weight, b.bias, c.0.weight, c.0.bias, d.0.weight, d.0.bias: in no optimizer that stepped" in seen.table()


ZERO: dict[str, tuple[Body, str]] = {
    "a product": (lambda net, x: net.a(x) + 0 * net.b(x), "a product with zeros let no gradient through"),
    "where": (
        lambda net, x: torch.where(torch.tensor(True), net.a(x), net.b(x)),
        "`where` chose the other side for all",
    ),
    "relu": (lambda net, x: net.a(x) + torch.relu(net.b(x) - 100), "relu was closed for all"),
    "a mask": (
        lambda net, x: net.a(x) + net.b(x).masked_fill(torch.tensor(True), 0.0),
        "a mask covered all of it",
    ),
    "an empty batch": (lambda net, x: net.a(x) + net.b(x[:0]).sum(), "it ran on an empty batch"),
    "another operation": (lambda net, x: net.a(x) + net.b(x).sign(), "sign let no gradient through"),
}


@pytest.mark.parametrize("name", ZERO)
def test_why_the_gradient_was_zero(name: str) -> None:
    body, why = ZERO[name]
    weight = watched(body).weights["b.weight"]
    assert (weight.none, weight.zero, weight.nonzero, weight.zero_reasons) == (0, 4, 0, {why: 4})


def test_an_input_of_zeros_and_a_loss_of_zeros_are_told_apart() -> None:
    seen = watched(lambda net, x: net.a(0 * x))
    assert seen.weights["a.weight"].zero_reasons == {"what it was multiplied with was all zeros": 4}
    assert seen.weights["a.bias"].nonzero == 4
    seen = watched(lambda net, x: net.a(x), loss=lambda y: (y * 0).sum())
    lost = "the loss gave the model's output a gradient of zeros"
    assert seen.weights["a.weight"].zero_reasons == seen.weights["a.bias"].zero_reasons == {lost: 4}


def test_zeros_that_come_late_are_told_from_the_second_on() -> None:
    seen = watched(lambda net, x: net.a(x) + (net.call < 10) * net.b(x), steps=14)
    weight = seen.weights["b.weight"]
    assert (weight.nonzero, weight.zero) == (9, 5)
    assert weight.zero_reasons == {
        "where it became zero was not looked into": 1,
        "a product with zeros let no gradient through": 4,
    }


def test_left_over_zeros_are_told_with_the_reason_and_the_cure() -> None:
    net = Net(lambda net, x: net.a(x) if net.call % 2 else net.b(x))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    moved = 0
    with wye.watch(net, optimizer) as seen:
        for _ in range(6):
            optimizer.zero_grad(set_to_none=False)
            before = net.a.weight.detach().clone()
            net(torch.ones(5, 3)).square().sum().backward()
            optimizer.step()
            moved += net.call % 2 == 0 and not torch.equal(before, net.a.weight)
    left = "zeros were left by zero_grad(set_to_none=False), and no new gradient came: `a` did not run"
    weight = seen.weights["a.weight"]
    assert (weight.nonzero, weight.zero, weight.zero_reasons) == (3, 3, {left: 3})
    assert weight.moved_without == moved == 3
    line = (
        "a.weight, a.bias: moved on 3 of 6 steps while its gradient was all zeros, by momentum or decay; "
        "call optimizer.zero_grad() with set_to_none=True"
    )
    assert line in seen.table().splitlines()


def test_ways_and_runs_are_those_of_the_forward() -> None:
    def body(net: Net, x: Tensor) -> Tensor:
        x = net.a(x)
        for _ in range(net.call % 3):
            x = net.c(x)
        return net.b(x) if net.call % 2 else x

    seen = watched(body, steps=6)
    loop = ("c.0", "c.1")
    assert seen.ways == {
        ("a", *loop, "b"): times(1), ("a", *loop * 2): times(1), ("a", "b"): times(1),
        ("a", *loop): times(1), ("a", *loop * 2, "b"): times(1), ("a",): times(1),
    }  # fmt: skip
    assert (seen.modules["c"], seen.modules["b"], seen.modules[""]) == (times(6), times(3), times(6))


def test_a_model_that_raised_is_watched_on() -> None:
    def body(net: Net, x: Tensor) -> Tensor:
        x = net.a(x)
        if net.call == 2:
            raise ArithmeticError
        return net.b(x)

    net = Net(body)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    with wye.watch(net, optimizer) as seen:
        for _ in range(3):
            optimizer.zero_grad()
            try:
                net(torch.ones(5, 3)).sum().backward()
            except ArithmeticError:
                continue
            optimizer.step()
    assert seen.ways == {("a", "b"): times(2)}
    assert (seen.modules["a"], seen.modules["b"], seen.modules[""]) == (times(3), times(2), times(2))


def test_the_tables_of_a_console_and_of_a_notebook_say_what_the_text_says() -> None:
    seen = watched(lambda net, x: net.a(x) if net.call % 2 else net.b(x))
    file = io.StringIO()
    Console(file=file, width=300).print(seen)
    shown = [line.rstrip() for line in file.getvalue().splitlines() if line.strip()]
    assert shown == [line for line in str(seen).splitlines() if line]
    cells = seen._repr_html_()
    assert "<td>a.weight</td><td>4</td><td>2</td><td>0</td><td>2</td>" in cells
    assert "<li>a.weight, a.bias: no gradient on 2 of 4 steps: `a` did not run</li>" in cells


def test_names_in_a_notebook_are_no_markup() -> None:
    net = nn.ModuleDict({"<b>": nn.Linear(1, 1)})
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with wye.watch(net, optimizer) as seen:
        net["<b>"](torch.ones(1, 1)).sum().backward()
        optimizer.step()
    assert "&lt;b&gt;.weight" in seen._repr_html_()
    assert "<b>" not in seen._repr_html_()


def times(calls: int) -> Path:
    """So many calls on five samples each."""
    return Path(calls, 5 * calls)


def test_several_objectives_have_a_number_before_their_names() -> None:
    net = nn.Linear(3, 2)
    first = wye.Objective("size + bias", size="mean(y ** 2)", bias="mean(y)")
    second = wye.Objective("scale * mean(y ** 2)", scale=nn.Parameter(torch.tensor(2.0)))
    optimizer = torch.optim.SGD([*net.parameters(), *second.parameters()], lr=0.1)
    with wye.watch(net, optimizer, [first, second]) as seen:
        y = net(torch.ones(4, 3))
        (first(y=y)[0] + second(y=y)[0]).backward()
        optimizer.step()
    assert list(seen.terms) == ["0:size", "0:bias", "1:scale * mean(y ** 2)"]
    assert seen.terms["0:size"].value.last == pytest.approx(float(y.detach().square().mean()))
    assert seen.weights["objective:1:scale"].nonzero == 1
    assert list(seen.account.contexts) == ["1:scale"]
    assert (seen.account.batch.entries, seen.account.batch.bytes) == (16, 64)


def test_what_lbfgs_writes_within_a_step_is_its_own() -> None:
    net, x = nn.Linear(3, 1), torch.randn(8, 3)
    optimizer = torch.optim.LBFGS(net.parameters(), max_iter=4)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (net(x) - 1).square().mean()
        loss.backward()
        return loss

    with wye.watch(net, optimizer) as seen:
        for _ in range(2):
            optimizer.step(closure)
        with torch.no_grad():
            net.bias.clamp_(max=0.5)
        optimizer.step(closure)
    assert (seen.weights["weight"].written, seen.weights["bias"].written) == (0, 1)
    assert seen.table().endswith("bias: written into before 1 of 3 steps, by no optimizer that is watched")


@dataclass
class Answer:
    """What a model returns in a class of its own, a number first."""

    loss: Tensor
    hidden: Tensor


class Answers(nn.Module):
    """Takes keywords alone."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, *, x: Tensor) -> Answer:
        hidden = self.a(x)
        return Answer(hidden.square().mean() + 0 * self.b(hidden).sum(), hidden)


def test_keywords_and_dataclasses_are_looked_into() -> None:
    net = Answers()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with wye.watch(net, optimizer) as seen:
        net(x=torch.ones(5, 3)).loss.backward()
        optimizer.step()
    assert seen.modules[""] == Path(1, 5)
    assert seen.weights["b.weight"].zero_reasons == {"a product with zeros let no gradient through": 1}
