"""Whole messages of a flow: what is wrong, where, what was got, and the cure.

They stand in `flow_messages.txt`, and those of Switch, RandomChoice, EarlyExit, tokens and dice in
`branches_messages.txt`.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

import wye
from tests.errors.messages import cases, check
from tests.errors.nets import FIRST, TOKENS, C, Masked, X, assigned, choice, early, fewer, loop, switch, when, wider

NAMES = {
    **{"nn": nn, "torch": torch, "wye": wye, "X": X, "C": C, "FIRST": FIRST, "TOKENS": TOKENS, "Masked": Masked},
    **{"when": when, "loop": loop, "switch": switch, "choice": choice, "early": early},
    **{"assigned": assigned, "wider": wider, "fewer": fewer},
}
CASES = [*cases("flow_messages.txt"), *cases("branches_messages.txt")]


@pytest.mark.parametrize(("call", "message"), CASES, ids=[call for call, _ in CASES])
def test_the_whole_message(call: str, message: str) -> None:
    with pytest.raises(wye.WyeError) as caught:
        eval(call.removeprefix(">>> "), NAMES)
    check(caught.value, message)


# cures that can be followed to the letter


def test_cures_of_conditions_and_times_run() -> None:
    when("any(x > 0.5)")(X)
    when("all(x > 0.5)")(X)
    when("any(c > 0.5)", per="batch")(X, c=C)
    wye.Repeat("x + 1", "round(relu(n / 2))")(X, n=3)
    wye.Repeat("x + 1", "round(relu(c))")(X, c=torch.tensor([1.0, 0.5, 0.0, 2.0]))
    wye.Repeat("x + 1", "max(round(x))")(X)
    wye.Repeat(["x + 1", "x + 2"], "clamp(round(n), 0, 2)")(X, n=torch.tensor([0.0, 1, 2, 3]))
    wye.Repeat("x + 1", "depth", depth=wye.Schedule("min(3, step)"))(X)
    when("norm(x) > bound", bound=wye.Schedule("step > 5"))(X)
    when("given")(X, given=C)
    when("any(x > 0)", per="token")(TOKENS)


def test_cures_of_indices_exits_and_weights_run() -> None:
    switch(index="max(round(x))")(X)
    switch(index="max(c)", per="batch")(X, c=C)
    switch(index="die(0, 2)")(X)
    switch(index="die(0, 2)", eval=2).eval()(X)
    early(until="any(x > 1)")(X)
    early(until="c > 0")(X, c=torch.tensor([float("nan"), 0, 1, 0]))
    early(until="coin(0.5)", eval=True).eval()(X)
    choice(weights=(1, 0))(X)
    wye.seed(when("coin(0.5)"), 7)
    wye.Repeat(["x + 1", "x + 2"], "die(0, 2)")(X)


def test_cures_of_branches_run() -> None:
    when(then=nn.ReLU())(X, c=C)
    when(then=nn.LayerNorm(2))(X, c=torch.tensor([1.0, 0, 0, 0]))
    when(then=Masked(), shared=("mask",))(X, c=C, mask=torch.ones(2))
    wye.Chain(wye.Takes(Masked(), mask="padding"))(X, padding=X)
    wye.Chain(wider, when(then=nn.Linear(4, 4)))(X, c=C)
    switch(nn.Linear(2, 3), nn.Linear(2, 3))(X, c=FIRST)
    switch("x / 2", "x")(X.long().float(), c=FIRST)
    for mask in (torch.zeros(2), torch.zeros(2, 3), torch.zeros(2, 1)):
        when(per="token")(TOKENS, c=mask)
    when("sum(c) > 1", per="token", shared=("c",))(TOKENS, c=torch.zeros(5))
