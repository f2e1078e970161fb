"""Early-learning regularisation held against a plain loop that keeps the moving averages in a dict."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from examples import elr_noisy_labels as example
from tests.examples.training import OPTIMIZERS, assert_close, assert_same_weights, step


class Plain:
    """The loss, sample by sample."""

    def __init__(self) -> None:
        self.targets: dict[int, Tensor] = {}

    def __call__(self, logits: Tensor, label: Tensor, ids: list[int]) -> Tensor:
        total, seen = torch.zeros((), dtype=logits.dtype), dict[int, list[Tensor]]()
        for place, one in enumerate(ids):
            scores = logits[place].exp() / logits[place].exp().sum()
            p = scores.clamp(1e-4, 0.9999)
            old = self.targets.get(one, torch.zeros(10, dtype=logits.dtype))
            total = total - scores[label[place]].log() + 3 * (1 - (p * old).sum()).log()
            seen.setdefault(one, []).append(0.7 * old + 0.3 * p.detach())
        self.targets |= {one: torch.stack(entries).mean(0) for one, entries in seen.items()}
        return total / len(ids)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_weights_and_targets_after_training(kind: str) -> None:
    net = nn.Linear(4, 10).double()
    twin, x, label = copy.deepcopy(net), torch.randn(20, 4, dtype=torch.float64), torch.randint(10, (20,))
    loss, plain = example.early_learning(20).double(), Plain()
    ours, theirs = OPTIMIZERS[kind](net.parameters()), OPTIMIZERS[kind](twin.parameters())
    for _ in range(25):
        rows = torch.randint(0, 20, (6,))  # an id may come twice in a batch
        step(ours, loss(logits=net(x[rows]), label=label[rows], id=rows)[0])
        step(theirs, plain(twin(x[rows]), label[rows], rows.tolist()))
    assert_same_weights(net.parameters(), twin.parameters())
    for one, target in plain.targets.items():
        assert_close(loss.t[one], target)


def test_its_strength_is_a_number_that_can_be_changed() -> None:
    loss = example.early_learning(5).double()
    loss.weight = 0.0
    given = {
        "logits": torch.randn(3, 10, dtype=torch.float64),
        "label": torch.tensor([1, 2, 3]),
        "id": torch.tensor([4, 0, 1]),
    }
    assert_close(loss(**given)[0], nn.functional.cross_entropy(given["logits"], given["label"]))
    loss.momentum = 1.0
    before = loss.t.clone()
    loss(**given)
    assert torch.equal(loss.t, before)


def test_the_noise_is_as_it_says() -> None:
    x, noisy, new, true = example.digits(0)
    _, again, _, _ = example.digits(0)
    assert torch.equal(noisy, again)
    assert len(x) == len(noisy) == example.TRAIN
    assert len(new) == len(true) == 1797 - example.TRAIN
    nearest = torch.cdist(x, x).fill_diagonal_(9).argmin(1)  # which mostly shows the same digit
    wrong = int((noisy != noisy[nearest]).sum())
    assert 0.55 < wrong / len(x) < 0.75  # 1 - (0.6 ** 2 + 0.4 ** 2 / 9) = 0.62


def test_it_runs_as_a_script() -> None:
    script = Path(example.__file__)
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True, env=environment)
    plain, ours = (float(line.split()[-1]) for line in done.stdout.splitlines()[1:3])
    assert ours > plain
    assert "Targets of 1200 samples were written, each 60 times" in done.stdout
