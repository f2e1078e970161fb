"""Watch on Switch, RandomChoice, EarlyExit and nodes per token: samples counted by hand, and why a gradient is None."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import wye


def stepped(net: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, **sides: Any) -> None:
    optimizer.zero_grad()
    value = net(x, **sides)
    sum(one.sum() for one in (value if isinstance(value, tuple) else (value,))).backward()
    optimizer.step()


def reasons(seen: Any, key: str) -> dict[str, int]:
    return dict(seen.weights[key].reasons)


def linear(width: int = 1) -> nn.Linear:
    layer = nn.Linear(width, width, bias=False)
    nn.init.eye_(layer.weight)
    return layer


KINDS = ([0, 0, 1], [0, 2, 2], [2, 2, 2])


def assert_kinds(seen: wye.Watch) -> None:
    """What a Switch called `kind` did on the batches of KINDS."""
    ran = {path: (seen.paths[f"kind.{path}"].calls, seen.paths[f"kind.{path}"].samples) for path in "012"}
    assert ran == {"0": (2, 3), "1": (1, 1), "2": (2, 5)}
    assert reasons(seen, "kind.0.weight") == {"Switch kind sent no sample": 1}
    assert reasons(seen, "kind.1.weight") == {"Switch kind sent no sample": 2}


def test_a_switch() -> None:
    net = wye.Chain(linear(), kind=wye.Switch("kind", linear(), linear(), None))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    with wye.watch(net, optimizer) as seen:
        for kind in KINDS:
            stepped(net, optimizer, torch.ones(3, 1), kind=torch.tensor(kind))
    assert_kinds(seen)
    lines = [line.split() for line in seen.table().splitlines()]
    assert ["0", "2", "3", "33%"] in lines
    assert ["2", "2", "5", "56%"] in lines
    assert "kind.1.weight: no gradient on 2 of 3 steps: Switch kind sent no sample" in seen.table()


def test_a_random_choice_says_what_it_did_not_draw() -> None:
    torch.manual_seed(3)
    net = wye.Chain(linear(), pick=wye.RandomChoice(linear(), linear(), weights=[1, 2]))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    drawn: list[int] = []
    layers = [net.pick.get_submodule(name) for name in "01"]
    for place, layer in enumerate(layers):
        layer.register_forward_hook(lambda *_, place=place: drawn.append(place))
    with wye.watch(net, optimizer) as seen:
        for _ in range(20):
            stepped(net, optimizer, torch.ones(3, 1))
    assert len(drawn) == 20
    assert {0, 1} <= set(drawn)
    for place in (0, 1):
        idle = 20 - drawn.count(place)
        assert seen.paths[f"pick.{place}"].samples == 3 * drawn.count(place)
        assert reasons(seen, f"pick.{place}.weight") == {"RandomChoice [1.0, 2.0] did not draw it": idle}


def test_an_early_exit_tells_stages_from_exits() -> None:
    net = wye.EarlyExit([linear(), linear(), linear()], [linear(), linear(), linear()], "max(x) > bound")
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    x = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    with wye.watch(net, optimizer) as seen:
        stepped(net, optimizer, x, bound=2.5)  # two leave at once, the others stay to the end
        stepped(net, optimizer, x, bound=0.0)  # all leave at once
        stepped(net, optimizer, x, bound=9.0)  # nobody leaves before the end
    samples = {path: seen.paths[path].samples for path in net.paths}
    assert samples == {"stage0": 12, "stage1": 6, "stage2": 6, "exit0": 6, "exit1": 0, "exit2": 6}
    assert reasons(seen, "stage0.weight") == {}
    assert reasons(seen, "stage1.weight") == {"EarlyExit max(x) > bound let all samples leave before it": 1}
    assert reasons(seen, "stage2.weight") == {"EarlyExit max(x) > bound let all samples leave before it": 1}
    assert reasons(seen, "exit0.weight") == {"EarlyExit max(x) > bound let no sample leave by it": 1}
    assert reasons(seen, "exit1.weight") == {"EarlyExit max(x) > bound let no sample leave by it": 3}
    assert ["exit0", "2", "6", "50%"] in [line.split() for line in seen.table().splitlines()]
    net.all_exits = True
    with wye.watch(net, optimizer) as seen:
        stepped(net, optimizer, x, bound=0.0)
    assert all(weight.none == 0 for weight in seen.weights.values())


def test_per_token_each_token_is_counted() -> None:
    net = wye.When("max(x) > 0", linear(), per="token")
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    x = torch.tensor([[1.0, -1.0, 2.0], [-1.0, -1.0, -1.0]])[..., None].requires_grad_()
    with wye.watch(net, optimizer) as seen:
        stepped(net, optimizer, x)
        stepped(net, optimizer, x[1:])
    assert (seen.paths["then"].samples, seen.paths["passed"].samples) == (2, 7)
    assert reasons(seen, "then.weight") == {"When max(x) > 0 sent no sample": 1}


def test_a_captured_run_is_told_like_an_eager_one() -> None:
    torch._dynamo.reset()
    net = wye.Chain(linear(2), kind=wye.Switch("kind", linear(2), linear(2), None))
    captured = torch.compile(net, fullgraph=True, backend="aot_eager")
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    with wye.watch(net, optimizer) as seen:
        for kind in KINDS:
            stepped(captured, optimizer, torch.ones(3, 2), kind=torch.tensor(kind))
    assert_kinds(seen)
