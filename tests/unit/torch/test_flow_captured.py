"""What a captured node counts, what it returns, and how often it is captured, beside the same node in eager."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wye
from wye.torch.flow.node import Node

Sides = Callable[[int], dict[str, Any]]


def layer() -> nn.Module:
    return nn.Linear(3, 3)


def kinds(step: int) -> dict[str, Any]:
    return {"kind": (torch.arange(5) * (step + 1)) % 3}


def nothing(step: int) -> dict[str, Any]:
    return {}


NETS: dict[str, tuple[Callable[[], Node], Sides]] = {
    "switch": (lambda: wye.Switch("kind", layer(), layer(), None), kinds),
    "choice": (lambda: wye.RandomChoice(layer(), layer(), weights=[1, 2]), nothing),
    "exit": (lambda: wye.EarlyExit([layer(), layer()], [layer(), layer()], "max(x) > 0.4"), nothing),
    "all exits": (lambda: wye.EarlyExit([layer(), layer()], [layer(), layer()], "max(x) > 0", all_exits=True), nothing),
    "when": (lambda: wye.When("kind > 0", nn.Linear(3, 6), "concat(x, x)"), kinds),
    "repeat": (lambda: wye.Repeat([layer(), layer()], "kind"), kinds),
    "long repeat": (lambda: wye.Repeat(layer(), "kind"), kinds),
    "long while": (lambda: wye.While("norm(x) > 1", nn.Sequential(layer(), nn.Tanh()), max_steps=40), nothing),
}


def total(value: Any) -> Tensor:
    return sum((one.square().sum() for one in (value if isinstance(value, tuple) else (value,))), torch.zeros(()))


def gradients(net: nn.Module) -> dict[str, Tensor]:
    """Those that are not zero: in a graph a branch that takes nobody runs on no rows, until the step."""
    found = {name: weight.grad for name, weight in net.named_parameters()}
    return {name: grad for name, grad in found.items() if grad is not None and bool(grad.any())}


def counts(net: Node) -> dict[str, tuple[int, int]]:
    return {path: (count.calls, count.samples) for path, count in net.paths.items() if count.calls}


@pytest.mark.parametrize("name", NETS)
def test_a_graph_returns_and_counts_what_eager_does(name: str) -> None:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    make, sides = NETS[name]
    torch.manual_seed(6)
    net = make().double()
    twin = copy.deepcopy(net)
    captured = torch.compile(net, fullgraph=True, backend="aot_eager")
    optimizers = [torch.optim.SGD(one.parameters(), lr=0.1, momentum=0.9) for one in (net, twin)]
    for step in range(4):
        x, y = (2 * torch.randn(5, 3, generator=torch.Generator().manual_seed(step)).double() for _ in range(2))
        for one in (x, y):
            one.requires_grad_()
        for optimizer in optimizers:
            optimizer.zero_grad()
        mine, plain = captured(x, **sides(step)), twin(y, **sides(step))
        torch.testing.assert_close(mine, plain)
        total(mine).backward()
        total(plain).backward()
        torch.testing.assert_close(x.grad, y.grad)
        torch.testing.assert_close(gradients(net), gradients(twin))
        for optimizer in optimizers:
            optimizer.step()
        assert counts(net) == {path: count for path, count in counts(twin).items() if path in net.paths}
        for weight, other in zip(net.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(weight, other)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


def test_tokens_are_parted_in_a_graph_too() -> None:
    torch._dynamo.reset()
    torch.manual_seed(6)
    net = wye.Switch("kind", nn.Linear(3, 4), nn.Linear(3, 4), per="token")
    x, kind = torch.randn(2, 5, 3), torch.randint(2, (2, 5))
    first, second = net.get_submodule("0"), net.get_submodule("1")
    value = torch.compile(net, fullgraph=True, backend="aot_eager")(x, kind=kind)
    torch.testing.assert_close(value, torch.where(kind[..., None] == 0, first(x), second(x)))
    assert net.paths["1"].samples == int(kind.sum())


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("control", [0.2, 0.7])
def test_an_exported_graph_freezes_no_number(control: float, warm: bool) -> None:
    net, x = wye.When("control > 0.5", nn.Linear(2, 2)).eval(), torch.randn(3, 2)
    if warm:
        net(x, control=control)
    with pytest.raises(Exception, match="would keep the number `control` as it is now") as caught:
        torch.export.export(net, (x,), {"control": control})
    assert f"fix: give a tensor: control=torch.tensor({control})" in str(caught.value)
    exported = torch.export.export(net, (x,), {"control": torch.tensor(control)}).module()
    for other in (0.2, 0.7):
        torch.testing.assert_close(exported(x, control=torch.tensor(other)), net(x, control=other))
