"""The law of bits on plain torch: its layers, loops, captures and copies."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import tests.laws.bits_layers
import tests.laws.bits_loops  # noqa: F401
import wye
from tests.laws.bits import SCENES, SEED, SETTINGS, Run, adam, assert_same_bits, deep, momentum


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")  # an encoder's own
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("name", SCENES)
def test_plain_torch(name: str, settings: dict[str, Any]) -> None:
    assert_same_bits(SCENES[name], settings)


class Counting:
    """A backend of `torch.compile` that counts the graphs it is given."""

    def __init__(self, then: str) -> None:
        self.graphs, self.then = 0, torch._dynamo.lookup_backend(then)

    def __call__(self, graph: Any, example: Any) -> Any:
        self.graphs += 1
        return self.then(graph, example)


class Branching(nn.Module):
    """Dropout, a buffer, a graph break, and a layer that runs on some steps."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)
        self.norm, self.drop = nn.BatchNorm1d(6), nn.Dropout(0.2)

    def forward(self, x: Tensor, deep: bool) -> Tensor:
        x = self.norm(self.a(x))
        torch._dynamo.graph_break()
        if deep:
            x = torch.relu(self.b(x))
        return self.c(self.drop(x))


def compiled(run: Run, first: bool, then: str, in_place: bool) -> int:
    """Trains a compiled net; the number of graphs. The watch comes before the compiler, after it, or after a step."""
    torch._dynamo.reset()
    counting, net, x = Counting(then), Branching(), torch.rand(8, 6)
    optimizer = adam(net)
    if first:
        run.watch(net, optimizer)
    if in_place:
        net.compile(backend=counting)
    called = net if in_place else torch.compile(net, backend=counting)
    if not first:
        run.step(optimizer, called(x, True).square().mean())
        run.watch(called, optimizer)
    for step in range(6):
        run.step(optimizer, called(x, step % 2 == 0).square().mean())
        if step == 3:
            net.eval()
            with torch.no_grad():
                run.note("eval", called(x, True))
            net.train()
    torch._dynamo.reset()
    return counting.graphs


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")  # a graph break's
@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("then", ["eager", pytest.param("aot_eager", marks=pytest.mark.long)])
def test_a_compiled_net_has_the_same_bits_and_as_many_graphs(then: str, first: bool, in_place: bool) -> None:
    graphs = list[int]()
    assert_same_bits(lambda run: graphs.append(compiled(run, first, then, in_place)), {"every": 1})
    assert graphs[0] == graphs[1] > 0


def saved(net: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net)), saved])
@pytest.mark.parametrize("make", [deep, lambda: wye.Chain(nn.Linear(6, 4), wye.When("mean(x) > 0", nn.Linear(4, 4)))])
def test_a_copy_is_nobodys_to_watch(make: Callable[[], nn.Module], copied: Callable[[Any], Any]) -> None:
    torch.manual_seed(SEED)
    net, x = make(), torch.rand(5, 6)
    optimizer = momentum(net)
    with wye.watch(net, optimizer) as seen:
        net(x).square().mean().backward()
        optimizer.step()
        before = seen.json()
        other = copied(net)
        theirs = momentum(other)
        for _ in range(3):
            other(x).square().mean().backward()
            theirs.step()
            theirs.zero_grad()
        assert seen.json() == before
        wanted = net(x)
    again = copied(net)
    assert torch.equal(again(x), wanted)
    assert list(again.state_dict()) == list(make().state_dict())
    assert not any(one._forward_hooks or one._forward_pre_hooks for one in net.modules())
    with wye.watch(other, theirs) as seen:
        other(x).square().mean().backward()
        theirs.step()
    assert seen.steps == 1
    assert sum(path.calls for path in seen.ways.values()) == 1


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_script_takes_no_hook_and_runs_all_the_same() -> None:
    script = torch.jit.script(deep())
    for net, ways in ((nn.Sequential(script, nn.ReLU()), {("1",): 2}), (script, {})):
        optimizer = momentum(net)
        with wye.watch(net, optimizer, every=1) as seen:
            for _ in range(2):
                optimizer.zero_grad()
                net(torch.rand(3, 6)).square().sum().backward()
                optimizer.step()
        assert {way: path.calls for way, path in seen.ways.items()} == ways
        assert all(one.nonzero == 2 for one in seen.weights.values())
