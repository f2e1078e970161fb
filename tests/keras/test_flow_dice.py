"""Dice on Keras: one fall for each call in training, the same bits as on every front, in eager and captured."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import wye.keras as wye
from tests.conformance.flow_cases import chosen, plain_bits
from tests.keras.flow_slopes import EACH, sloped
from tests.keras.plain import BACKEND, numbers
from wye.formula.chance import fall

ROW = {"x": np.zeros((2, 1), "float32")}
BRANCHES = ("x + 0", "x + 1", "x + 2")


def shown(net: Any, way: str, training: bool = True, **more: Any) -> float:
    return float(sloped(net, {**ROW, **more}, way, training).value[0, 0])


def set_to(net: Any, seed: int, step: int) -> None:
    net.dice.seed.assign(seed)
    net.dice.steps.assign(step)


@pytest.mark.parametrize("way", EACH)
@pytest.mark.parametrize("seed", [0, 5, 2**31 - 1])
def test_a_choice_falls_as_on_every_front(seed: int, way: str) -> None:
    for weights in (None, (1, 0, 2.5), (0, 0, 1), (1, 0, 0)):
        net = wye.RandomChoice(*BRANCHES, weights=weights)
        set_to(net, seed, 3)
        for step in (3, 4, 5):
            assert int(net.dice.steps) == step
            assert shown(net, way) == chosen(seed, step, tuple(weights or (1, 1, 1)))


@pytest.mark.parametrize("way", EACH)
def test_dice_and_coins_in_formulas_fall_as_on_every_front(way: str) -> None:
    seed = 12345
    die = wye.Repeat("x + 1", "die(1, 6)")
    two = wye.Repeat("x + 1", "min(die(0, 3) + die(0, 2), 5)")
    coin = wye.When("coin(p)", "x + 1", p=0.375)
    index = wye.Switch("die(0, 2)", *BRANCHES)
    bound = wye.Switch("die(0, top)", *BRANCHES, top=1)
    for net in (die, two, coin, index, bound):
        set_to(net, seed, 0)
    for step in range(3):
        assert shown(die, way) == 1 + fall(seed, step, 0) % 6
        assert (
            shown(two, way) == plain_bits(seed, step, 4) % 4 + plain_bits(seed, step, 16) % 3
        )  # by their places in the text
        assert shown(coin, way) == float(plain_bits(seed, step, 0) < 0.375 * 2**32)
        assert shown(index, way) == plain_bits(seed, step, 0) % 3
        assert shown(bound, way) == plain_bits(seed, step, 0) % 2


def test_a_fair_coin_is_fair_and_weights_weigh() -> None:
    coin = wye.When("coin(0.5)", "x + 1")
    choice = wye.RandomChoice(*BRANCHES, weights=(1, 2, 5))
    coins = [float(numbers(coin(ROW["x"], training=True))[0, 0]) for _ in range(200)]
    places = [int(numbers(choice(ROW["x"], training=True))[0, 0]) for _ in range(200)]
    assert 75 <= sum(coins) <= 125
    for place, share in enumerate((1 / 8, 2 / 8, 5 / 8)):
        assert abs(places.count(place) - 200 * share) < 30


def test_seeds_come_of_keras_and_differ() -> None:
    keras.utils.set_random_seed(3)
    first = [int(wye.RandomChoice("x", "2 * x").dice.seed) for _ in range(4)]
    keras.utils.set_random_seed(3)
    assert first == [int(wye.RandomChoice("x", "2 * x").dice.seed) for _ in range(4)]
    assert len({*first}) == 4


@pytest.mark.parametrize("way", EACH)
def test_in_eval_nothing_is_drawn(way: str) -> None:
    rules = [
        (wye.RandomChoice(*BRANCHES), 0),
        (wye.RandomChoice(*BRANCHES, weights=(1, 3, 3)), 1),
        (wye.RandomChoice(*BRANCHES, weights=(1, 3, 3), eval=2), 2),
        (wye.Repeat("x + 1", "die(0, 3)"), 3),
        (wye.Repeat("x + 1", "die(0, 3)", eval=1), 1),
        (wye.Repeat("x + 1", "die(0, 3) + 1", eval=2), 2),
        (wye.When("coin(0.5)", "x + 1", eval=True), 1),
        (wye.When("coin(0.5)", "x + 1", eval=False), 0),
        (wye.Switch("die(0, 2)", *BRANCHES, eval=1), 1),
    ]
    for net, wanted in rules:
        assert shown(net, way, training=False) == wanted
        assert int(net.dice.steps) == 0
    with pytest.raises(Exception, match="nothing is drawn in eval"):
        shown(wye.When("coin(0.5)", "x + 1"), way, training=False)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_fit_moves_each_die_once_in_a_step(compiled: bool) -> None:
    if BACKEND == "torch" and compiled:
        pytest.skip("Keras compiles nothing on torch")
    inner = wye.RandomChoice("x", "2 * x")
    again = wye.Repeat("x + 0.1", "die(0, 3)")
    net = wye.Chain(keras.layers.Dense(1), inner, again)
    net.compile(keras.optimizers.SGD(0.001), "mse", jit_compile=compiled)
    net.fit(np.ones((12, 2), "float32"), np.ones((12, 1), "float32"), batch_size=4, epochs=2, verbose=0)
    assert (int(inner.dice.steps), int(again.dice.steps)) == (6, 6)
    net.evaluate(np.ones((4, 2), "float32"), np.ones((4, 1), "float32"), verbose=0)
    net.predict(np.ones((4, 2), "float32"), verbose=0)
    assert (int(inner.dice.steps), int(again.dice.steps)) == (6, 6)
