"""Faults of torch 2.13 that our nodes must not pass on; beside each, a few plain lines that show the fault itself.

When one of those plain tests fails, torch has mended its fault, and the cure in `flow/captured.py` may go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import wye

WHILE_LOOP: Any = torch.while_loop  # type: ignore[attr-defined]


class Times(nn.Module):
    """y = w·x."""

    def __init__(self, w: float = 2.0) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.w * x


def captured(module: Any, backend: str = "aot_eager") -> Any:
    torch._dynamo.reset()
    return torch.compile(module, backend=backend, fullgraph=True)


def number(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 1)


# the faults themselves


def loop(times: int, learns: bool) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """x ← w·x so many times, as one loop of a graph: the value and the gradients of x and w."""
    block = Times()

    def run(n: Tensor, x: Tensor) -> Tensor:
        _, y = WHILE_LOOP(
            lambda i, x: i < n, lambda i, x: (i + 1, block(x)), (torch.zeros((), dtype=torch.int64), x.clone())
        )
        return y  # type: ignore[no-any-return]

    x = number(3.0).requires_grad_(learns)
    y = captured(run)(torch.tensor(times), x)
    y.sum().backward()
    return y.detach(), x.grad, block.w.grad


def test_the_fault_of_a_loop_of_no_round() -> None:
    y, dx, dw = loop(0, learns=True)
    assert y.item() == 3.0
    assert dx is not None
    assert dx.item() == 2.0, "torch now gives 1: mended"
    assert dw is not None
    assert dw.item() == 3.0, "torch now gives 0: mended"


def test_the_fault_of_a_carry_without_gradient() -> None:
    y, _, dw = loop(3, learns=False)
    assert y.item() == 24.0
    assert dw is not None
    assert dw.item() == 12.0, "torch now gives 36, of all rounds: mended"


def test_the_fault_of_where() -> None:
    x = number(0.0, 4.0).requires_grad_()
    torch.where(x > 1, x.sqrt(), x).sum().backward()
    assert x.grad is not None
    assert x.grad.isnan().tolist() == [[True], [False]], "torch now gives 1: mended"


# the nodes


def while_of(steps: int) -> Callable[[nn.Module], Any]:
    return lambda block: wye.While("count > 0 and norm(x) < bound", block, max_steps=steps)


NODES: dict[str, Callable[[nn.Module], Any]] = {
    "While, written out": while_of(5),
    "While, a loop": while_of(50),
    "Repeat": lambda block: wye.Repeat(block, "count"),
}
every_node = pytest.mark.parametrize("kind", NODES)


def check(kind: str, learns: bool, rounds: list[int], backend: str = "aot_eager") -> None:
    """x ← 2·x as often as each sample wants: 2^n·x, of which dx = 2^n and dw = Σ n·2^(n-1)·x."""
    block = Times()
    net = NODES[kind](block)
    x = number(*(3.0 + i for i in range(len(rounds)))).requires_grad_(learns)
    counts = torch.tensor(rounds)
    # A While stops by its bound: of a sample that is to run n rounds, below 2^n·x for the first time.
    bound = x.detach().squeeze(1) * 2.0**counts - 0.5
    sides = {"count": counts} if kind == "Repeat" else {"count": counts, "bound": bound}
    y = captured(net, backend)(x, **sides)
    power = number(*(2.0**n for n in rounds))
    assert_close(y.detach(), power * x.detach(), rtol=1e-12, atol=0)
    if y.requires_grad:
        y.sum().backward()
    if learns:
        assert x.grad is not None
        assert_close(x.grad, power, rtol=1e-12, atol=0)
    slope = sum(n * 2.0 ** (n - 1) * float(v) for n, v in zip(rounds, x.detach(), strict=True))
    got = 0.0 if block.w.grad is None else block.w.grad.item()
    assert got == pytest.approx(slope, rel=1e-12)


@every_node
@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize("rounds", [[0, 0], pytest.param([3, 3], marks=pytest.mark.long), [0, 3, 1]], ids=str)
def test_loops(kind: str, learns: bool, rounds: list[int]) -> None:
    check(kind, learns, rounds)


@pytest.mark.long
@every_node
def test_loops_under_inductor(kind: str) -> None:
    for learns in (True, False):
        check(kind, learns, [0, 3, 1], "inductor")


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", ["When", "Switch", "While", "Repeat"])
def test_what_is_not_taken_poisons_nothing(kind: str, backend: str) -> None:
    net: Any = {
        "When": lambda: wye.When("x > 1", "sqrt(x)"),
        "Switch": lambda: wye.Switch("x > 1", None, "sqrt(x)"),
        "While": lambda: wye.While("x > 3", "sqrt(x)", max_steps=50),
        "Repeat": lambda: wye.Repeat("sqrt(x)", "n"),
    }[kind]()
    sides = {"n": torch.tensor([0, 1])} if kind == "Repeat" else {}
    for run in (net, captured(net, backend)):
        x = number(0.0, 4.0).requires_grad_()
        y = run(x, **sides)
        y.sum().backward()
        assert y.tolist() == [[0.0], [2.0]]
        assert x.grad is not None
        assert x.grad.tolist() == [[1.0], [0.25]]


def test_scan_is_not_used() -> None:
    """`scan` gives wrong gradients of weights under inductor: the graphs of loops hold none."""
    for kind, make in NODES.items():
        graphs: list[str] = []

        def keep(graph: torch.fx.GraphModule, inputs: list[Any], graphs: list[str] = graphs) -> Any:
            graphs.append(graph.print_readable(print_output=False))
            return graph.forward

        torch._dynamo.reset()
        sides = {"count": torch.tensor([1, 2]), "bound": torch.tensor([9.0, 9.0], dtype=torch.float64)}
        if kind == "Repeat":
            del sides["bound"]
        torch.compile(make(Times()), backend=keep, fullgraph=True)(number(1.0, 2.0).requires_grad_(), **sides)
        assert graphs
        assert all("higher_order.scan" not in graph for graph in graphs)
        assert any("while_loop" in graph for graph in graphs) is (kind != "While, written out")
