"""Side inputs that are plain numbers and change from call to call: a graph says what a loop by hand does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import wye

X = torch.randn(6, 3, generator=torch.Generator().manual_seed(2))


def through(blocks: list[nn.Module], x: Tensor) -> Tensor:
    for block in blocks:
        x = block(x)
    return x


def longer(x: Tensor, n: float) -> Tensor:
    return (x.norm(dim=1) > n)[:, None]


NODES: dict[str, tuple[Callable[..., nn.Module], Callable[..., Tensor], tuple[Any, ...]]] = {
    "when": (lambda a, b: wye.When("n > 0.5", a), lambda x, n, a, b: a(x) if n > 0.5 else x, (0.2, 0.7, 0.9, 0.1)),
    "row": (
        lambda a, b: wye.When("norm(x) > n", a),
        lambda x, n, a, b: torch.where(longer(x, n), a(x), x),
        (1.5, 0.1, 9.0, 2),
    ),
    "switch": (lambda a, b: wye.Switch("n", a, None, b), lambda x, n, a, b: [a(x), x, b(x)][n], (0, 1, 2, 1)),
    "repeat": (lambda a, b: wye.Repeat(a, "n"), lambda x, n, a, b: through([a] * n, x), (2, 3, 0, 5)),
    "while": (
        lambda a, b: wye.While("norm(x) > n", a, max_steps=1),
        lambda x, n, a, b: torch.where(longer(x, n), a(x), x),
        (1.5, 0.1, 9.0),
    ),
}


@pytest.mark.parametrize("name", NODES)
@pytest.mark.parametrize("warm", [True, False])
def test_a_number_may_change_from_call_to_call(name: str, warm: bool) -> None:
    torch.manual_seed(3)
    torch._dynamo.reset()
    make, by_hand, numbers = NODES[name]
    blocks = [nn.Sequential(nn.Linear(3, 3), nn.Tanh()) for _ in range(2)]
    node = make(*blocks)
    call = torch.compile(node, fullgraph=True, backend="aot_eager")
    for number in numbers:
        if warm:
            node(X, n=number)
        assert_close(call(X, n=number), by_hand(X, number, *blocks))
