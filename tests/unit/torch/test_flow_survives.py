"""Nodes are modules like any other: copied, saved, loaded, cast and printed they stay what they were."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import wye
from wye.torch.flow.node import Node

X = torch.tensor([[3.0, 4.0], [0.1, 0.2], [-1.0, 2.0], [0.0, 0.0]])
C = torch.tensor([1.0, 0.0, 1.0, 0.0])


def counts(net: Node) -> dict[str, tuple[int, int]]:
    """For each path how often it ran, and on how many samples."""
    return {path: (count.calls, count.samples) for path, count in net.paths.items()}


def nets() -> dict[str, tuple[Callable[[], Node], dict[str, Any]]]:
    """Every node with parts of every kind, and what a call of it takes."""
    return {
        "when": (
            lambda: wye.When("gate(x) > bound", nn.Linear(2, 2), gate=nn.Linear(2, 1), bound=-5.0, eval=True),
            {},
        ),
        "when else": (
            lambda: wye.When(
                "far > rise and c >= 0", nn.Linear(2, 3), nn.Linear(2, 3), far="norm(x)", rise=wye.Schedule("step / 2")
            ),
            {"c": C},
        ),
        "coin": (lambda: wye.When("coin(0.5)", nn.Linear(2, 2), eval=True), {}),
        "repeat": (lambda: wye.Repeat(nn.Linear(2, 2), "c * 2"), {"c": C}),
        "die": (lambda: wye.Repeat([nn.Linear(2, 2), nn.Linear(2, 2)], "die(0, 2)"), {}),
        "while": (
            lambda: wye.While("norm(x) < top", nn.Linear(2, 2), max_steps=3, top=nn.Parameter(torch.tensor(3.0))),
            {},
        ),
        "batch": (lambda: wye.While("mean(x) < 2", nn.Linear(2, 2), max_steps=3, per="batch"), {}),
        "module": (lambda: wye.When(nn.Linear(2, 1), nn.Linear(2, 2)), {}),
        "switch": (lambda: wye.Switch("c + rise", nn.Linear(2, 3), nn.Linear(2, 3), rise=0.0), {"c": C}),
        "switch die": (lambda: wye.Switch("die(0, 1)", nn.Linear(2, 2), nn.Linear(2, 2), eval=1), {}),
        "choice": (lambda: wye.RandomChoice(nn.Linear(2, 2), nn.Linear(2, 2), weights=[1, 2]), {}),
        "exit": (
            lambda: wye.EarlyExit(
                [nn.Linear(2, 2), nn.Linear(2, 2)], [nn.Linear(2, 3), nn.Linear(2, 3)], "max(x) > bound", bound=0.1
            ),
            {},
        ),
        "tokens": (lambda: wye.When("norm(x) > 1", nn.Linear(2, 2), per="token"), {}),
        "chain": (
            lambda: wye.Chain(
                nn.Linear(2, 2),
                "relu(x)",
                deep=wye.When("c > 0.5", wye.Takes(nn.Linear(2, 2)), shared=("t",)),
                shared=("t",),
            ),
            {"c": C},
        ),
    }


@pytest.mark.parametrize("name", nets())
@pytest.mark.parametrize("way", ["deepcopy", "pickle", "torch.save"])
def test_copies_compute_the_same_and_are_apart(name: str, way: str) -> None:
    make, given = nets()[name]
    net = make()
    value = net(X, **given)
    if way == "deepcopy":
        again = copy.deepcopy(net)
    elif way == "pickle":
        again = pickle.loads(pickle.dumps(net))
    else:
        stream = io.BytesIO()
        torch.save(net, stream)
        stream.seek(0)
        again = torch.load(stream, weights_only=False)
    assert torch.equal(again(X, **given), value)
    assert repr(again) == repr(net)
    assert not {id(weight) for weight in net.parameters()} & {id(weight) for weight in again.parameters()}
    before = counts(net)
    with torch.no_grad():
        for weight in again.parameters():
            weight.fill_(0.01)
    assert not torch.equal(again(X, **given), value) or name in ("die", "coin")
    assert counts(net) == before
    assert torch.equal(net(X, **given), value)


@pytest.mark.parametrize("name", nets())
def test_state_dicts_go_from_one_to_the_other(name: str) -> None:
    make, given = nets()[name]
    net, other = make(), make()
    if name == "when else":
        for _ in range(3):
            net.advance()
    assert list(net.state_dict()) == list(other.state_dict())
    other.load_state_dict(net.state_dict())
    assert torch.equal(net(X, **given), other(X, **given))
    stream = io.BytesIO()
    torch.save(net.state_dict(), stream)
    stream.seek(0)
    third = make()
    third.load_state_dict(torch.load(stream))
    assert torch.equal(net(X, **given), third(X, **given))


@pytest.mark.parametrize("name", nets())
def test_in_double_precision_it_is_the_same_net(name: str) -> None:
    make, given = nets()[name]
    net = make()
    value = net(X, **given)
    twice = net.double()(X.double(), **given)
    assert twice.dtype == torch.float64
    torch.testing.assert_close(twice.float(), value)


@pytest.mark.parametrize("name", nets())
def test_it_runs_without_gradients_in_inference_and_in_eval(name: str) -> None:
    make, given = nets()[name]
    net = make()
    value = net(X, **given)
    with torch.no_grad():
        assert torch.equal(net(X, **given), value)
    with torch.inference_mode():
        assert torch.equal(net(X, **given), value)
    net.eval()(X, **given)


# what was typed


@pytest.mark.parametrize(
    ("net", "line"),
    [
        (wye.When("control>0.5", "x"), "'control>0.5'"),
        (wye.When("coin(0.5)", "x", eval=False), "'coin(0.5)', eval=False"),
        (wye.When("a(x) > b", "x", a=nn.Linear(2, 1), b=0.5), "'a(x) > b', b=0.5"),
        (
            wye.When("far > b", "x", far="norm( x )", b=wye.Schedule("step")),
            "'far > b', far='norm( x )', b=Schedule('step')",
        ),
        (wye.When("mean(x) > 0", "x", per="batch", shared=["t"]), "'mean(x) > 0', per='batch', shared=('t',)"),
        (wye.When(len, "x"), "len"),
        (wye.When(nn.Linear(2, 1), "x"), "Linear"),
        (wye.When(True, "x"), "True"),
        (wye.When(0.5, "x"), "0.5"),
        (wye.Repeat("x", 3), "times=3"),
        (wye.Repeat("x", "die(0, 3)", eval=2), "times='die(0, 3)', eval=2"),
        (wye.While("norm(x) < 10", "x", max_steps=20), "'norm(x) < 10', max_steps=20"),
        (
            wye.While("norm(x) < 10", "x", max_steps=2, on_limit="error"),
            "'norm(x) < 10', max_steps=2, on_limit='error'",
        ),
        (wye.Chain("x", shared=("b", "a")), "shared=('a', 'b')"),
        (wye.Takes(nn.Identity(), **{}), ""),
    ],
)
def test_repr_prints_what_was_typed(net: nn.Module, line: str) -> None:
    assert net.extra_repr() == line


def test_a_whole_net_is_printed_as_a_tree() -> None:
    net = wye.Chain(nn.Linear(2, 2), deep=wye.When("control > 0.5", wye.Repeat("x + 1", 2)))
    assert repr(net).splitlines() == [
        "Chain(",
        "  (0): Linear(in_features=2, out_features=2, bias=True)",
        "  (deep): When(",
        "    'control > 0.5'",
        "    (then): Repeat(",
        "      times=2",
        "      (block): Join('x + 1')",
        "    )",
        "  )",
        ")",
    ]
