"""The contract of flow for single batches, over every node, per sample, batch and token, eager and captured.

Rows that no branch takes: nothing that is not finite comes from them, and they pass as they are, with gradient one.
The result has the order, the dtype, the device and the leading shape of what came in; a die falls as it is told.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import wye
from tests.laws.contract_nodes import CASES, WEIGHTS, WIDTH, Case, Plain, block, blocks_of, data
from tests.laws.plain_dice import bits, chosen

PASSING = ("when", "switch", "repeat", "repeat_list", "while", "die", "die_list", "choice")
STEPS = 6  # falls of a die


def product(cases: list[Case], captured: Callable[[int], bool] = lambda place: True) -> list[Any]:
    """Cases in eager, and captured, of which every twelfth always runs."""
    marked = [() if place % 12 == 0 else pytest.mark.long for place in range(len(cases))]
    return [
        *(pytest.param(case, "eager", id=f"{case}-eager") for case in cases),
        *(
            pytest.param(case, "captured", id=f"{case}-captured", marks=marked[place])
            for place, case in enumerate(cases)
            if captured(place)
        ),
    ]


def called(node: nn.Module, run: str) -> Callable[..., Tensor]:
    if run == "eager":
        return node
    torch._dynamo.reset()
    return torch.compile(node, backend="aot_eager", fullgraph=True)


def fall(node: nn.Module, case: Case, step: int = 0) -> int:
    """The bits of a node's die, of the seed that it saves."""
    return bits(int(node.state_dict()["dice.state"][0]), step) if case.throws else 0


def wanted(node: Any, sides: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in sides.items() if name in node.wants}


class Root(nn.Module):
    """A block whose slope at zero is not finite, and which makes NaN of what is below."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return x.sqrt() * self.scale


class Scale(Root):
    """A block that is finite everywhere."""

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


@pytest.mark.parametrize(("case", "run"), product(CASES))
def test_what_is_not_finite_in_rows_not_taken_poisons_nothing(case: Case, run: str) -> None:
    """Line 3: rows that enter no root are where its slope or its value is not finite, and all the rest is finite."""
    roots = blocks_of(case, Root)
    tame = {"when_else": [1], "coin": [1], "exit": [0, 3, 4, 5]}.get(case.kind, [])
    for place in tame:
        roots[place] = Scale()
    twins, node = copy.deepcopy(roots), case.node(roots)
    call = called(node, run)
    for seed, who in enumerate(("some", "nobody", "some", "some", "everybody")):
        hostile = (0.0, -1.0)[seed % 2]
        x, sides = data(case, seed, who)
        x = 0.2 + x.abs() / 10  # small, so that loops on the norm are entered
        sides["control"] = sides["control"].round()  # other values in a row then never send it another way
        probe = Plain(case, twins, fall(node, case))
        probe(x, sides)
        rooted = {i for i, place in probe.pairs if place not in tame}
        flat = x.reshape(-1, WIDTH)
        untaken = [i for i in range(len(flat)) if i not in rooted]
        flat[untaken] = hostile
        mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
        for given in (roots, twins):
            given.zero_grad()
        value, plain = call(mine, **wanted(node, sides)), Plain(case, twins, fall(node, case))(theirs, sides)
        for one in (value, plain):
            one.square().sum().backward()
        assert value.isfinite().all()
        assert_close(value, plain)
        assert mine.grad is not None
        assert mine.grad.isfinite().all()
        assert_close(mine.grad, theirs.grad)
        for ours, own in zip(roots.parameters(), twins.parameters(), strict=True):
            expected = torch.zeros_like(own) if own.grad is None else own.grad
            assert run == "captured" or (ours.grad is None) == (own.grad is None)
            assert_close(torch.zeros_like(ours) if ours.grad is None else ours.grad, expected)


@pytest.mark.parametrize(("case", "run"), product([case for case in CASES if case.kind in PASSING]))
def test_rows_that_never_enter_pass_unchanged_with_gradient_one(case: Case, run: str) -> None:
    """Line 4; and those that a loop stops at its bound are counted."""
    blocks = blocks_of(case)
    node = case.node(blocks)
    call, passed, stopped = called(node, run), 0, 0
    for seed in range(4):
        x, sides = data(case, seed, ("some", "nobody", "everybody", "some")[seed])
        x = (x / 10).requires_grad_()
        plain = Plain(case, blocks, fall(node, case))
        plain(x.detach(), sides)
        value = call(x, **wanted(node, sides))
        value.sum().backward()
        still = [i for i in range(x.numel() // WIDTH) if i not in plain.entered]
        assert torch.equal(value.reshape(-1, WIDTH)[still], x.reshape(-1, WIDTH)[still])
        assert torch.equal(x.grad.reshape(-1, WIDTH)[still], torch.ones(len(still), WIDTH, dtype=torch.float64))
        passed, stopped = passed + len(still), stopped + plain.stopped
    if case.kind == "while":
        assert node.paths["stopped"].samples == stopped > 0
    if "passed" in node.paths:
        assert node.paths["passed"].samples == passed > 0


@pytest.mark.parametrize(("case", "run"), product([case for case in CASES if case.throws]))
def test_a_die_falls_once_for_each_step_and_not_in_eval(case: Case, run: str) -> None:
    """Line 5: two forwards see one fall, the next step another; it is saved and loaded; in eval nothing is drawn."""
    blocks = blocks_of(case)
    node = case.node(blocks)
    x, _ = data(case, 0, "some")
    call, values = called(node, run), []
    optimizer = torch.optim.SGD(node.parameters(), lr=0.0)
    for step in range(STEPS):
        expected = Plain(case, blocks, fall(node, case, step))(x, {})
        for _ in range(2):
            assert_close(call(x), expected)
        values.append(expected)
        optimizer.step()
    assert any(not torch.equal(one, values[0]) for one in values)
    other = case.node(copy.deepcopy(blocks))
    other.load_state_dict(node.state_dict())
    assert_close(other(x), Plain(case, blocks, fall(node, case, STEPS))(x, {}))
    if case.kind == "coin":
        with pytest.raises(wye.FlowError, match="nothing is drawn in eval"):
            node.eval()(x)
        return
    node.eval()
    greatest = Plain(case, blocks, {"die": 2, "die_list": 3, "choice": 2**32 - 1}[case.kind])
    assert case.kind != "choice" or chosen(2**32 - 1, WEIGHTS) == 2
    for _ in range(3):
        assert_close(call(x), greatest(x, {}))
        optimizer.step()


@pytest.mark.parametrize(("case", "run"), product(CASES, lambda place: place % 3 == 0))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_result_has_the_order_dtype_device_and_leading_shape_of_the_value(
    case: Case, run: str, dtype: torch.dtype
) -> None:
    """Line 7: exchanged rows give the exchanged result, whatever rows took which way."""
    node = case.node(blocks_of(case, lambda: block().to(dtype)))
    call = called(node, run)
    for seed in range(3):
        x, sides = data(case, seed, "some")
        x, order = x.to(dtype), torch.randperm(len(x))
        value = call(x, **wanted(node, sides))
        moved = call(x[order], **wanted(node, {name: side[order] for name, side in sides.items()}))
        assert (value.shape, value.dtype, value.device) == (x.shape, dtype, x.device)
        assert_close(moved, value[order])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_samples_are_a_batch_that_teaches_nothing(case: Case) -> None:
    """Line 7: nothing in, nothing out, a way back, no gradient for any weight, and nothing counted."""
    blocks = blocks_of(case)
    node = case.node(blocks)
    x, sides = data(case, 0, "some")
    empty = x[:0].clone().requires_grad_()
    value = node(empty, **wanted(node, {name: side[:0] for name, side in sides.items()}))
    assert value.shape == empty.shape
    assert value.dtype == x.dtype
    value.sum().backward()
    assert empty.grad is not None
    assert all(weight.grad is None for weight in blocks.parameters())
    assert all(count.samples == 0 for count in node.paths.values())


BATCHWISE = {
    "when": lambda text: wye.When(text, block(), per="batch"),
    "when_else": lambda text: wye.When(text, block(), block(), per="batch"),
    "switch": lambda text: wye.Switch(f"where({text}, 1, 0)", block(), None, per="batch"),
    "repeat": lambda text: wye.Repeat([block(), block()], f"where({text}, 1, 2)", per="batch"),
    "while": lambda text: wye.While(text, block(), max_steps=3, per="batch"),
    "exit": lambda text: wye.EarlyExit([block(), block()], [block(), block()], text, per="batch"),
}


@pytest.mark.parametrize("kind", ["when", *(pytest.param(kind, marks=pytest.mark.long) for kind in [*BATCHWISE][1:])])
@pytest.mark.parametrize("text", ["max(x) > 0", "mean(control) > 0.7", "norm(x) / max(x) > 2"])
def test_a_condition_per_batch_in_a_captured_branch_is_asked_of_no_samples(kind: str, text: str) -> None:
    """A graph runs a branch on the samples sent there, which may be none: what is asked of those harms nobody."""
    node = BATCHWISE[kind](text)
    net = wye.When("control > 0.5", wye.Chain(block(), node))
    twin, call = copy.deepcopy(net), called(net, "captured")
    for seed, control in enumerate((torch.zeros(6), torch.rand(6), torch.ones(6), torch.zeros(6))):
        x, _ = data(Case("when", "sample"), seed, "some")
        mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
        value, plain = call(mine, control=control), twin(theirs, control=control)
        assert_close(value, plain, rtol=1e-10, atol=1e-10)
        for one in (value, plain):
            one.square().sum().backward()
        assert_close(mine.grad, theirs.grad, rtol=1e-10, atol=1e-10)
    assert {path: count.samples for path, count in net.paths.items()} == {
        path: count.samples for path, count in twin.paths.items()
    }
