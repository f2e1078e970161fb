"""Plain modules that are compiled: no further graph, the gradients as they are, and nothing said that is not so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wye

# Where a graph ends, the compiler asks for `.grad` of what the next one begins with, watched or not.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")

UNUSED = "the model's output does not depend on it: what it gave was detached, or not used"
SIGNS = (1.0, -1.0, 1.0, 1.0, -1.0)


class Straight(nn.Module):
    """One graph: a layer on the way, one whose output is multiplied by zero, and one that is not called."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.cut, self.unused, self.last = (nn.Linear(4, 4) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.first(x))
        return self.last(h + 0 * self.cut(h))


class Parted(nn.Module):
    """Two graphs or more: which layer runs depends on numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.plus, self.minus, self.last = (nn.Linear(4, 4) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.first(x))
        h = self.plus(h) if x.sum() > 0 else self.minus(h)
        return self.last(h)


class Nested(nn.Module):
    """A graph that ends where it is told to, inside of a block."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.block, self.last = nn.Linear(4, 4), Straight(), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        torch._dynamo.graph_break()
        return self.last(self.block(h))


NETS: list[type[nn.Module]] = [Straight, Parted, Nested]
RAN = {  # by name, whether it runs on an input of this sign
    Straight: lambda name, sign: "unused" not in name,
    Parted: lambda name, sign: {"plus": sign > 0, "minus": sign < 0}.get(name.partition(".")[0], True),
    Nested: lambda name, sign: "unused" not in name,
}


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


class Counting:
    """A backend that runs graphs as they are, and counts them."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, graph: Any, inputs: Sequence[Any]) -> Callable[..., Any]:
        self.graphs += 1
        return graph.forward


def compiled(net: nn.Module, how: str, backend: Counting) -> nn.Module:
    if how == "in place":
        net.compile(backend=backend)
        return net
    if how == "inner":
        net.get_submodule("block").compile(backend=backend)
        return net
    return torch.compile(net, backend=backend, fullgraph=how == "fullgraph")  # type: ignore[return-value]


def run(make: type[nn.Module], how: str, order: str) -> tuple[int, list[Tensor], Any, dict[str, Counter[str]]]:
    """Some steps, with the graphs, the weights at the end, the account, and the gradients looked at by hand.

    The watch begins before the net is compiled, after that, or "late", when graphs are there and ignore its hooks.
    """
    torch._dynamo.reset()
    torch.manual_seed(3)
    net, backend = make(), Counting()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    log: dict[str, Counter[str]] = {name: Counter() for name, _ in net.named_parameters()}
    seen = wye.watch(net, optimizer, every=2) if order == "before" else None
    called = compiled(net, how, backend)
    for sign in (1.0, -1.0):
        called(sign * torch.ones(3, 4)) if "late" in order else None
    seen = wye.watch(net, optimizer, every=2) if order in ("after", "late") else seen
    for sign in SIGNS:
        optimizer.zero_grad()
        called(sign * torch.ones(3, 4)).square().sum().backward()
        for name, weight in net.named_parameters():
            grad = weight.grad
            log[name]["none" if grad is None else "nonzero" if bool((grad != 0).any()) else "zero"] += 1
        optimizer.step()
    if seen:
        seen.stop()
    return backend.graphs, [weight.detach().clone() for weight in net.parameters()], seen, log


CASES = [
    (make, how, order)
    for make, ways in ((Straight, ("called", "in place", "fullgraph")), (Parted, ("called", "in place")))
    for how in ways
    for order in ("before", "after", "late")
] + [(Nested, how, order) for how in ("called", "in place", "inner") for order in ("before", "after", "late")]


@pytest.mark.parametrize(("make", "how", "order"), CASES)
def test_compiled_modules_are_told_truly_and_captured_as_often(make: type[nn.Module], how: str, order: str) -> None:
    graphs, weights, seen, log = run(make, how, order)
    plain_graphs, plain_weights, _, plain_log = run(make, how, "late, never" if order == "late" else "never")
    assert graphs == plain_graphs > 0
    assert all(map(torch.equal, weights, plain_weights))
    assert log == plain_log
    told = {name: (one.none, one.zero, one.nonzero) for name, one in seen.weights.items()}
    assert told == {name: (one["none"], one["zero"], one["nonzero"]) for name, one in log.items()}
    for name, weight in seen.weights.items():
        idle = sum(not RAN[make](name, sign) for sign in SIGNS)
        assert weight.none == sum(weight.reasons.values()) == idle
        assert weight.zero == sum(weight.zero_reasons.values())
        said = {why for why in (*weight.reasons, *weight.zero_reasons) if "run" in why or "model" in why}
        assert said <= ({f"`{name.rpartition('.')[0]}` did not run", UNUSED} if idle else set()), name
    for name, runs in seen.modules.items():
        truth = sum(RAN[make](name, sign) for sign in SIGNS)
        assert runs.calls in (0, truth), name  # in a graph nobody sees it, and the rest is all seen
        if how == "inner" and not name.startswith("block"):
            assert runs.calls == truth, name


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize(
    ("make", "how"),
    [(Straight, "called"), (Parted, "called"), (Nested, "called"), (Nested, "inner"), (Parted, "in place")],
)
def test_modules_in_graphs_that_knew_of_the_watch_are_named(make: type[nn.Module], how: str, order: str) -> None:
    _, _, seen, _ = run(make, how, order)
    captured = {name for name in seen.modules if how != "inner" or name.startswith("block")}
    assert set(seen.unseen) == {name for name in captured if any(RAN[make](name, sign) for sign in SIGNS)}
    table = seen.table()
    assert all(name in table for name in seen.unseen)


@pytest.mark.parametrize("how", ["called", "in place"])
def test_what_no_graph_told_is_not_called_idle(how: str) -> None:
    """Graphs that were there before ignore hooks: nothing is known of their modules, and nothing is said."""
    _, _, seen, _ = run(Parted, how, "late")
    assert {runs.calls for name, runs in seen.modules.items() if name} == {0}
    assert set(seen.weights["plus.weight"].reasons) == {"the loss does not depend on it"}
    assert seen.table().endswith("\nthe model: in a captured graph, which calls no hook, so its runs are not known")


def test_graphs_that_knew_nothing_of_the_watch_are_told() -> None:
    net, x = nn.Sequential(nn.Linear(2, 2), nn.ReLU()), torch.ones(3, 2)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    called = torch.compile(net, backend="aot_eager")
    called(x).sum().backward()
    optimizer.zero_grad()
    with wye.watch(called, optimizer) as seen:
        called(x).sum().backward()
        optimizer.step()
    assert (seen.unseen, {runs.calls for runs in seen.modules.values()}) == ([], {0})
    said = "gradients came, but no call of the model was seen: if compiled before, it calls no hook"
    assert seen.table().splitlines()[-1] == said


def test_a_layer_of_torch_compiled_in_place_is_captured_once_any_hook_is_on_it() -> None:
    """Without a hook torch 2.13 leaves it uncompiled, in silence; the watch's hooks do what any other does."""
    graphs = []
    for hook in (None, lambda net: net.register_forward_hook(lambda *_: None), wye.watch):
        torch._dynamo.reset()
        backend, net = Counting(), nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        if hook is not None:
            hook(net)
        net.compile(backend=backend)
        net(torch.ones(1, 2))
        graphs.append(backend.graphs)
    assert graphs == [0, 1, 1]
