"""The tables of large models: rows are few, and what is left out is said."""

from __future__ import annotations

import torch
from torch import nn

import wye


def watched(layers: int, idle: range = range(0)) -> str:
    net = nn.Sequential(*(nn.Linear(2, 2, bias=False) for _ in range(layers)))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with wye.watch(net, optimizer) as seen:
        x = torch.ones(3, 2)
        for place, layer in enumerate(net):
            x = x if place in idle else x + layer(x)
        x.sum().backward()
        optimizer.step()
    return seen.table()


def test_neighbours_that_fared_alike_share_a_row() -> None:
    lines = watched(60, range(20, 32)).splitlines()
    assert [line.split() for line in lines[1:4]] == [
        ["0.weight", "…", "19.weight,", "20", "weights", "1", "1", "0", "0"],
        ["20.weight", "…", "31.weight,", "12", "weights", "1", "0", "0", "1"],
        ["32.weight", "…", "59.weight,", "28", "weights", "1", "1", "0", "0"],
    ]
    moved = lines[lines.index("") + 1 :]
    assert moved[41] == "… 8 that moved less"  # 48 moved, and 40 have a row
    assert "20.weight: no gradient on 1 of 1 steps: `20` did not run" in lines


def test_of_many_names_before_a_sentence_some_stand_for_all() -> None:
    net = nn.Sequential(*(nn.Linear(2, 2, bias=False) for _ in range(20)))
    optimizer = torch.optim.SGD(net[0].parameters(), lr=0.1)
    with wye.watch(net, optimizer) as seen:
        net(torch.ones(3, 2)).sum().backward()
        optimizer.step()
    named = ", ".join(f"{place}.weight" for place in range(1, 9))
    assert seen.table().splitlines()[-1] == f"{named} and 11 more: in no optimizer that stepped"


def test_those_that_moved_farthest_are_kept_in_their_order() -> None:
    lines = watched(50).splitlines()
    start = lines.index("") + 2
    kept = [int(line.partition(".")[0]) for line in lines[start : start + 40]]
    assert kept == sorted(kept)
    assert lines[start + 40] == "… 10 that moved less"


class Skipping(nn.Module):
    """Leaves out another of its layers on each call."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(layers))

    def forward(self, x: torch.Tensor, without: int) -> torch.Tensor:
        for place, layer in enumerate(self.layers):
            x = x if place == without else layer(x)
        return x


def test_of_many_ways_those_gone_most_often_have_rows_that_can_be_read() -> None:
    net = Skipping(40)
    with wye.watch(net) as seen:
        for without in [*range(40), 7, 7]:
            net(torch.ones(3, 2), without)
    lines = seen.table().splitlines()
    assert lines[0].split() == ["way", "through", "the", "model,", "42", "calls", "runs", "samples", "share"]
    begin = " > ".join(f"layers.{place}" for place in (0, 1, 2, 3, 4, 5, 6, 8))
    assert lines[1].split("  ")[0] == f"{begin} > … 39 in all … > layers.39"
    assert lines[1].split()[-3:] == ["3", "9", "7%"]
    assert lines[17] == "… 24 ways more, none of them gone more often"
    assert max(map(len, lines[:18])) < 160


def test_many_stories_of_one_kind_are_told_together() -> None:
    lines = watched(60, range(20, 50)).splitlines()
    named = ", ".join(f"{place}.weight" for place in range(20, 28))
    assert lines[-1] == f"{named} and 22 more: no gradient on 1 of 1 steps: its module did not run"


def test_models_may_be_named() -> None:
    nets = {"G": nn.Linear(2, 2), "D": nn.Linear(2, 1)}
    optimizer = torch.optim.SGD(nets["G"].parameters(), lr=0.1)
    with wye.watch(nets, optimizer) as seen:
        nets["G"](torch.ones(3, 2)).sum().backward()
        optimizer.step()
    assert list(seen.weights) == ["G:weight", "G:bias", "D:weight", "D:bias"]
    assert seen.modules["G:"].calls == 1


def test_a_layer_that_was_put_in_place_of_another_is_seen_by_what_the_optimizer_holds() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    seen = wye.watch(net)
    net[1] = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    net(torch.ones(3, 2)).sum().backward()
    optimizer.step()
    seen.stop()
    assert seen.account.strangers == 2
    assert "the optimizers hold weights that are in no watched module: 2" in seen.table().splitlines()
