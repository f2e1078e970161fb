"""Which cause is told where a weight of a flow had no gradient: nodes, freezes, shared weights, several optimizers."""

from __future__ import annotations

import torch
from torch import nn

import wye
from tests.unit.watching.flow_log import CUT, Log, Spy, assert_logged, never, reasons, run


def test_the_node_that_sent_nothing_is_named() -> None:
    net = wye.Chain(
        nn.Linear(2, 2),
        a=wye.When("c>0.5", nn.Linear(2, 2), nn.Linear(2, 2)),
        b=wye.Repeat(nn.Linear(2, 2), "n"),
        d=wye.While("m > 0", nn.Linear(2, 2), max_steps=2),
        e=wye.When(never, nn.Linear(2, 2)),
    )
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with wye.watch(net, optimizer) as seen:
        run(
            net, [optimizer], [{"c": 1.0, "n": 0, "m": 0.0}, {"c": 0.0, "n": 1, "m": 0.0}, {"c": 0.0, "n": 0, "m": 1.0}]
        )
    assert reasons(seen, "0.weight") == {}
    assert reasons(seen, "a.then.weight") == {"When c>0.5 sent no sample": 2}
    assert reasons(seen, "a.otherwise.bias") == {"When c>0.5 sent no sample": 1}
    assert reasons(seen, "b.block.weight") == {"Repeat n ran no round of it": 2}
    assert reasons(seen, "d.block.weight") == {"While m > 0 let no sample in": 2}
    assert reasons(seen, "e.then.weight") == {"When never sent no sample": 3}


def test_the_outermost_idle_node_explains_those_within() -> None:
    inner = wye.When("inner", nn.Linear(2, 2))
    net = wye.Chain(nn.Linear(2, 2), outer=wye.When("outer", wye.Chain(nn.Linear(2, 2), deep=inner)))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with wye.watch(net, optimizer) as seen:
        run(
            net, [optimizer], [{"outer": 0.0, "inner": 1.0}, {"outer": 1.0, "inner": 0.0}, {"outer": 1.0, "inner": 1.0}]
        )
    assert reasons(seen, "outer.then.0.weight") == {"When outer sent no sample": 1}
    assert reasons(seen, "outer.then.deep.then.weight") == {
        "When outer sent no sample": 1,
        "When inner sent no sample": 1,
    }


def test_frozen_weights_weights_outside_of_the_loss_and_gates() -> None:
    net = wye.Chain(
        nn.Linear(2, 2),
        kept=nn.Linear(2, 2).requires_grad_(False),
        cut=wye.Join("x + 0 * stop(a(x))", a=nn.Linear(2, 2)),
        gated=wye.When("gate(x) > -100", nn.Linear(2, 2), gate=nn.Linear(2, 1)),
        bound=wye.When("norm(x) > bound", nn.Linear(2, 2), bound=nn.Parameter(torch.tensor(-1.0))),
        module=wye.When(nn.Linear(2, 1), nn.Linear(2, 2)),
    )
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    with wye.watch(net, optimizer) as seen:
        run(net, [optimizer], [{}, {}])
    assert reasons(seen, "kept.weight") == {"it does not require one": 2}
    assert reasons(seen, "cut.a.weight") == {CUT: 2}
    assert reasons(seen, "gated.gate.weight") == {
        "When gate(x) > -100 reads it to decide, and no gradient comes that way": 2
    }
    assert reasons(seen, "bound.bound") == {
        "When norm(x) > bound reads it to decide, and no gradient comes that way": 2
    }
    assert list(reasons(seen, "module.condition.weight")) == [
        "When Linear reads it to decide, and no gradient comes that way"
    ]
    assert seen.weights["gated.then.weight"].nonzero == 2


def test_two_optimizers_are_told_apart() -> None:
    net = wye.Chain(wye.When("c", Spy()), wye.When("c", Spy()))
    first = torch.optim.SGD(net[0].parameters(), lr=0.1)
    second = torch.optim.SGD(net[1].parameters(), lr=0.1)
    log = Log(net)
    x = torch.ones(4, 2, requires_grad=True)
    with wye.watch(net, [first, second]) as seen:
        for step in range(6):
            first.zero_grad()
            second.zero_grad()
            net(x, c=float(step % 2)).sum().backward()
            log.look(net[0].parameters())
            first.step()
            if step % 3 == 2:
                log.look(net[1].parameters())
                second.step()
    assert_logged(seen, log)
    assert seen.steps == 6
    assert seen.weights["1.then.weight"].steps == 2
    # between its own two steps the branch of the second ran, yet the gradient at hand is of the last call alone
    assert reasons(seen, "0.then.weight") == {"When c sent no sample": 3}
    assert reasons(seen, "1.then.weight") == {"no backward reached the model": 1}


def test_a_shared_weight_is_told_once_and_idle_only_where_all_its_owners_are() -> None:
    layer = Spy()
    net = wye.Chain(wye.When("a", layer), wye.When("b", layer), nn.Linear(2, 2))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with wye.watch(net, optimizer) as seen:
        run(net, [optimizer], [{"a": 0.0, "b": 0.0}, {"a": 0.0, "b": 1.0}, {"a": 1.0, "b": 0.0}, {"a": 1.0, "b": 1.0}])
    assert "1.then.weight" not in seen.weights
    weight = seen.weights["0.then.weight"]
    assert (weight.none, weight.nonzero) == (1, 3)
    assert reasons(seen, "0.then.weight") == {"When a sent no sample and When b sent no sample": 1}
    assert seen.paths["0.then"].samples + seen.paths["1.then"].samples == sum(layer.rows)


def test_a_shared_weight_that_ran_elsewhere_is_not_called_idle() -> None:
    layer = nn.Linear(2, 2)
    net = wye.Chain(nn.Linear(2, 2), wye.When("a", layer), wye.Join("x + 0 * stop(f(x))", f=wye.When("b", layer)))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    inner = net[2].f
    inner.condition = True
    with wye.watch(net, optimizer) as seen:
        for _ in range(2):
            optimizer.zero_grad()
            net(torch.ones(4, 2), a=0.0).sum().backward()
            optimizer.step()
    assert reasons(seen, "1.then.weight") == {CUT: 2}


def test_two_models_have_a_number_before_their_names() -> None:
    nets = [wye.When("c", Spy()), wye.Chain(deep=wye.When("c", Spy()))]
    optimizer = torch.optim.SGD([weight for net in nets for weight in net.parameters()], lr=0.1)
    x = torch.ones(4, 2, requires_grad=True)
    with wye.watch(nets, optimizer) as seen:
        for c in (0.0, 1.0):
            optimizer.zero_grad()
            (nets[0](x, c=c) + nets[1](x, c=1 - c)).sum().backward()
            optimizer.step()
    assert list(seen.weights) == ["0:then.weight", "0:then.bias", "1:deep.then.weight", "1:deep.then.bias"]
    assert seen.paths["0:then"].samples == seen.paths["1:deep.then"].samples == 4
    assert reasons(seen, "0:then.weight") == reasons(seen, "1:deep.then.bias") == {"When c sent no sample": 1}
    assert (
        "0:then.weight, 0:then.bias, 1:deep.then.weight, 1:deep.then.bias: no gradient on 1 of 2 steps" in seen.table()
    )


def test_an_objective_is_told_of_too() -> None:
    net = wye.When("c", nn.Linear(2, 2))
    objective = wye.Objective("mean(scale * y ** 2)", scale=nn.Parameter(torch.tensor(1.0)))
    optimizer = torch.optim.SGD([*net.parameters(), *objective.parameters()], lr=0.1)
    with wye.watch(net, optimizer, objective) as seen:
        total, _ = objective(y=net(torch.ones(4, 2), c=1.0))
        total.backward()
        optimizer.step()
    assert seen.weights["objective:scale"].nonzero == 1
    assert seen.weights["then.weight"].nonzero == 1


def test_weights_left_out_of_the_optimizer_and_a_forgotten_backward_are_told() -> None:
    net = wye.Chain(nn.Linear(2, 2), nn.Linear(2, 1))
    optimizer = torch.optim.SGD(net[0].parameters(), lr=0.1)
    with wye.watch(net, optimizer) as seen:
        net(torch.ones(3, 2))
        optimizer.step()
    assert seen.table().splitlines()[-2:] == [
        "0.weight, 0.bias: no gradient on 1 of 1 steps: no backward reached the model",
        "1.weight, 1.bias: in no optimizer that stepped",
    ]
