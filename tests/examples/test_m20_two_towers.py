"""M20: an image and a text tower in one loss, held against loops over all pairs."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from examples import m20_two_towers as example


@pytest.fixture(scope="module")
def data() -> dict[str, Tensor]:
    return example.glyphs(every=80)


def plain(sides: tuple[Tensor, Tensor], label: list[int], temperature: float, by: str) -> float:
    """The loss by a loop over all pairs, in both directions."""
    a, b = ([[x / math.hypot(*row) for x in row] for row in side.tolist()] for side in sides)
    s = [[sum(x * y for x, y in zip(one, two, strict=True)) / temperature for two in b] for one in a]
    total, count = 0.0, len(a)
    for scores in (s, [list(column) for column in zip(*s, strict=True)]):
        for i, row in enumerate(scores):
            mine = [j for j in range(count) if (label[j] == label[i] if by == "label" else j == i)]
            total += math.log(sum(math.exp(x) for x in row)) - sum(row[j] for j in mine) / len(mine)
    return total / (2 * count)


def test_the_glyphs_are_pictures_and_names(data: dict[str, Tensor]) -> None:
    assert len(data["label"]) > 60
    assert data["image"].shape[1:] == (3, 64, 64)
    assert data["text"].shape[1:] == (20,)
    assert 0 < int(data["text"].max()) < 10_000
    assert example.tokens("GREEK SMALL LETTER ALPHA")[:16] == [0] * 16
    ink = data["image"].amax((1, 2, 3))
    assert float(ink.min()) > 0.3
    assert float(ink.max()) == 1.0


@pytest.mark.parametrize("by", ["position", "label"])
def test_the_value(by: str, data: dict[str, Tensor]) -> None:
    loss = example.two_towers(by).double()
    given = {name: value[:9] for name, value in data.items()}
    given["image"] = given["image"].double()
    given["label"] = torch.tensor([0, 1, 2, 0, 1, 3, 4, 4, 4])
    with torch.no_grad():
        total, _ = loss(**{name: given[name] for name in loss.inputs})
    sides = loss.see(given["image"]), loss.read(given["text"])
    assert sides[0].shape == sides[1].shape == (9, 128)
    assert abs(float(total) - plain(sides, given["label"].tolist(), float(loss.t.detach().exp()), by)) < 1e-10


def test_one_optimizer_trains_both_as_cross_entropy_would(data: dict[str, Tensor]) -> None:
    loss = example.two_towers("position").double()
    twin = copy.deepcopy(loss)
    image, text = data["image"][:12].double(), data["text"][:12]
    mine, other = (torch.optim.AdamW(one.parameters(), lr=1e-3) for one in (loss, twin))
    for _ in range(4):
        mine.zero_grad()
        loss(image=image, text=text)[0].backward()
        mine.step()
        other.zero_grad()
        sides = [nn.functional.normalize(side, dim=1) for side in (twin.see(image), twin.read(text))]
        logits = sides[0] @ sides[1].T / twin.t.exp()
        places = torch.arange(12)
        (nn.functional.cross_entropy(logits, places) / 2 + nn.functional.cross_entropy(logits.T, places) / 2).backward()
        other.step()
    for one, two in zip(loss.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-8, atol=1e-8)


def test_recall_by_a_loop(data: dict[str, Tensor]) -> None:
    loss, rows = example.two_towers("position"), torch.arange(30)
    data = {**data, "label": data["label"] // 3}
    with torch.no_grad():
        sides = [
            nn.functional.normalize(one, dim=1) for one in (loss.see(data["image"][:30]), loss.read(data["text"][:30]))
        ]
    for k in (1, 5):
        right = 0
        for i in range(30):
            order = sorted(range(30), key=lambda j: -float(sides[0][i] @ sides[1][j]))[:k]
            right += any(data["label"][j] == data["label"][i] for j in order)
        assert abs(example.recall(loss, data, rows, k) - right / 30) < 1e-6


@pytest.mark.long
def test_they_learn_from_some_of_the_glyphs() -> None:
    torch.manual_seed(0)
    data = example.glyphs(every=4)
    order = torch.randperm(len(data["label"]))
    loss = example.two_towers("label")
    means = example.train(loss, data, order[140:], epochs=4)
    assert means[-1] < means[0] - 0.5
    assert example.recall(loss.eval(), data, order[:140], 5) > 5 * 5 / 140
