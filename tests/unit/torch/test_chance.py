"""Dice: one fall for each node and optimizer step, kept with the weights, fair over all sides."""

from __future__ import annotations

import copy
import gc
import io
import pickle
from collections import Counter
from typing import Any

import pytest
import torch
from torch import nn

import wye
from wye.torch.flow.chance import fall

X = torch.zeros(2, 1)


def depth(net: Any, x: torch.Tensor = X) -> int:
    """How often a net of `x + 1` ran it."""
    return int(net(x)[0, 0])


def falls(net: Any, optimizer: torch.optim.Optimizer, count: int) -> list[int]:
    """What a die shows over so many optimizer steps."""
    shown = []
    for _ in range(count):
        shown.append(depth(net))
        optimizer.step()
    return shown


class PlusOne(nn.Module):
    """Adds one, and has a weight that an optimizer can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.weight.detach()


def thrown(times: str = "die(0, 3)", **settings: Any) -> tuple[wye.Repeat, torch.optim.Optimizer]:
    net = wye.Repeat(PlusOne(), times, **settings)
    return net, torch.optim.SGD(net.parameters(), lr=0.0)


def test_one_value_within_a_step_and_another_with_the_next() -> None:
    net, optimizer = thrown("die(0, 12)", eval=0)
    net.block = wye.Join("x")
    seen: list[list[str]] = []
    for _ in range(5):
        before = {path: count.calls for path, count in net.paths.items()}
        net.times = "die(0, 12)"
        values = {depth_of(net) for _ in range(4)}
        assert len(values) == 1
        seen.append([*before, *map(str, values)])
        optimizer.step()
    assert len({values[-1] for values in seen}) > 1


def depth_of(net: wye.Repeat) -> int:
    before = {path: count.calls for path, count in net.paths.items()}
    net(X)
    ran = [path for path, count in net.paths.items() if path.startswith("times") and count.calls > before.get(path, 0)]
    assert len(ran) == 1
    return int(ran[0].split()[1])


def test_it_needs_no_generator() -> None:
    net, _ = thrown()
    first = depth(net)
    state = torch.get_rng_state()
    for seed in range(20):
        torch.manual_seed(seed)
        assert depth(net) == first
    torch.set_rng_state(state)
    depth(net)
    assert torch.equal(torch.get_rng_state(), state)


def test_it_moves_with_the_optimizer_that_holds_its_weights_only() -> None:
    (ours, optimizer), (theirs, other) = thrown("die(0, 9)"), thrown("die(0, 9)")
    start = ours.get_buffer("dice.state").clone()
    for _ in range(7):
        other.step()
    assert torch.equal(ours.get_buffer("dice.state"), start)
    assert theirs.get_buffer("dice.state")[1] == 7
    optimizer.step()
    assert ours.get_buffer("dice.state").tolist() == [start[0].item(), 1]


def test_without_weights_it_moves_with_any_optimizer() -> None:
    net = wye.Repeat(wye.Join("x + 1"), "die(0, 9)")
    _, optimizer = thrown()
    optimizer.step()
    assert net.get_buffer("dice.state")[1] == 1


def test_the_sides_are_even_over_both_ends() -> None:
    net, optimizer = thrown("die(0, 3)")
    counts = Counter(falls(net, optimizer, 3000))
    assert sorted(counts) == [0, 1, 2, 3]
    chi_square = sum((counts[side] - 750) ** 2 / 750 for side in range(4))
    assert chi_square < 16.3  # three degrees of freedom: one run in a thousand is further off
    pairs = Counter(zip(*(falls(net, optimizer, 3000)[i::2] for i in (0, 1)), strict=True))
    assert sum((pairs[a, b] - 93.75) ** 2 / 93.75 for a in range(4) for b in range(4)) < 37.7  # fifteen degrees


def test_a_coin_is_as_fair_as_it_says() -> None:
    net = wye.When("coin(0.3)", PlusOne(), eval=False)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    heads = sum(falls(net, optimizer, 3000))
    assert abs(heads - 900) < 3.3 * (3000 * 0.3 * 0.7) ** 0.5
    for p, expected in ((0.0, 0), (1.0, 20)):
        never = wye.When(f"coin({p})", PlusOne(), eval=False)
        assert sum(falls(never, torch.optim.SGD(never.parameters(), lr=0.0), 20)) == expected


def test_nodes_fall_apart_from_one_another() -> None:
    nets = [wye.Repeat(PlusOne(), "die(0, 1)") for _ in range(2)]
    optimizer = torch.optim.SGD([weight for net in nets for weight in net.parameters()], lr=0.0)
    pairs = Counter()
    for _ in range(1000):
        pairs[depth(nets[0]), depth(nets[1])] += 1
        optimizer.step()
    assert sum((pairs[a, b] - 250) ** 2 / 250 for a in (0, 1) for b in (0, 1)) < 16.3


def test_two_dice_of_one_formula_fall_apart_and_the_same_one_twice_is_one() -> None:
    net, optimizer = thrown("10 * die(0, 1) + die(1, 2) - 1", eval=0)
    pairs = Counter(falls(net, optimizer, 1000))
    assert sum((pairs[side] - 250) ** 2 / 250 for side in (0, 1, 10, 11)) < 16.3
    twice, optimizer = thrown("10 * die(0, 1) + die(0, 1)", eval=0)
    assert set(falls(twice, optimizer, 50)) == {0, 11}


def test_the_bounds_may_be_parts_and_side_inputs() -> None:
    net, optimizer = thrown("die(low, high)", low=1)
    shown = set()
    for _ in range(60):
        shown.add(int(net(X, high=3)[0, 0]))
        optimizer.step()
    assert shown == {1, 2, 3}
    for high in (0, 1.5):
        with pytest.raises(wye.FlowError, match="whole sides, the lowest first"):
            net(X, high=high)


def test_tensors_of_int64_compute_the_same_fall() -> None:
    for seed, step, place in ((0, 0, 0), (1, 0, 0), (12345, 678, 9), (2**31 - 1, 2**31 - 1, 4000)):
        assert int(fall(torch.tensor(seed), torch.tensor(step), place)) == fall(seed, step, place)  # type: ignore[arg-type]
        assert 0 <= fall(seed, step, place) < 2**32


# kept with the weights


def test_saved_and_loaded_it_goes_on_where_it_was() -> None:
    net, optimizer = thrown("die(0, 9)")
    falls(net, optimizer, 5)
    stream = io.BytesIO()
    torch.save(net.state_dict(), stream)
    ahead = falls(net, optimizer, 20)
    stream.seek(0)
    again, other = thrown("die(0, 9)")
    again.load_state_dict(torch.load(stream))
    assert falls(again, other, 20) == ahead


@pytest.mark.parametrize("way", ["deepcopy", "pickle", "in place", "assigned"])
def test_copies_go_on_alike_and_apart(way: str) -> None:
    net, optimizer = thrown("die(0, 9)")
    falls(net, optimizer, 3)
    if way == "deepcopy":
        again = copy.deepcopy(net)
    elif way == "pickle":
        again = pickle.loads(pickle.dumps(net))
    else:
        again, _ = thrown("die(0, 9)")
        depth(again)
        if way == "in place":
            again.get_buffer("dice.state").copy_(net.get_buffer("dice.state"))
        else:
            again.load_state_dict(net.state_dict(), assign=True)
    other = torch.optim.SGD(again.parameters(), lr=0.0)
    ahead = falls(net, optimizer, 20)
    assert again.get_buffer("dice.state")[1] == 3
    assert falls(again, other, 20) == ahead


def test_it_survives_another_dtype() -> None:
    net, optimizer = thrown("die(0, 9)")
    again = copy.deepcopy(net).to(torch.float64).half()
    other = torch.optim.SGD(again.parameters(), lr=0.0)
    assert again.get_buffer("dice.state").dtype == torch.int64
    assert falls(net, optimizer, 10) == falls(again, other, 10)


def test_a_net_that_is_gone_leaves_nothing_behind() -> None:
    from wye.torch.flow.chance import ALIVE

    gc.collect()
    before = len(ALIVE)
    net, _ = thrown()
    assert len(ALIVE) == before + 1
    del net, _
    gc.collect()
    assert len(ALIVE) <= before


# in eval nothing is drawn


def test_in_eval_a_die_shows_its_highest_side() -> None:
    net, _ = thrown("die(0, 3)")
    assert depth(net.eval()) == 3
    assert depth(wye.Repeat([PlusOne() for _ in range(3)], "die(0, 3)").eval()) == 3
    assert int(thrown("die(0, high)")[0].eval()(X, high=2)[0, 0]) == 2


def test_in_eval_what_it_says_holds() -> None:
    for times in ("die(0, 3)", "2 * die(0, 1)", "3 - die(0, 3)"):
        net, _ = thrown(times, eval=1)
        assert depth(net.eval()) == 1
        assert depth(net) == 1
    for condition, truth in (("coin(0.5)", True), ("not coin(0.5)", True), ("die(0, 5) > 2", False)):
        assert depth(wye.When(condition, "x + 1", eval=truth).eval()) == truth


@pytest.mark.parametrize("times", ["3 - die(0, 3)", "min(die(0, 3), 2)", "where(coin(0.5), 1, 2)"])
def test_in_eval_any_other_die_must_be_settled(times: str) -> None:
    net, _ = thrown(times)
    depth(net)
    with pytest.raises(wye.FlowError, match="nothing is drawn in eval"):
        net.eval()(X)


def test_in_eval_a_coin_must_be_settled() -> None:
    for condition in ("coin(0.5)", "norm(x) >= 0 and coin(0.5)"):
        net = wye.When(condition, "x + 1")
        net(X)
        with pytest.raises(wye.FlowError, match="nothing is drawn in eval"):
            net.eval()(X)


def test_in_eval_the_die_does_not_move_on_by_itself() -> None:
    net, optimizer = thrown("die(0, 9)")
    first = depth(net)
    for _ in range(5):
        depth(net.eval())
    assert depth(net.train()) == first
    optimizer.step()
    assert net.get_buffer("dice.state")[1] == 1


def test_dice_end_no_loop_and_stand_in_no_formula() -> None:
    with pytest.raises(wye.PartError, match="ends no loop"):
        wye.While("coin(0.5)", "x + 1", max_steps=3)
    net = wye.While("norm(x) < 3", "x + 1", max_steps=3)
    with pytest.raises(wye.PartError, match="ends no loop"):
        net.condition = "coin(0.5)"
    assert "dice" not in dict(net.named_children())
    with pytest.raises(wye.FormulaError, match="falls only in"):
        wye.Chain("x + die(0, 3)")
