"""Early exit on digits, held against a loop over samples and stages."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from examples import early_exit as example
from tests.examples.training import OPTIMIZERS, assert_close, assert_same_weights, step


def plain(net: nn.Module, x: Tensor, threshold: float) -> tuple[Tensor, list[int]]:
    """Sample by sample, stage by stage; and how many stages each ran."""
    rows, depths = [], []
    for sample in x:
        hidden, depth = sample[None], 0
        while True:
            hidden = net.get_submodule(f"stage{depth}")(hidden)
            logits = net.get_submodule(f"exit{depth}")(hidden)
            depth += 1
            if depth == example.DEPTH or float(torch.softmax(logits.detach(), 1).max()) > threshold:
                break
        rows.append(logits[0])
        depths.append(depth)
    return torch.stack(rows), depths


def curve(told: str) -> dict[float, tuple[float, float]]:
    """The printed table: for each threshold the mean depth and the share of right answers."""
    rows = [line.split() for line in told.splitlines() if line.endswith("%")]
    return {float(threshold): (float(depth), float(right[:-1]) / 100) for threshold, depth, _, right in rows}


@pytest.mark.parametrize("threshold", [0.0, 0.105, 0.11, 0.12, 1.0])
def test_values_gradients_and_depths(threshold: float) -> None:
    net = example.network(width=4).double()
    image = torch.rand(40, 1, 8, 8, dtype=torch.float64) * torch.linspace(0, 6, 40)[:, None, None, None]
    got, (wanted, depths) = net(image, threshold=threshold), plain(net, image, threshold)
    assert_close(got, wanted)
    weights = list(net.parameters())
    ours = torch.autograd.grad(got.square().sum(), weights, allow_unused=True)
    theirs = torch.autograd.grad(wanted.square().sum(), weights, allow_unused=True)
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine is None) == (other is None)
        if mine is not None and other is not None:
            assert_close(mine, other)
    for place in range(example.DEPTH):
        assert net.paths[f"stage{place}"].samples == sum(depth > place for depth in depths)
        assert net.paths[f"exit{place}"].samples == depths.count(place + 1)


def test_the_threshold_may_be_each_samples_own() -> None:
    net = example.network(width=4).double()
    image, threshold = torch.rand(12, 1, 8, 8, dtype=torch.float64), torch.tensor([0.0, 0.12, 1.0] * 4)
    rows = [plain(net, one[None], float(own))[0] for one, own in zip(image, threshold, strict=True)]
    assert_close(net(image, threshold=threshold), torch.cat(rows))


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_training_is_the_sum_of_the_losses_of_all_exits(kind: str) -> None:
    net, twin, loss = example.network(width=4).double(), example.network(width=4).double(), example.objective()
    twin.load_state_dict(net.state_dict())
    ours, theirs = OPTIMIZERS[kind](net.parameters()), OPTIMIZERS[kind](twin.parameters())
    net.all_exits = True
    for _ in range(8):
        image, label = torch.rand(6, 1, 8, 8, dtype=torch.float64), torch.randint(0, 10, (6,))
        total, terms = loss(net(image), label)
        hidden, wanted = image, list[Tensor]()
        for place in range(example.DEPTH):
            hidden = twin.get_submodule(f"stage{place}")(hidden)
            wanted.append(F.cross_entropy(twin.get_submodule(f"exit{place}")(hidden), label))
        assert_close(torch.stack(list(terms.values())), torch.stack(wanted).detach())
        step(ours, total)
        step(theirs, torch.stack(wanted).sum())
    assert_same_weights(net.parameters(), twin.parameters())


@pytest.mark.long
def test_it_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "made" / "curve.png"
    example.main(path)
    told = capsys.readouterr().out
    found = curve(told)
    assert list(found) == list(example.THRESHOLDS)
    full, right = found[1.0]
    assert full == example.DEPTH
    assert right >= 0.95
    assert found[0.0][0] == 1.0
    assert max(share for depth, share in found.values() if depth <= 0.6 * full) > right - 0.02
    depths = [depth for depth, _ in found.values()]
    assert depths == sorted(depths)
    assert sum(map(int, told.split("they left: ")[1].split(" digits")[0].split(", "))) == 360
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 10_000


def test_each_prediction_is_that_of_a_loop_over_samples() -> None:
    torch.manual_seed(0)
    image, label, new_image, new_label = example.digits()
    net = example.network()
    example.train(net, image, label, epochs=4)
    found = example.sweep(net, new_image, new_label)
    for threshold, depth, right in found[1:8:3]:
        with torch.no_grad():
            wanted, depths = plain(net, new_image, threshold)
            assert torch.equal(net(new_image, threshold=threshold).argmax(1), wanted.argmax(1))
        assert depth == pytest.approx(sum(depths) / len(depths))
        assert right == pytest.approx(float((wanted.argmax(1) == new_label).double().mean()), abs=1e-6)
        assert len(set(depths)) > 1
