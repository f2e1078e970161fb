"""M1: two losses joined by an operator, held against torch's own losses and operators."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import wye
from examples import m01_two_losses as example
from tests.examples.training import OPTIMIZERS, assert_close, assert_same_gradients, assert_same_weights, step

PLAIN: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
    "max": torch.maximum,
    "min": torch.minimum,
    "mean": lambda first, second: (first + second) / 2,
}


class Plain(nn.Module):
    """The network and the two losses, written by hand over the same layers."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = copy.deepcopy(net)

    def forward(self, image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        hidden = torch.relu(self.net.see(image))
        return F.cross_entropy(self.net.classify(hidden), label), F.mse_loss(self.net.draw(hidden), image)


def batch(size: int = 12) -> tuple[Tensor, Tensor]:
    return torch.rand(size, 64, dtype=torch.float64), torch.randint(0, 10, (size,))


def called(net: wye.Join, loss: wye.Objective, image: Tensor, label: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    logits, picture = net(image)
    return loss(logits=logits, label=label, picture=picture, image=image)


def test_all_operators_are_covered() -> None:
    assert set(PLAIN) == set(example.OPERATORS)


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("switched", [False, True])
def test_value_and_gradients(name: str, switched: bool) -> None:
    net = example.network().double()
    twin, (image, label) = Plain(net), batch()
    loss = example.two_losses("+" if switched else name)
    if switched:
        loss.formula = example.joined(name)
    total, terms = called(net, loss, image, label)
    first, second = twin(image, label)
    wanted = PLAIN[name](first, second)
    total.backward()
    wanted.backward()
    assert_close(total, wanted)
    assert_close(terms["loss1"], first.detach())
    assert_close(terms["loss2"], second.detach())
    assert not terms["loss1"].requires_grad
    for layer in ("see", "classify", "draw"):
        assert_same_gradients(net.get_submodule(layer).parameters(), twin.net.get_submodule(layer).parameters())


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_weights_after_training_with_the_operator_switched(kind: str) -> None:
    net, loss = example.network().double(), example.two_losses("+")
    twin = Plain(net)
    ours, theirs = OPTIMIZERS[kind](net.parameters()), OPTIMIZERS[kind](twin.parameters())
    for name in ("+", "*", "max", "/"):
        loss.formula = example.joined(name)
        for _ in range(5):
            image, label = batch()
            step(ours, called(net, loss, image, label)[0])
            step(theirs, PLAIN[name](*twin(image, label)))
    assert_same_weights(net.parameters(), twin.net.parameters())


@pytest.mark.parametrize(
    ("attempt", "word"),
    [
        ("loss1 plus loss2", "plus"),
        ("loss1 ^ loss2", "^"),
        ("loss1 & loss2", "&"),
        ("loss1 +* loss2", "*"),
        ("loss1 + ", "missing"),
        ("loss1 + los2", "los2"),
    ],
)
def test_a_formula_that_is_none_leaves_the_old_one(attempt: str, word: str) -> None:
    net, loss, (image, label) = example.network().double(), example.two_losses("*"), batch()
    before, _ = called(net, loss, image, label)
    with pytest.raises(wye.WyeError) as caught:
        loss.formula = attempt
    assert word in str(caught.value)
    assert str(loss.formula) == "loss1 * loss2"
    assert torch.equal(called(net, loss, image, label)[0], before)


@pytest.mark.parametrize("name", ["plus", "", "^", "add", "++"])
def test_an_operator_that_does_not_exist_is_refused_when_built(name: str) -> None:
    with pytest.raises(wye.FormulaError, match="is not an operator"):
        example.two_losses(name)


def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example.main()
    told = capsys.readouterr().out
    assert "loss1 * loss2                  6.000     2.000     3.000" in told
    assert "loss1 / loss2                  1.500     0.500    -0.750" in told
    assert "Adam has counted 120 steps" in told
    assert told.count("FormulaError") == 3
    assert "The formula is still max(loss1, loss2)." in told
