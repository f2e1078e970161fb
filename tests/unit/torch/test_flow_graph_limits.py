"""What a captured graph could do in silence, and does not: draw in loops, learn from nothing, write into its input."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import wye


class Block(nn.Module):
    """One that draws by a function, which no list of classes would tell."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.inner, self.rate = nn.Linear(3, 3), rate

    def forward(self, x: Tensor, gain: Tensor) -> Tensor:
        return F.dropout(self.inner(x), self.rate, self.rate > 0) * gain[:, None]


def captured(net: nn.Module) -> nn.Module:
    torch._dynamo.reset()
    return torch.compile(net, fullgraph=True, backend="aot_eager")  # type: ignore[return-value]


def test_a_block_that_draws_by_a_function_is_refused_in_a_loop_of_the_graph() -> None:
    sides = {"count": torch.tensor([1, 0, 3]), "gain": torch.ones(3)}
    with pytest.raises(Exception, match="cannot hold this block") as caught:
        captured(wye.Repeat(Block(0.5), "count"))(torch.randn(3, 3), **sides)
    assert "got: Block draws random numbers" in str(caught.value)
    net, x = wye.Repeat(Block(0.0), "count"), torch.randn(3, 3)
    torch.testing.assert_close(captured(net)(x, **sides), net(x, **sides))


def test_a_captured_batch_of_nothing_moves_no_branch() -> None:
    net = wye.Chain(nn.Linear(3, 3), wye.When("norm(x) > 0", nn.Linear(3, 3)))
    compiled, optimizer = captured(net), torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    weight = net[1].then.weight  # type: ignore[union-attr]
    for size, moves in ((4, True), (0, False), (4, True)):
        before = weight.detach().clone()
        optimizer.zero_grad()
        compiled(torch.randn(size, 3)).sum().backward()
        optimizer.step()
        assert torch.equal(weight, before) is not moves
        assert (weight.grad is None) is not moves


def test_a_captured_branch_leaves_the_value_as_it_came() -> None:
    x = -torch.ones(2, 3)
    for net, sides in (
        (wye.When("c > 0.5", nn.ReLU(inplace=True)), {"c": 1.0}),
        (wye.Repeat(nn.ReLU(inplace=True), 2), {}),
        (wye.When("max(x) < 5", nn.ReLU(inplace=True)), {}),
    ):
        assert torch.equal(captured(net)(x, **sides), torch.zeros(2, 3))
        assert torch.equal(x, -torch.ones(2, 3))
