"""M21: the paths that ran, held against the dice and against hooks of the test's own."""

from __future__ import annotations

import copy
import random
from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from examples import m21_dynamic_graph_or_tree as example
from tests.examples.training import assert_close, assert_same_gradients

SEED, STEPS, SIZE = 7, 40, 50


def data() -> tuple[Tensor, Tensor]:
    """Fewer images than a batch takes: each step sees all of them."""
    return torch.rand(SIZE, 64), torch.randint(0, 10, (SIZE,))


def plain(net: nn.Module, x: Tensor, depth: int, shared: bool) -> Tensor:
    """A wye network by hand."""
    x = torch.relu(net.get_submodule("0.0")(x))
    for place in range(depth):
        x = torch.relu(net.middle.get_submodule("block.0" if shared else f"{place}.0")(x))
    return torch.log_softmax(net.last(x), dim=-1)


@pytest.mark.parametrize("shared", [False, True])
def test_the_ways_of_a_plain_net_are_those_of_the_dice(shared: bool) -> None:
    net = example.Plain(shared, width=8)
    random.seed(SEED)
    seen = example.train(net, *data(), steps=STEPS)
    dice = random.Random(SEED)
    fell = Counter(dice.randint(0, 3) for _ in range(STEPS))
    wanted = {
        ("first", *("middle.0" if shared else f"middle.{place}" for place in range(depth)), "last"): count
        for depth, count in fell.items()
    }
    assert len(fell) == 4
    assert {way: path.calls for way, path in seen.ways.items()} == wanted
    assert all(path.samples == path.calls * SIZE for path in seen.ways.values())
    for place in range(1 if shared else 3):
        ran = sum(count * (depth if shared else depth > place) for depth, count in fell.items())
        assert (seen.modules[f"middle.{place}"].calls, seen.modules[f"middle.{place}"].samples) == (ran, ran * SIZE)
    assert "4 different graphs, with 0, 1, 2, 3 middle layers" in example.answer(seen)
    assert f"ran {sum(depth * count for depth, count in fell.items())} times" in example.answer(seen)


@pytest.mark.parametrize("shared", [False, True])
def test_the_paths_of_a_wye_net_are_those_that_its_layers_saw(shared: bool) -> None:
    net, rounds, depths = example.network(shared, width=8), list[int](), list[int]()
    for place, layer in enumerate(one for one in net.middle.modules() if isinstance(one, nn.Linear)):
        layer.register_forward_hook(lambda *_, place=place: rounds.append(place))
    net.last.register_forward_hook(lambda *_: depths.append(len(rounds)))
    seen = example.train(net, *data(), steps=STEPS)
    fell = Counter(now - before for before, now in zip([0, *depths], depths, strict=False))
    assert set(fell) == {0, 1, 2, 3}
    for depth, count in fell.items():
        path = seen.paths[f"middle.times {depth}"]
        assert (path.calls, path.samples) == (count, count * SIZE)
    for place, count in Counter(rounds).items():
        path = seen.paths["middle.block" if shared else f"middle.{place}"]
        assert (path.calls, path.samples) == (count, count * SIZE)
    assert f"ran {len(rounds)} times" in example.answer(seen)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_values_and_gradients_at_each_depth(depth: int, shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    net = example.network(shared, width=8).double()
    twin, other, x = copy.deepcopy(net), example.Plain(shared, width=8).double(), torch.rand(6, 64).double()
    other.load_state_dict(dict(zip(other.state_dict(), in_order(net, shared), strict=True)))
    net.middle.times = depth
    monkeypatch.setattr(random, "randint", lambda *_: depth)
    wanted = plain(twin, x, depth, shared)
    assert_close(net(x), wanted)
    assert_close(other(x), wanted)
    net(x).square().sum().backward()
    wanted.square().sum().backward()
    assert_same_gradients(net.parameters(), twin.parameters())


def in_order(net: nn.Module, shared: bool) -> list[Tensor]:
    """The weights of a wye network in the order in which the plain one holds them: the last layer's second."""
    layers = [net.get_submodule("0.0"), net.last]
    layers += [net.middle.get_submodule("block.0" if shared else f"{place}.0") for place in range(1 if shared else 3)]
    return [tensor for layer in layers for tensor in (layer.weight, layer.bias)]


def test_a_tree_is_called_a_tree() -> None:
    net = example.Tree(width=8)
    random.seed(SEED)
    seen = example.train(net, *data(), steps=STEPS)
    assert list(seen.ways) == [("first", "middle.0", "middle.1", "middle.2", "last")]
    assert example.answer(seen).startswith(f"A tree of branches: every call ran the middle layers 3 times, {3 * STEPS}")


def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example.main()
    told = capsys.readouterr().out
    assert told.count("A dynamic graph: 4 different graphs, with 0, 1, 2, 3 middle layers.") == 4
    assert told.count("a tree would have run them 600 times") == 4
    assert "A tree of branches: every call ran the middle layers 3 times, 600 in all" in told
    assert "first > middle.0 > middle.0 > last" in told
    assert "middle.times 3" in told
