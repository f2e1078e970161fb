"""What flow does under autocast while it is captured, with numbers that are NaN, and with all exits of no samples."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import wye
from wye.torch.flow.captured import draws

X = torch.randn(6, 3, generator=torch.Generator().manual_seed(2))
C = torch.tensor([0.0, 1, 0, 1, 1, 0])


def block() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 3), nn.Tanh())


NODES = {
    "when": lambda: wye.When("c > 0.5", block()),
    "switch": lambda: wye.Switch("c", block(), None),
    "repeat": lambda: wye.Repeat([block(), block()], "c"),
    "while": lambda: wye.While("norm(x) > 0.5 and c > 0.5", block(), max_steps=2),
}


@pytest.mark.parametrize("name", NODES)
def test_under_autocast_a_graph_returns_the_dtype_that_flows(name: str) -> None:
    """Branches return bfloat16 there, which is cast; eager says what comes out."""
    torch.manual_seed(3)
    torch._dynamo.reset()
    node = NODES[name]()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = torch.compile(node, fullgraph=True, backend="aot_eager")(X, c=C)
        assert_close(value, node(X, c=C))
    assert value.dtype is torch.float32
    assert not torch.equal(value, node(X, c=C))  # bfloat16 was in it


def test_a_graph_refuses_floats_where_whole_numbers_flow() -> None:
    torch._dynamo.reset()
    with pytest.raises(torch._dynamo.exc.InternalTorchDynamoError, match="what the value that flows cannot hold"):
        torch.compile(wye.When("c > 0.5", "x / 2"), fullgraph=True, backend="aot_eager")(X.long(), c=C)


@pytest.mark.parametrize(
    ("node", "sides"),
    [
        (wye.When("level", block()), {"level": float("nan")}),
        (wye.When("level", block(), level=float("nan")), {}),
        (wye.When(lambda x: float("nan"), block()), {}),
        (wye.While("level", block(), max_steps=2), {"level": float("nan")}),
        (wye.EarlyExit([block(), block()], [block(), block()], "level"), {"level": float("nan")}),
    ],
)
def test_a_number_that_is_none_decides_nothing(node: nn.Module, sides: dict[str, Any]) -> None:
    """Python takes NaN for true."""
    for _ in range(2):
        with pytest.raises(wye.FlowError, match="is not a number"):
            node(X, **sides)


def test_all_exits_of_no_samples_teach_nothing() -> None:
    """Zeros would let momentum move the weights."""
    net = wye.EarlyExit([block(), block()], [nn.Linear(3, 2), nn.Linear(3, 2)], "max(x) > 0", all_exits=True)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    torch.stack(net(X)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    before = [weight.detach().clone() for weight in net.parameters()]
    empty = X[:0].clone().requires_grad_()
    torch.stack(net(empty)).sum().backward()
    optimizer.step()
    assert empty.grad is not None
    assert all(weight.grad is None for weight in net.parameters())
    assert all(torch.equal(old, weight) for old, weight in zip(before, net.parameters(), strict=True))


def test_layers_that_draw_stand_in_no_loop_of_a_graph() -> None:
    assert draws(nn.MultiheadAttention(4, 2, dropout=0.5))
    assert draws(nn.LSTM(4, 4, num_layers=2, dropout=0.5))
    assert not draws(nn.MultiheadAttention(4, 2))
    torch._dynamo.reset()
    net = torch.compile(wye.While("norm(x) > 1", nn.Dropout(0.5), max_steps=40), fullgraph=True, backend="aot_eager")
    with pytest.raises(torch._dynamo.exc.InternalTorchDynamoError, match="Dropout in the block"):
        net(X)
