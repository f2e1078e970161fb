"""M4: values named on the way, used twice, joined with later ones and stopped, held against plain torch."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import wye
from examples import m04_intermediate_values as example
from tests.examples.training import OPTIMIZERS, assert_close, assert_same_gradients, assert_same_weights, step


def plain(net: nn.Module, image: Tensor) -> tuple[Tensor, Tensor]:
    early = torch.relu(net.encode(image))
    late = torch.relu(net.deepen(early))
    return net.classify(early + late), net.probe(early.detach())


def batch(size: int = 12) -> tuple[Tensor, Tensor]:
    return torch.rand(size, 64, dtype=torch.float64), torch.randint(0, 10, (size,))


def test_values_and_gradients() -> None:
    net = example.network().double()
    twin, (image, label) = copy.deepcopy(net), batch()
    (logits, guess), (their_logits, their_guess) = net(image), plain(twin, image)
    assert_close(logits, their_logits)
    assert_close(guess, their_guess)
    total, terms = example.objective()(logits=logits, guess=guess, label=label)
    final, early = F.cross_entropy(their_logits, label), F.cross_entropy(their_guess, label)
    total.backward()
    (final + early).backward()
    assert_close(total, final + early)
    assert_close(terms["final"], final.detach())
    assert_close(terms["early"], early.detach())
    assert_same_gradients(net.parameters(), twin.parameters())


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_weights_after_training(kind: str) -> None:
    net, loss = example.network().double(), example.objective()
    twin = copy.deepcopy(net)
    ours, theirs = OPTIMIZERS[kind](net.parameters()), OPTIMIZERS[kind](twin.parameters())
    for _ in range(20):
        image, label = batch()
        logits, guess = net(image)
        step(ours, loss(logits=logits, guess=guess, label=label)[0])
        logits, guess = plain(twin, image)
        step(theirs, F.cross_entropy(logits, label) + F.cross_entropy(guess, label))
    assert_same_weights(net.parameters(), twin.parameters())


def test_a_stopped_value_passes_no_gradient() -> None:
    net, (image, label) = example.network().double(), batch()
    F.cross_entropy(net(image)[1], label).backward()
    assert all(weight.grad is None for weight in (*net.encode.parameters(), *net.deepen.parameters()))
    assert all(weight.grad is not None for weight in net.probe.parameters())


def test_a_named_value_is_computed_once() -> None:
    net, (image, _) = example.network(dropout=0.5).double(), batch()
    calls: list[int] = []
    net.encode.register_forward_hook(lambda *_: calls.append(1))
    net(image)
    assert len(calls) == 1
    net.formula = "encode(image) - encode(image)"
    assert bool((net(image) == 0).all())
    assert len(calls) == 2
    net.formula = "encode(image, draw=1) - encode(image, draw=2)"
    assert not bool((net(image) == 0).all())
    assert len(calls) == 4


@pytest.mark.parametrize(
    "text",
    [
        "early = encode(image)\nearly = relu(early)\nclassify(early)",  # a name is bound once
        "classify(late)\nlate = encode(image)",  # the last line is the value
        "late = encode(image)\nclassify(later)",  # a name that is nowhere
        "encode = encode(image)\nclassify(encode)",  # the name of a part
    ],
)
def test_a_name_used_wrongly_is_an_error(text: str) -> None:
    net = example.network()
    with pytest.raises(wye.WyeError):
        net.formula = text
    assert net.formula == wye.Formula(example.FORMULA)


def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example.main()
    told = capsys.readouterr().out
    assert "probe(stop(early))\n  the probe's own loss does not reach the encoder" in told
    assert "probe(early)\n  the probe's own loss reaches the encoder" in told
    assert "encode(image) - encode(image) is zero" in told
    assert "draw=2) is not zero" in told
