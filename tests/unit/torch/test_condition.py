"""What may decide, and for which samples it then does: each against a mask written by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wye

X = torch.tensor([[3.0, 4.0], [0.1, 0.2], [-1.0, 2.0], [0.0, 0.0]])


def first(value: Any) -> Tensor:
    """The first tensor of a nest."""
    if isinstance(value, Tensor):
        return value
    return first(next(iter(value.values()) if isinstance(value, dict) else iter(value)))


def taken(
    condition: Any, x: Any = X, per: str = "sample", sides: dict[str, Any] | None = None, **parts: Any
) -> list[bool]:
    """For each sample whether it ran the branch."""

    def marked(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: marked(item) for key, item in value.items()}
        if isinstance(value, tuple):
            return tuple(map(marked, value))
        return value + 1 if value.dtype != torch.bool else ~value

    net = wye.When(condition, marked, per=per, **parts)
    after = net(x, **(sides or {}))
    changed = (first(after) != first(x)).flatten(1).any(1).tolist()
    assert net.paths["then"].samples == sum(changed)
    assert net.paths["passed"].samples == len(changed) - sum(changed)
    return changed


NONE, ALL = [False] * 4, [True] * 4

SIDES = [
    ("c > 0.5", 0.0, NONE),
    ("c > 0.5", 1, ALL),
    ("c", True, ALL),
    ("c > 0.5", torch.tensor(1.0), ALL),
    ("c > 0.5", torch.tensor(0), NONE),
    ("c", torch.tensor(True), ALL),
    ("c > 0.5", torch.tensor([0.0, 1.0, 0.6, 0.4]), [False, True, True, False]),
    ("c > 0.5", torch.tensor([[0.0], [1.0], [0.6], [0.4]]), [False, True, True, False]),
    ("c > 0.5", torch.tensor([0.0, 1.0, 0.75, 0.25], dtype=torch.bfloat16), [False, True, True, False]),
    ("c > 0.5", torch.tensor([0.0, 1.0, 0.6, 0.4], dtype=torch.float64), [False, True, True, False]),
    ("c", torch.tensor([True, False, False, True]), [True, False, False, True]),
    ("c", torch.tensor([[True], [False], [False], [True]]), [True, False, False, True]),
    ("not c", torch.tensor([True, False, False, True]), [False, True, True, False]),
    ("c", torch.tensor([0, 2, -1, 0]), [False, True, True, False]),
    ("c == 2", torch.tensor([0, 2, 1, 2]), [False, True, False, True]),
    ("c % 2 == 0", torch.tensor([0, 2, 1, 3]), [True, True, False, False]),
    ("c == 255", torch.tensor([0, 255, 1, 255], dtype=torch.uint8), [False, True, False, True]),
    ("any(c > 0)", torch.tensor([[0, 1], [0, 0], [-1, -1], [1, 1]]), [True, False, False, True]),
    ("c[k] > 0 and k == 0", torch.zeros(4, 2), None),
    ("sum(c[k]) > 1", torch.tensor([[0.0, 1], [1, 1], [2, 0], [0, 0]]), [False, True, True, False]),
    ("norm(x - c) < 0.5", torch.tensor([[3.0, 4.0], [9, 9], [9, 9], [0, 0.1]]), [True, False, False, True]),
    ("norm(x) > c", torch.tensor([9.0, 0.1, 2.0, 0.0]), [False, True, True, False]),
    ("norm(x) > c", 1.0, [True, False, True, False]),
    ("norm(x) > c", torch.tensor(1.0), [True, False, True, False]),
    ("max(x) > c and norm(x) < 3", 1.0, [False, False, True, False]),
    ("all(x * c > 0)", torch.tensor([1.0, 1.0, -1.0, 1.0]), [True, True, False, False]),
]


@pytest.mark.parametrize(("text", "side", "expected"), SIDES, ids=[f"{t}-{i}" for i, (t, _, _) in enumerate(SIDES)])
def test_side_inputs_of_every_kind(text: str, side: Any, expected: list[bool] | None) -> None:
    if expected is None:
        with pytest.raises(wye.FlowError, match="one element for each sample"):
            taken(text, sides={"c": side})
    else:
        assert taken(text, sides={"c": side}) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("norm(x) > 1", [True, False, True, False]),
        ("any(x < 0)", [False, False, True, False]),
        ("all(x > 0)", [True, True, False, False]),
        ("mean(x) > 1", [True, False, False, False]),
        ("x[d] > 0 and x[d] < 1", None),
        ("x[0, ...] > 0", [True, True, False, False]),
        ("max(x, axis=-1) > 1.5", [True, False, True, False]),
        ("max(x, axis=0) > 1.5", [True, False, True, False]),
        ("sum(x[d] ** 2, d) > 1", [True, False, True, False]),
        ("n = norm(x)\nn > 1 and n < 3", [False, False, True, False]),
        ("0.1 < norm(x) < 3", [False, True, True, False]),
        (True, ALL),
        (False, NONE),
        (0, NONE),
        (0.7, ALL),
        (lambda x: x[:, 0] > 0, [True, True, False, False]),
        (lambda x: x[:, :1] > 0, [True, True, False, False]),
        (lambda x: x[:, 0].round(), [True, False, True, False]),
        (lambda x: x.sum() > 0, ALL),
        (lambda x: True, ALL),
        (lambda x: (x.sum() > 100).item(), NONE),
        (lambda x: x.sum().numpy() > 0, ALL),
        (nn.Flatten(0), None),
    ],
)
def test_what_it_reads_of_the_flowing_value(text: Any, expected: list[bool] | None) -> None:
    if expected is None:
        with pytest.raises(wye.FlowError, match="one element for each sample"):
            taken(text)
    else:
        assert taken(text) == expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [("mean(x[c, h, w]) > 0.2", [True, False, True]), ("max(mean(x[c, h, w], h, w)) > 0.2", [True, False, True])],
)
def test_images_are_read_one_by_one(condition: str, expected: list[bool]) -> None:
    light = torch.tensor([0.9, 0.1, 0.4])
    x = light[:, None, None, None] * torch.ones(3, 3, 5, 4)
    assert taken(condition, x) == expected
    assert taken("mean(x) > 0.2", x) == expected


def test_the_whole_batch_is_seen_per_batch() -> None:
    assert taken("mean(x) > 1", per="batch") == ALL
    assert taken("mean(x) > 1.1", per="batch") == NONE
    assert taken("mean(x[b, d], b)[0] < 1", per="batch") == ALL
    assert taken("size(b) == 4 and sum(x[b, d]) > 0", per="batch") == ALL
    assert taken("max(c) > 3", per="batch", sides={"c": torch.tensor([0, 1, 2, 4])}) == ALL
    assert taken(lambda x: x.max() > 3, per="batch") == ALL
    assert taken(lambda x: (x.max() > 3)[None], per="batch") == ALL


@pytest.mark.parametrize("condition", ["norm(x, axis=-1) > 1", "c > 0", lambda x: x[:, 0] > 0])
def test_per_batch_has_one_element(condition: Any) -> None:
    with pytest.raises(wye.FlowError, match="more than one element for the batch"):
        taken(condition, per="batch", sides={"c": torch.ones(4)} if condition == "c > 0" else None)


def test_parts_decide_too() -> None:
    gate = nn.Linear(2, 1)
    by_hand = (X @ gate.weight.T + gate.bias > 0).flatten().tolist()
    assert taken("gate(x) > 0", gate=gate) == by_hand
    assert taken("norm(x) > bound", bound=1.0) == [True, False, True, False]
    assert taken("norm(x) > bound", bound=torch.tensor(1.0)) == [True, False, True, False]
    assert taken("norm(x) > bound", bound=nn.Parameter(torch.tensor(1.0))) == [True, False, True, False]
    assert taken("far > 1", far="norm(x - centre)", centre=torch.tensor([3.0, 4.0])) == [False, True, True, True]
    assert taken("far(x) > 1", far=lambda x: x.abs().sum(1)) == [True, False, True, False]
    assert taken(gate_of(2.0)) == [True, False, False, False]
    assert taken("flag", flag=torch.tensor(1.0)) == ALL
    assert taken("flag", flag=True) == ALL


def gate_of(bound: float) -> nn.Module:
    class Gate(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, 0] - bound

    class Above(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gate = Gate()

        def forward(self, x: Tensor) -> Tensor:
            return self.gate(x) > 0

    return Above()


def test_a_tensor_part_decides_every_time() -> None:
    net = wye.When("flag > 0", "x + 1", flag=torch.tensor(1.0))
    for _ in range(3):
        assert torch.equal(net(X), X + 1)
    net.flag = torch.tensor(-1.0)
    assert torch.equal(net(X), X)


def test_no_gradient_comes_through_a_condition() -> None:
    gate = nn.Linear(2, 1)
    x = X.clone().requires_grad_()
    wye.When("gate(x) > 0", nn.Linear(2, 2), gate=gate)(x).sum().backward()
    assert gate.weight.grad is None


def test_named_formulas_numbers_and_schedules_are_assigned_while_running() -> None:
    net = wye.When("far > bound", "x + 1", far="norm(x)", bound=wye.Schedule("step + 1"))
    assert net(X)[:, 0].tolist() == [4.0, X[1, 0].item(), 0.0, 0.0]
    net.far = "max(x)"
    net.advance()
    assert net.bound == 2
    assert net(X)[:, 0].tolist() == [4.0, X[1, 0].item(), -1.0, 0.0]
    with pytest.raises(wye.InputError, match="no side input"):
        net.far = "norm(x) * other"
    assert net(X)[:, 0].tolist() == [4.0, X[1, 0].item(), -1.0, 0.0]
    number = wye.When("norm(x) > bound", "x + 1", bound=1.0)
    assert number(X)[0, 0] == 4
    number.bound = 100.0
    assert torch.equal(number(X), X)


def test_items_of_dicts_and_tuples_are_read() -> None:
    first = X[:, 0]
    nested = {"a": X, "b": (first, X > 0)}
    assert taken('norm(x["a"]) > 1', nested) == [True, False, True, False]
    assert taken('x["b"][0] > 0', nested) == [True, True, False, False]
    assert taken('any(x["b"][1])', nested) == [True, True, True, False]
    assert taken('norm(x["a"]) > 1 and c > 0', nested, sides={"c": torch.tensor([0.0, 1, 1, 1])}) == [
        False,
        False,
        True,
        False,
    ]
    assert taken("norm(x[0]) > c", (X, first), sides={"c": torch.tensor([0.0, 1, 1, 1])}) == [True, False, True, False]
    assert taken('mean(x["a"]) > 1', nested, per="batch") == ALL


def test_nested_side_inputs_travel_with_their_samples() -> None:
    side = {"low": torch.tensor([0.0, 1.0, 2.0, 3.0]), "pair": (torch.zeros(4, 2), torch.tensor(7.0)), "none": None}

    def block(x: Tensor, bounds: dict[str, Any]) -> Tensor:
        assert bounds["pair"][0].shape == x.shape
        assert bounds["none"] is None
        return x + bounds["low"][:, None] + bounds["pair"][1]

    net = wye.When('bounds["low"] > 0.5', block)
    expected = X + torch.tensor([[0.0], [8.0], [9.0], [10.0]])
    assert torch.equal(net(X, bounds=side), expected)
    assert torch.equal(wye.Repeat(block, 'bounds["low"] > 0.5')(X, bounds=side), expected)
    loop = wye.While('bounds["low"] > 0.5', block, max_steps=1)
    assert torch.equal(loop(X, bounds=side), expected)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8, torch.bool])
def test_whole_numbers_that_flow_are_read(dtype: torch.dtype) -> None:
    ids = torch.tensor([[0, 1], [1, 1], [0, 0], [1, 0]]).to(dtype)
    assert taken("any(x == 0)", ids) == [True, False, True, True]
    assert taken("sum(x) > 1", ids) == [False, True, False, False]
    assert taken("mean(x) > 0.4", ids) == [True, True, False, True]
    assert taken("max(x) == 1", ids) == [True, True, False, True]


@pytest.mark.parametrize("times", ["n", "n + 0.0", "where(norm(x) > 0, n, n)", "max(n)"])
def test_times_are_whole_numbers_of_any_dtype(times: str) -> None:
    for n in (
        torch.tensor([0, 2, 1, 3]),
        torch.tensor([0.0, 2, 1, 3]),
        torch.tensor([[0], [2], [1], [3]], dtype=torch.int32),
    ):
        net = wye.Repeat("x + 1", times)
        assert torch.equal(net(X, n=n), X + n.reshape(4, 1))
    assert torch.equal(wye.Repeat("x + 1", "n")(X, n=2), X + 2)
    assert torch.equal(wye.Repeat("x + 1", "n")(X, n=torch.tensor(2)), X + 2)
    assert torch.equal(wye.Repeat("x + 1", "n")(X, n=2.0), X + 2)


@pytest.mark.parametrize(
    "times", [float("nan"), float("inf"), -1, 1.5, torch.tensor([0, 1.5, 0, 0]), torch.tensor([0, -1, 0, 0])]
)
def test_other_times_are_an_error(times: Any) -> None:
    for block in ("x + 1", ["x + 1", "x + 2"]):
        with pytest.raises(wye.FlowError, match="whole number"):
            wye.Repeat(block, "n")(X, n=times)
    with pytest.raises(wye.FlowError, match="from 0 to 2"):
        wye.Repeat(["x + 1", "x + 2"], "n")(X, n=torch.tensor([0, 1, 2, 3]))


def test_what_is_not_a_number_decides_nothing() -> None:
    with pytest.raises(wye.FlowError, match="not a number"):
        taken("c", sides={"c": torch.tensor([0.0, float("nan"), 1, 1])})
    with pytest.raises(wye.FlowError, match="neither a tensor nor a number"):
        taken(lambda x: [True, False, True, True])
    with pytest.raises(wye.FlowError, match="neither a tensor nor a number"):
        taken(lambda x: None)


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "norm", "logsumexp"])
def test_one_number_of_a_sample_is_reduced_alone(name: str) -> None:
    x = torch.randn(6, 3)
    net = wye.When(f"{name}(sum(x[k])) > 0.5", nn.Linear(3, 3))
    totals = x.sum(1).abs() if name == "norm" else x.sum(1)
    assert (net(x) != x).any(1).tolist() == (totals > 0.5).tolist()
