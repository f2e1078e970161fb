"""Watch against a log kept by hand: which branch ran on how many samples, and what each gradient was before a step."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

import wye
from tests.unit.watching.flow_log import Log, Spy, assert_logged, batches, net_of_all, reasons, run


@pytest.mark.parametrize("to_none", [True, False])
def test_paths_and_gradients_are_counted_exactly(to_none: bool) -> None:
    net = net_of_all()
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    log = Log(net)
    with wye.watch(net, optimizer) as seen:
        for x, sides in batches(30):
            optimizer.zero_grad(set_to_none=to_none)
            net(x, **sides).square().sum().backward()
            log.look()
            optimizer.step()
    assert seen.steps == 30
    assert_logged(seen, log)
    assert any(weight.none for weight in seen.weights.values())
    ran = {
        "deep.then": net.deep.then[0],
        "either.then": net.either.then,
        "either.otherwise": net.either.otherwise,
        "loop.block": net.loop.block,
        "depth.0": net.depth[0] if isinstance(net.depth, wye.Chain) else net.depth.get_submodule("0"),
        "depth.1": net.depth.get_submodule("1"),
        "last.block": net.last.block,
    }
    for name, spy in ran.items():
        path = seen.paths[name]
        assert (path.calls, path.samples) == (len(spy.rows), sum(spy.rows)), name
    assert seen.paths["deep.then"].samples + seen.paths["deep.passed"].samples == 120
    assert seen.paths["either.then"].samples + seen.paths["either.otherwise"].samples == 120
    assert sum(path.samples for name, path in seen.paths.items() if name.startswith("depth.times")) == 120


def test_a_zeroed_gradient_of_an_idle_weight_is_none_and_moves_nothing() -> None:
    net = wye.When("c", Spy())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    x = torch.randn(4, 2)
    with wye.watch(net, optimizer) as seen:
        for control in (1.0, 0.0, 0.0):
            before = net.then.weight.detach().clone()
            optimizer.zero_grad(set_to_none=False)
            value = net(x, c=control).sum()
            if value.requires_grad:
                value.backward()
            optimizer.step()
            assert torch.equal(before, net.then.weight) == (control == 0)
    weight = seen.weights["then.weight"]
    assert (weight.none, weight.zero, weight.nonzero) == (2, 0, 1)
    assert reasons(seen, "then.weight") == {"When c sent no sample": 2}


def test_a_zero_gradient_of_a_weight_that_ran_is_zero_and_moves_it_all_the_same() -> None:
    net = wye.Chain(wye.When("c", Spy()), nn.Linear(2, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    with wye.watch(net, optimizer) as seen:
        for scale in (1.0, 0.0, 0.0):
            before = [weight.detach().clone() for weight in net.parameters()]
            optimizer.zero_grad()
            (scale * net(torch.ones(4, 2), c=1.0)).sum().backward()
            optimizer.step()
            assert not any(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    for weight in seen.weights.values():
        assert (weight.none, weight.zero, weight.nonzero) == (0, 2, 1)


def test_sparse_gradients_are_counted() -> None:
    net = nn.Sequential(nn.Embedding(5, 2, sparse=True))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with wye.watch(net, optimizer) as seen:
        for scale in (1.0, 0.0):
            optimizer.zero_grad()
            (scale * net(torch.tensor([1, 2]))).sum().backward()
            optimizer.step()
    assert (seen.weights["0.weight"].zero, seen.weights["0.weight"].nonzero) == (1, 1)


# beginning and end


def test_without_an_optimizer_every_one_that_holds_a_weight_is_seen() -> None:
    net, other = wye.When("c", nn.Linear(2, 2)), nn.Linear(2, 2)
    optimizer, stranger = (torch.optim.SGD(one.parameters(), lr=0.1) for one in (net, other))
    seen = wye.watch(net)
    other(torch.ones(1, 2)).sum().backward()
    stranger.step()
    assert seen.steps == 0
    run(net, [optimizer], [{"c": 1.0}, {"c": 1.0}])
    assert seen.steps == 2
    assert seen.weights["then.weight"].nonzero == 2
    seen.stop()
    run(net, [optimizer], [{"c": 1.0}])
    assert seen.steps == 2


def test_it_counts_from_where_it_began_to_where_it_ended_and_stays_readable() -> None:
    net = wye.Chain(wye.When("c", nn.Linear(2, 2)), wye.Repeat(nn.Linear(2, 2), "n"))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    run(net, [optimizer], [{"c": 1.0, "n": 1}] * 3)
    with wye.watch(net, optimizer) as seen:
        run(net, [optimizer], [{"c": 1.0, "n": 1}, {"c": 0.0, "n": 2}])
    text = seen.table()
    run(net, [optimizer], [{"c": 1.0, "n": 5}] * 2)
    assert (seen.paths["0.then"].calls, seen.paths["0.then"].samples) == (1, 4)
    assert (seen.paths["0.passed"].calls, seen.paths["0.passed"].samples) == (1, 4)
    assert (seen.paths["1.block"].calls, seen.paths["1.block"].samples) == (3, 12)
    assert seen.table() == str(seen) == text
    assert "times 5" not in text
    assert net.paths == {}
    assert net[0].paths["then"].samples == 24


def test_watching_a_run_changes_no_bit_of_it() -> None:
    def trained(watched: bool) -> tuple[list[Tensor], Tensor]:
        torch.manual_seed(5)
        net = wye.Chain(net_of_all(), nn.Dropout(0.3), wye.Repeat(nn.Linear(2, 2), "die(0, 3)"))
        optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
        seen = wye.watch(net, optimizer) if watched else None
        for x, sides in batches(20):
            optimizer.zero_grad()
            net(x, **sides).square().sum().backward()
            optimizer.step()
            _ = seen and seen.table()
        return [weight.detach().clone() for weight in net.parameters()], torch.get_rng_state()

    (plain, state), (watched, other) = trained(False), trained(True)
    assert all(torch.equal(a, b) for a, b in zip(plain, watched, strict=True))
    assert torch.equal(state, other)


def test_a_plain_module_may_be_watched_and_copies_are_not() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with wye.watch(net, optimizer) as seen:
        other = copy.deepcopy(net)
        run(other, [torch.optim.SGD(other.parameters(), lr=0.1)], [{}])
        run(net, [optimizer], [{}])
    assert seen.steps == 1
    assert seen.paths == {}
    assert seen.table().splitlines()[0].split() == "weight, gradient on 1 step steps non-zero zero none".split()


def test_the_table_says_it_all() -> None:
    net = wye.Chain(nn.Linear(2, 2), deep=wye.When("control > 0.5", nn.Linear(2, 2)), depth=wye.Repeat("x * 1", "n"))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with wye.watch(net, optimizer) as seen:
        run(net, [optimizer], [{"control": torch.tensor([0.0, 0, 0, 1]), "n": 2}, {"control": 0.0, "n": 10}])
    assert seen.table() == TABLE


TABLE = """\
path                      runs  samples  share
deep: When control > 0.5
  then                       1        1    12%
  passed                     2        7    88%
depth: Repeat n
  block                     12       48
  times 2                    1        4    50%
  times 10                   1        4    50%

weight, gradient on 2 steps  steps  non-zero  zero  none
0.weight                         2         2     0     0
0.bias                           2         2     0     0
deep.then.weight                 2         1     0     1
deep.then.bias                   2         1     0     1

how far weights moved, exact  moved  by gradient  by momentum  by decay
0.weight                       2.82         2.82            0         0
0.bias                         1.41         1.41            0         0
deep.then.weight              0.271        0.271            0         0
deep.then.bias                  0.2          0.2            0         0

deep.then.weight, deep.then.bias: no gradient on 1 of 2 steps: When control > 0.5 sent no sample"""
