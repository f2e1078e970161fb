"""The law: a run has the same bits whether it is watched or not. Over every example."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Adam, AdamW, Optimizer

import examples.digits as digits
import examples.early_exit as early_exit
import examples.m01_two_losses as m01
import examples.m03_two_modules as m03
import examples.m04_intermediate_values as m04
import examples.m06_layer_under_a_condition as m06
import examples.m07_random_depth_distinct as m07
import examples.m08_random_depth_shared as m08
import examples.m09_loop_on_the_data as m09
import examples.m11_adaptive_image_processing as m11
import examples.m14_importance_mask as m14
import examples.m16_weight_per_sample as m16
import examples.m21_dynamic_graph_or_tree as m21
import examples.m22_how_weights_move as m22
import examples.m24_never_meets_the_condition as m24
from tests.laws.bits import SETTINGS, Run, assert_same_bits
from tests.laws.bits_losses import SCENES

STEPS = 9


@dataclass
class Scene:
    """What an example trains, and how.

    Attributes:
        net: the network, and what else is watched as one.
        loss: of a step, by its number.
        answer: what an evaluation looks at.
        objective: what is watched as such.
    """

    net: nn.Module
    loss: Callable[[int], Tensor]
    answer: Callable[[], Any]
    objective: nn.Module | None = None


def images(count: int = 96) -> tuple[Tensor, Tensor]:
    data = load_digits()
    return torch.tensor(data.data[:count] / 16, dtype=torch.float32), torch.tensor(data.target[:count])


def two_losses() -> Scene:
    (image, label), net, loss = images(), m01.network(), m01.two_losses("+")

    def total(step: int) -> Tensor:
        loss.formula = m01.joined(m01.OPERATORS[step % len(m01.OPERATORS)])
        logits, picture = net(image)
        return loss(logits=logits, label=label, picture=picture, image=image)[0]

    return Scene(net, total, lambda: net(image), loss)


def two_modules(operator: str) -> Scene:
    net, (x, y) = m03.two_modules(operator), m03.patients()
    return Scene(net, lambda _: F.mse_loss(net(x), y), lambda: net(x))


def intermediate_values() -> Scene:
    (image, label), net, loss = images(), m04.network(dropout=0.5), m04.objective()

    def total(_: int) -> Tensor:
        logits, guess = net(image)
        return loss(logits=logits, guess=guess, label=label)[0]

    return Scene(net, total, lambda: net(image), loss)


def under_a_condition() -> Scene:
    net, (x, group, control) = m06.network(), m06.patients()

    def total(step: int) -> Tensor:
        return F.cross_entropy(net(x, control=0.0 if step % 4 == 0 else control), group)

    return Scene(net, total, lambda: net(x, control=control))


def distinct_depth() -> Scene:
    (image, label), net, loss = images(), m07.network(), m07.objective()
    return Scene(net, lambda _: loss(net(image), label)[0], lambda: net(image), loss)


def classified(net: nn.Module, scale: Callable[[int], float] = lambda _: 1.0) -> Scene:
    image, label = images()
    return Scene(net, lambda step: F.cross_entropy(net(image * scale(step)), label), lambda: net(image))


def adaptive() -> Scene:
    net, loss = m11.network(), m11.objective()
    scene, _ = m11.lit(m11.patches("coffee")[:24])

    def total(_: int) -> Tensor:
        return loss(net(m11.sensor(m11.lens(scene))), scene)[0]

    return Scene(net, total, lambda: net(m11.sensor(m11.lens(scene))), loss)


def masked() -> Scene:
    image = images()[0].reshape(-1, 8, 8)
    net, loss = m14.network(), m14.masked_error(m14.middle())
    return Scene(net, lambda _: loss(net(image), image)[0], lambda: net(image), loss)


def weighted() -> Scene:
    x, _, mixed, w = m16.patients()
    net, loss = nn.Linear(x.shape[1], 1), m16.weighted_by_id(w)

    def total(_: int) -> Tensor:
        rows = torch.randperm(len(x))[:64]
        return loss(pred=net(x[rows]), label=mixed[rows], id=rows)[0]

    return Scene(net, total, lambda: net(x), loss)


def exits() -> Scene:
    net, loss, (image, label) = early_exit.network(), early_exit.objective(), images(48)
    image = image.reshape(-1, 1, 8, 8)

    def total(step: int) -> Tensor:
        net.all_exits = step % 3 != 2
        out = net(image, threshold=0.2)
        net.all_exits = False
        return loss(out, label)[0] if step % 3 != 2 else F.cross_entropy(out, label)

    return Scene(net, total, lambda: net(image, threshold=0.2), loss)


def all_at_once() -> Scene:
    net, loss, (image, label) = digits.network(), digits.objective(), images(32)
    image = image.reshape(-1, 1, 8, 8)

    def total(_: int) -> Tensor:
        loss.advance()
        logits = net(torch.cat([digits.shift(image), digits.dimmed(image)]))
        bright, dim = logits.chunk(2)
        return loss(logits=logits, label=label.repeat(2), dim=dim, bright=bright)[0]

    return Scene(net, total, lambda: net(digits.dimmed(image)), loss)


def coin(net: nn.Module) -> Scene:
    x = torch.rand(20, 4)
    return Scene(net, lambda _: net(x).square().mean(), lambda: net(x))


def turns(step: int) -> float:
    """Dim, from dim to bright, glaring."""
    return (0.02, 3.0, 300.0)[step % 3]


EXAMPLES: dict[str, Callable[[], Scene]] = {
    "m01_two_losses": two_losses,
    **{f"m03_two_modules {operator}": lambda operator=operator: two_modules(operator) for operator in m03.OPERATORS},
    "m04_intermediate_values": intermediate_values,
    "m06_layer_under_a_condition": under_a_condition,
    "m07_random_depth_distinct": distinct_depth,
    "m08_random_depth_shared": lambda: classified(m08.network()),
    "m09_loop_on_the_data sample": lambda: classified(m09.network("sample"), turns),
    "m09_loop_on_the_data batch": lambda: classified(m09.network("batch"), turns),
    "m11_adaptive_image_processing": adaptive,
    "m14_importance_mask": masked,
    "m16_weight_per_sample": weighted,
    "m21_dynamic_graph_or_tree plain": lambda: classified(m21.Plain()),
    "m21_dynamic_graph_or_tree shared": lambda: classified(m21.Plain(shared=True)),
    "m21_dynamic_graph_or_tree wye": lambda: classified(m21.network()),
    "m21_dynamic_graph_or_tree tree": lambda: classified(m21.Tree()),
    "m22_how_weights_move plain": lambda: classified(m22.Depth()),
    "m22_how_weights_move wye": lambda: classified(m22.depth_network()),
    "m22_how_weights_move coin": lambda: coin(m22.Coin()),
    "m22_how_weights_move wye coin": lambda: coin(m22.coin_network()),
    "m24_never_meets_the_condition plain": lambda: classified(m24.Plain(), turns),
    "m24_never_meets_the_condition wye": lambda: classified(m24.network(), turns),
    "early_exit": exits,
    "digits": all_at_once,
    **{name: lambda make=make: Scene(*make()) for name, make in SCENES.items()},
}

OPTIMIZERS: dict[str, Callable[[Any], Optimizer]] = {
    "momentum": lambda weights: SGD(weights, lr=0.05, momentum=0.9, weight_decay=0.01),
    "adamw": lambda weights: AdamW(weights, lr=0.01, weight_decay=0.05),
    "fused": lambda weights: Adam(weights, lr=0.01, weight_decay=0.05, fused=True),
}


def test_no_example_is_left_out() -> None:
    there = {path.stem for path in Path(digits.__file__).parent.glob("*.py")}
    assert {name.partition(" ")[0] for name in EXAMPLES} == there


def play(run: Run, make: Callable[[], Scene], optimizer: Callable[[Any], Optimizer], steps: int) -> None:
    scene = make()
    weights = [*scene.net.parameters(), *(scene.objective.parameters() if scene.objective else ())]
    stepper = optimizer(weights)
    run.watch(scene.net, stepper, scene.objective)
    for step in range(steps):
        run.step(stepper, scene.loss(step), to_none=step % 3 != 1)
        if step % 3 == 0:
            run.look(scene.net, scene.answer)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name: str, settings: dict[str, Any]) -> None:
    place = list(EXAMPLES).index(name) % len(OPTIMIZERS)
    optimizer = list(OPTIMIZERS.values())[place]
    (seen,) = assert_same_bits(lambda run: play(run, EXAMPLES[name], optimizer, STEPS), settings)
    assert seen.steps == STEPS


@pytest.mark.long
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_for_longer(name: str, optimizer: Callable[[Any], Optimizer]) -> None:
    settings = {"every": 3, "elements": 16}
    (seen,) = assert_same_bits(lambda run: play(run, EXAMPLES[name], optimizer, 60), settings)
    assert seen.steps == 60


def test_a_bit_that_differs_is_seen() -> None:
    def scene(run: Run) -> None:
        net = nn.Linear(2, 2)
        optimizer = SGD(net.parameters(), lr=0.1)
        run.watch(net, optimizer)
        if run.settings is not None:
            random.random()
        run.step(optimizer, net(torch.ones(1, 2)).sum())

    with pytest.raises(AssertionError, match="python"):
        assert_same_bits(scene, {})
