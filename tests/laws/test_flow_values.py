"""What flow does to a value: lines 4 and 7 of the contract.

Samples that never enter pass, those at the bound are counted; shape, order, dtype, nest stay; no samples are a batch.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import wye
from tests.laws.blocks import Spy
from tests.laws.nestings import batch
from tests.laws.pairs import Pair, tensors, wanted

# line 4: samples that never enter, samples that are stopped, branches that break the rules


def test_a_sample_that_never_enters_passes_unchanged_with_gradient_one() -> None:
    layer = nn.Linear(2, 2)
    net = wye.While("norm(x) < 1", layer, max_steps=3)
    x = torch.tensor([[3.0, 4.0], [6.0, 8.0]], requires_grad=True)
    value = net(x)
    value.sum().backward()
    assert torch.equal(value, x)
    assert torch.equal(x.grad, torch.ones(2, 2))
    assert layer.weight.grad is None
    assert {path: count.samples for path, count in net.paths.items()} == {"block": 0, "passed": 2, "stopped": 0}


def test_samples_stopped_at_the_bound_are_counted() -> None:
    net = wye.While("all(x < 8)", "2 * x", max_steps=2)
    value = net(torch.tensor([[1.0], [3.0], [4.0], [9.0]]))
    assert_close(value, torch.tensor([[4.0], [12.0], [8.0], [9.0]]))
    assert {path: count.samples for path, count in net.paths.items()} == {"block": 5, "passed": 1, "stopped": 1}


@pytest.mark.parametrize("control", [[1, 1, 1], [1, 0, 1], [0, 0, 1]])
@pytest.mark.parametrize("kind", ["when", "otherwise", "repeat", "while"])
def test_a_branch_may_not_write_into_its_input_whichever_samples_it_gets(kind: str, control: list[int]) -> None:
    block = nn.ReLU(inplace=True)
    nets = {
        "when": lambda: wye.When("control", block),
        "otherwise": lambda: wye.When("control", block, nn.Identity()),
        "repeat": lambda: wye.Repeat(block, "control"),
        "while": lambda: wye.While("control", block, max_steps=1),
    }
    with pytest.raises(wye.FlowError, match="writes into its input"):
        nets[kind]()(torch.randn(3, 2), control=torch.tensor(control))


@pytest.mark.parametrize("control", [[1, 1, 1], [1, 0, 1], [0, 0, 1]])
@pytest.mark.parametrize(
    "block",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(2, 3)),
        "x[b, 0]",
        lambda x: x[1:],
        lambda x: (x, x),
        lambda x: {"x": x},
        lambda x: x.sum(),
    ],
)
def test_a_branch_beside_a_pass_through_keeps_the_shape(block: Any, control: list[int]) -> None:
    for net in (
        wye.When("control", block),
        wye.Repeat(block, "control"),
        wye.Repeat([block], "control"),
        wye.While("control", block, max_steps=2),
    ):
        with pytest.raises(wye.FlowError, match=r"changes the shape|returns not one row"):
            net(torch.randn(3, 2), control=torch.tensor(control))


@pytest.mark.parametrize("control", [[1, 1, 1], [1, 0, 1]])
def test_a_nest_beside_a_pass_through_keeps_its_keys_and_their_shapes(control: list[int]) -> None:
    x = {"a": torch.randn(3, 2), "b": (torch.randn(3, 4), torch.randn(3))}
    for block in (
        lambda x: {"a": x["a"], "c": x["b"]},
        lambda x: {"a": x["a"], "b": list(x["b"])[:1]},
        lambda x: {"a": x["a"], "b": {"0": x["b"][0], "1": x["b"][1]}},
        lambda x: {"a": x["a"][:, :1], "b": x["b"]},
        lambda x: (x["a"], *x["b"]),
    ):
        with pytest.raises(wye.FlowError, match="changes the shape"):
            wye.When("control", block)(x, control=torch.tensor(control))

    def swapped(x: Any) -> Any:
        return {"b": tuple(2 * item for item in x["b"]), "a": x["a"]}

    value = wye.When("control", swapped)(x, control=torch.tensor(control))
    assert list(value) == ["a", "b"]
    rows = torch.tensor(control).double()
    assert_close(value["b"][1], (x["b"][1] * (1 + rows)).float())


@pytest.mark.parametrize("control", [[1, 1, 1], [0, 0, 0], [1, 0, 1]])
@pytest.mark.parametrize("block", [lambda x: x.sum(0), lambda x: x.sum(), lambda x: torch.cat([x, x])])
def test_branches_return_one_row_for_each_sample(block: Any, control: list[int]) -> None:
    with pytest.raises(wye.FlowError, match="one row for each"):
        wye.When("control", block, block)(torch.randn(3, 2), control=torch.tensor(control))


# line 7: order, dtype, device, leading shape, empty batches


@pytest.mark.parametrize("control", [[1, 1, 1], [0, 0, 0], [1, 0, 1]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_dtype_is_that_of_the_flowing_value(dtype: torch.dtype, control: list[int]) -> None:
    x = torch.randn(3, 2, dtype=dtype)
    given = torch.tensor(control)

    def half(x: Tensor) -> Tensor:
        return x.bfloat16() * 2

    def wide(x: Tensor) -> Tensor:
        return x.double() * 2

    for block in (half, wide):
        nets = (
            wye.When("control", block),
            wye.When("control", block, "x * 3"),
            wye.When("control", "x * 3", block),
            wye.Repeat(block, "control"),
            wye.While("control", block, max_steps=2),
        )
        for net in nets:
            assert net(x, control=given).dtype == dtype


@pytest.mark.parametrize("control", [[1, 1, 1], [0, 0, 0], [1, 0, 1]])
def test_under_autocast_the_dtype_is_still_that_of_the_flowing_value(control: list[int]) -> None:
    x = torch.randn(3, 2, requires_grad=True)
    given = torch.tensor(control)
    layer = nn.Linear(2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
        for net in (wye.When("control", layer), wye.When("control", layer, "x * 3"), wye.Repeat(layer, "control")):
            value = net(x, control=given)
            assert value.dtype == torch.float32
            value.sum().backward()


def test_whole_numbers_flow_and_what_they_cannot_hold_is_an_error() -> None:
    ids = torch.arange(6).reshape(3, 2)
    net = wye.When("any(x == 0)", lambda x: x + 10)
    assert net(ids).tolist() == [[10, 11], [2, 3], [4, 5]]
    for control in (torch.ones(3), torch.tensor([1, 0, 0])):
        with pytest.raises(wye.FlowError, match="cannot hold"):
            wye.When("control", lambda x: x / 2)(ids, control=control)
    embedded = wye.When("any(x == 0)", nn.Embedding(10, 4), nn.Embedding(10, 4))(ids)
    assert embedded.shape == (3, 2, 4)
    assert embedded.dtype == torch.float32


@pytest.mark.parametrize("seed", range(30))
def test_an_empty_batch_passes_and_teaches_nothing(seed: int) -> None:
    pair = Pair(seed)
    x, sides = batch(1, 0, pair.drawn.nest, pair.drawn.texts)
    value = pair.net(x, **wanted(pair.net, sides))
    for ours, given in zip(tensors(value), tensors(x), strict=True):
        assert ours.shape == given.shape
        assert ours.dtype == given.dtype


@pytest.mark.parametrize("condition", ["control > 0", "mean(x) > 0", "norm(x) > 1", "level > 0"])
@pytest.mark.parametrize("per", ["sample", "batch"])
def test_an_empty_batch_of_two_branches_has_their_width_and_a_way_back(condition: str, per: str) -> None:
    net = wye.When(condition, nn.Linear(2, 3), nn.Linear(2, 3), per=per)
    x = torch.zeros(0, 2, requires_grad=True)
    given = {"control": torch.zeros(0)} if "control" in condition else {"level": 1.0} if "level" in condition else {}
    if "control" in condition and per == "batch":
        given = {"control": torch.tensor(1.0)}
    value = net(x, **given)
    assert value.shape == (0, 3)
    value.sum().backward()
    assert x.grad is not None
    assert all(weight.grad is None for weight in net.parameters())
    assert all(count.samples == 0 for count in net.paths.values())


def test_loops_on_an_empty_batch_ask_nothing() -> None:
    x = torch.zeros(0, 2)
    for net in (
        wye.While("max(x) > 0", nn.Linear(2, 2), max_steps=3, per="batch"),
        wye.While("norm(x) < 1", nn.Linear(2, 2), max_steps=3),
        wye.Repeat(nn.Linear(2, 2), "cast(max(x), 'int64')", per="batch"),
        wye.Repeat([nn.Linear(2, 2)], "die(0, 1)"),
    ):
        assert torch.equal(net(x), x)


def test_leading_shape_and_order_stay() -> None:
    x = torch.arange(24.0).reshape(4, 3, 2)
    net = wye.When("mean(x) > 10", lambda x: -x, lambda x: x + 100)
    expected = torch.stack([-one if one.mean() > 10 else one + 100 for one in x])
    assert torch.equal(net(x), expected)
    assert torch.equal(net(x.flip(0)), expected.flip(0))


def test_a_spy_sees_what_a_node_counts() -> None:
    spy = Spy()
    net = wye.While("norm(x) > 0.6", spy, max_steps=6)
    net(torch.randn(8, 4, dtype=torch.float64) * 3)
    assert spy.rows == net.paths["block"].samples
