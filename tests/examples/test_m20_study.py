"""What `python -m benchmarks towers` counts, by loops."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from benchmarks import towers
from examples import m20_two_towers as example


def test_rows_dealt_by_character_stay_side_by_side() -> None:
    label = torch.tensor([0, 1, 2, 0, 3, 1, 0, 4])
    rows = torch.tensor([7, 6, 5, 3, 1, 0])
    orders = {tuple(towers.by_character(label)(rows).tolist()) for _ in range(30)}
    assert len(orders) > 1
    for order in orders:
        assert sorted(order) == sorted(rows.tolist())
        labels = [int(label[i]) for i in order]
        assert sum(one != two for one, two in pairwise(labels)) == 2


def test_rows_that_meet_another_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(towers, "BATCH", 4)
    label = torch.tensor([0, 0, 1, 2, 3, 3, 3, 4, 2])
    assert towers.meeting(label, torch.arange(9), lambda rows: rows) == (2 / 4 + 3 / 4) / 2  # the last one fills none


def test_all_names_of_a_character() -> None:
    label = torch.tensor([0, 0, 0, 1, 2, 2])
    nearest = torch.stack([torch.randperm(6) for _ in range(6)])
    for k in (1, 2, 5):
        shares = []
        for i in (0, 1, 2, 4, 5):  # 1 has one name
            names = {j for j in range(6) if label[j] == label[i]}
            shares.append(len(names & set(nearest[i, :k].tolist())) / min(k, len(names)))
        assert towers.found_together(nearest, label, k) == pytest.approx(sum(shares) / 5)


def test_differences_are_within_a_seed() -> None:
    told = towers.compared([0.3, 0.2, 0.25], [0.2, 0.3, 0.2])
    assert told == "25.0% ± 5.0 against 23.3% ± 5.8; +1.7 ± 10.4, higher on 2 of 3 seeds"


@pytest.mark.long
def test_a_small_study() -> None:
    data = example.glyphs(every=12)
    found = [towers.measured(data, 3, by, towers.by_character(data["label"]), epochs=1) for by in ("position", "label")]
    assert found[0].keys() == found[1].keys()
    for one in found:
        assert 0 <= one["its name @1"] <= one["its name @5"] <= one["a name of its character @5"] <= 1
