"""Balanced terms on digits, held against full backwards that are combined by hand."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import wye
from examples import balance_of_terms as example
from tests.examples.training import OPTIMIZERS, assert_close, assert_same_weights


def plain(loss: wye.Objective, h: Tensor, image: Tensor, label: Tensor) -> list[Tensor]:
    drawing = (loss.draw(h) - image).square().sum(1).mean()
    return [F.cross_entropy(loss.tell(h), label), F.cross_entropy(loss.odd(h), label % 2), drawing]


def step_by_hand(net: nn.Module, loss: wye.Objective, image: Tensor, label: Tensor) -> list[float]:
    """Three whole backwards, their lengths at the features, and the gradients put together; the weights."""
    rows, own, weights = [], [], [*net.parameters()]
    for place in range(3):
        h = net(image / 16)
        h.retain_grad()
        net.zero_grad()
        plain(loss, h, image, label)[place].backward()  # each head gets the gradient of its term
        rows.append(float(h.grad.square().sum().sqrt()))
        own.append([weight.grad.clone() for weight in weights])
    found = [sum(rows) / 3 / row for row in rows]
    for number, weight in enumerate(weights):
        weight.grad = sum(factor * one[number] for factor, one in zip(found, own, strict=True))
    return found


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_training_is_that_of_backwards_combined_by_hand(kind: str) -> None:
    net, loss = example.trunk().double(), example.objective().double()
    twin, other = copy.deepcopy(net), copy.deepcopy(loss)
    ours = OPTIMIZERS[kind]([*net.parameters(), *loss.parameters()])
    theirs = OPTIMIZERS[kind]([*twin.parameters(), *other.parameters()])
    balance = wye.Balance(example.equal_lengths)
    for _ in range(5):
        image, label = torch.rand(12, 64, dtype=torch.float64), torch.randint(10, (12,))
        h = net(image / 16)
        total, weights = balance(loss.summands(h=h, image=image, label=label), at=h)
        ours.zero_grad()
        total.backward()
        ours.step()
        assert_close(total, sum(plain(other, twin(image / 16), image, label)))
        theirs.zero_grad()
        wanted = step_by_hand(twin, other, image, label)
        theirs.step()
        assert [float(one) for one in weights.values()] == pytest.approx(wanted, rel=1e-9)
    assert_same_weights(net.parameters(), twin.parameters())
    assert_same_weights(loss.parameters(), other.parameters())


def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    found = example.main()
    told = capsys.readouterr().out
    assert "plain sum      weights    1.000    1.000    1.000" in told
    (_, (summed, ones)), (share, (terms, weights)) = found["plain sum"], found["equal lengths"]
    assert list(ones.values()) == pytest.approx([1, 1, 1])
    assert weights["drawing"] < 1 < min(weights["digit"], weights["parity"])
    assert terms["digit"] < summed["digit"]
    assert terms["parity"] < summed["parity"]
    assert f"{share:.1%} of 360 new digits right" in told
