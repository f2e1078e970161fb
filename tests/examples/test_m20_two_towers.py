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
    dots, *places = example.tokens("DOTS-14")[-3:]
    assert example.tokens("DOTS-41")[-3:] == [dots, *places[::-1]]
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


def looks(data: dict[str, Tensor]) -> Tensor:
    return example.numbered(picture.numpy().tobytes() for picture in data["image"][:, 0])


def test_the_forms_of_a_character_share_a_label() -> None:
    """ALPHA looks like A and is another character; its small form is not."""
    letters = dict.fromkeys("LATIN CAPITAL LETTER A/LATIN SMALL LETTER A/GREEK CAPITAL LETTER ALPHA".split("/"), -1)
    data = example.glyphs()
    for name in letters:
        (place,) = torch.where((data["text"] == torch.tensor(example.tokens(name))).all(1))[0].tolist()
        letters[name] = place
    latin, small, greek = letters.values()
    assert data["label"][latin] == data["label"][small] != data["label"][greek]
    assert torch.equal(data["image"][latin], data["image"][greek])
    family = example.families(data)
    assert family[latin] == family[small] == family[greek]
    for seed in (0, 1):
        kept_apart(data, *example.split(data, seed))


def kept_apart(data: dict[str, Tensor], rows: Tensor, held: Tensor) -> None:
    """No picture, name or label is on both sides."""
    count = len(data["label"])
    assert sorted([*rows.tolist(), *held.tolist()]) == list(range(count))
    assert 0.09 * count < len(held) <= 0.1 * count
    for keys in (looks(data).tolist(), [tuple(name) for name in data["text"].tolist()], data["label"].tolist()):
        assert not {keys[i] for i in rows.tolist()} & {keys[i] for i in held.tolist()}


def test_families_are_joined_over_others() -> None:
    picture = torch.tensor([0, 0, 1, 2, 3, 4, 5])[:, None, None, None].expand(-1, 3, 1, 1)
    text = torch.tensor([[0], [1], [2], [2], [3], [4], [5]])
    label = torch.tensor([0, 1, 1, 2, 3, 4, 3])
    assert example.families({"image": picture, "text": text, "label": label}).tolist() == [0, 0, 0, 0, 4, 5, 4]


@pytest.mark.parametrize("by", ["looks", "label"])
def test_labels_of_equal_pictures_alone_change_nothing(by: str) -> None:
    """Where the rows of a label are alike on one side, it is the loss by position, of whatever weights."""
    data = example.glyphs(every=4)
    label = looks(data) if by == "looks" else data["label"]
    rows = torch.where(torch.bincount(label)[label] > 1)[0][:40]
    assert len(rows) == 40
    given = {"image": data["image"][rows].double(), "text": data["text"][rows], "label": label[rows]}
    losses = [example.two_towers(one).double() for one in ("position", "label")]
    losses[1].load_state_dict(losses[0].state_dict())
    totals = [loss(**{name: given[name] for name in loss.inputs})[0] for loss in losses]
    gradients = [torch.autograd.grad(total, list(one.parameters())) for total, one in zip(totals, losses, strict=True)]
    apart = max(float((one - two).abs().max()) for one, two in zip(*gradients, strict=True))
    assert apart < 1e-12 if by == "looks" else apart > 1e-3
    assert (abs(float((totals[0] - totals[1]).detach())) < 1e-12) == (by == "looks")


def test_recall_by_a_loop(data: dict[str, Tensor]) -> None:
    loss, rows = example.two_towers("position"), torch.arange(30)
    with torch.no_grad():
        sides = [
            nn.functional.normalize(one, dim=1) for one in (loss.see(data["image"][:30]), loss.read(data["text"][:30]))
        ]
    nearest = example.ranked(loss, data, rows)
    for label in (rows, rows // 3):
        for k in (1, 5):
            right = 0
            for i in range(30):
                order = sorted(range(30), key=lambda j: -float(sides[0][i] @ sides[1][j]))[:k]
                right += any(label[j] == label[i] for j in order)
            assert abs(example.recall(nearest, label, k) - right / 30) < 1e-6


@pytest.mark.long
def test_they_learn_from_some_of_the_glyphs() -> None:
    torch.manual_seed(0)
    data = example.glyphs(every=4)
    rows, held = example.split(data)
    loss = example.two_towers("label")
    means = example.train(loss, data, rows, epochs=8)
    assert means[-1] < means[0] - 0.5
    nearest = example.ranked(loss.eval(), data, held)
    assert example.recall(nearest, torch.arange(len(held)), 5) > 4 * 5 / len(held)
