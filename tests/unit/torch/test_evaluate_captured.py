"""`evaluate` and the losses as functions are captured whole: no break, no warning, one graph for one shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

import wye
from wye.errors import FormulaError

LINEAR = nn.Linear(4, 4)
TEMPERATURE = torch.tensor(0.1, requires_grad=True)
CALLS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "mse": lambda a, b, label: wye.losses.mse(a, b),
    "cross_entropy": lambda a, b, label: wye.losses.cross_entropy(a, label),
    "focal": lambda a, b, label: wye.losses.focal_cross_entropy(a, label, gamma=1.5, reduction="sum"),
    "clip_loss": lambda a, b, label: wye.losses.clip_loss(a, b, 0.07),
    "nt_xent": lambda a, b, label: wye.losses.nt_xent(a, b, TEMPERATURE),
    "sup_con": lambda a, b, label: wye.losses.sup_con(a, label, 0.1),
    "axes": lambda a, b, label: wye.evaluate("mean(w[b] * (x[b, k] - y[b, k]) ** 2)", w=a[:, 0], x=a, y=b),
    "part and number": lambda a, b, label: wye.evaluate("k * mean(f(x))", f=LINEAR, x=a, k=3),
    "object": lambda a, b, label: wye.evaluate(wye.Formula("sum(x * y)"), x=a, y=b, unread="more"),
}


@pytest.fixture(autouse=True)
def _fresh_graphs() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def given(rows: int) -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(rows, 4, requires_grad=True), torch.randn(rows, 4), torch.arange(rows) % 3


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_captured_whole(name: str) -> None:
    call, graphs = CALLS[name], list[torch.fx.GraphModule]()

    def count(graph: torch.fx.GraphModule, inputs: object) -> Callable[..., object]:
        graphs.append(graph)
        return graph.forward

    captured = torch.compile(call, fullgraph=True, backend=count)
    for rows in (8, 8, 6):
        values = given(rows)
        value, expected = captured(*values), call(*values)
        torch.testing.assert_close(value, expected)
        slopes = [torch.autograd.grad(one, values[0])[0] for one in (value, expected)]
        torch.testing.assert_close(*slopes)
    assert len(graphs) == 2, "one for eight rows, one for any number"


def test_another_formula_captured_later_captures_nothing_again() -> None:
    first, second = list[object](), list[object]()
    one = torch.compile(lambda x: wye.evaluate("x * 2", x=x), backend=lambda graph, _: first.append(graph) or graph)
    two = torch.compile(lambda x: wye.evaluate("x * 3", x=x), backend=lambda graph, _: second.append(graph) or graph)
    x = torch.ones(3)
    assert (one(x), two(x), one(x), two(x))[2].tolist() == [2.0, 2.0, 2.0]
    assert len(first) == len(second) == 1


def test_a_wrong_formula_is_told_in_a_capture() -> None:
    captured = torch.compile(lambda x: wye.evaluate("x + ", x=x), backend="eager", fullgraph=True)
    with pytest.raises(Exception, match="FormulaError") as caught:
        captured(torch.ones(2))
    with pytest.raises(FormulaError):
        wye.evaluate("x + ", x=torch.ones(2))
    assert "x + " in str(caught.value)
