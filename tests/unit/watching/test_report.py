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
