"""Watch against a log kept by hand: which branch ran on how many samples, and what each gradient was before a step."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import wye

CUT = "the model's output does not depend on it: what it gave was detached, or not used"


class Spy(nn.Linear):
    """A layer that logs the rows of each call."""

    def __init__(self, width: int = 2) -> None:
        super().__init__(width, width)
        self.rows: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.rows.append(len(x))
        return super().forward(x)


class Log:
    """What each weight's gradient was before each step, looked at by hand.

    A zero gradient becomes None before the step where no branch that holds the weight took a sample since the last:
    where it is a Spy's, and no Spy that holds it ran. This knows Spies alone, for they log each of their calls.
    """

    def __init__(self, net: nn.Module) -> None:
        self.net = net
        self.ran: dict[int, int] = {}
        self.seen: dict[str, Counter[str]] = {name: Counter() for name, _ in net.named_parameters()}

    def look(self, held: Any = None) -> None:
        own = None if held is None else {id(weight) for weight in held}
        now: dict[int, int] = {}
        for spy in self.net.modules():
            if isinstance(spy, Spy):
                for weight in spy.parameters():
                    now[id(weight)] = now.get(id(weight), 0) + len(spy.rows)
        idle = {key for key, runs in now.items() if runs == self.ran.get(key, 0)}
        for name, weight in self.net.named_parameters():
            if own is None or id(weight) in own:
                grad = weight.grad
                kind = "none" if grad is None else "nonzero" if bool((grad != 0).any()) else "zero"
                self.seen[name]["none" if kind == "zero" and id(weight) in idle else kind] += 1
                self.ran[id(weight)] = now.get(id(weight), 0)


def assert_logged(seen: Any, log: Log, prefix: str = "") -> None:
    for name, counts in log.seen.items():
        weight = seen.weights[prefix + name]
        assert (weight.none, weight.zero, weight.nonzero) == (counts["none"], counts["zero"], counts["nonzero"]), name
        assert weight.steps == counts.total()
        assert sum(weight.reasons.values()) == counts["none"]


def net_of_all() -> wye.Chain:
    return wye.Chain(
        Spy(),
        deep=wye.When("control > 0.5", wye.Chain(Spy(), nn.Tanh())),
        either=wye.When("mean(x) > 0", Spy(), Spy()),
        loop=wye.While("norm(x) < 1", Spy(), max_steps=3),
        depth=wye.Repeat([Spy(), Spy()], "times"),
        last=wye.Repeat(Spy(), "more"),
    )


def batches(count: int) -> list[tuple[Tensor, dict[str, Any]]]:
    made = torch.Generator().manual_seed(3)

    def control(step: int) -> Any:
        rows = torch.rand(4, generator=made)
        return rows if step % 3 else 0.0 if step % 2 else torch.zeros(4)

    return [
        (
            torch.randn(4, 2, generator=made),
            {"control": control(step), "times": torch.tensor([0, step % 2, 0, step % 3]), "more": step % 2},
        )
        for step in range(count)
    ]


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


# why


def reasons(seen: Any, key: str) -> dict[str, int]:
    return dict(seen.weights[key].reasons)


def run(net: nn.Module, optimizers: list[torch.optim.Optimizer], calls: list[dict[str, Any]], keep: Any = None) -> None:
    for sides in calls:
        for optimizer in optimizers:
            optimizer.zero_grad()
        value = net(torch.ones(4, 2), **sides)
        (value if keep is None else keep(value)).sum().backward()
        for optimizer in optimizers:
            optimizer.step()


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


def never(x: Tensor) -> bool:
    return False


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
    assert seen.table().splitlines()[0].split() == [
        "weight,",
        "gradient",
        "on",
        "1",
        "steps",
        "steps",
        "non-zero",
        "zero",
        "none",
    ]


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

how far weights moved, estimated  moved  by gradient  by momentum  by decay
0.weight                           2.44         2.44            0         0
0.bias                             1.22         1.22            0         0
deep.then.weight                  0.271        0.271            0         0
deep.then.bias                      0.2          0.2            0         0

deep.then.weight, deep.then.bias: no gradient on 1 of 2 steps: When control > 0.5 sent no sample"""


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
