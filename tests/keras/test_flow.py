"""Random nestings of flow on Keras give the values and the gradients of a plain loop over samples."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tests.conformance.flow_cases import plain_bits
from tests.keras.flow_loop import Loop
from tests.keras.flow_nestings import Drawn, batch
from tests.keras.flow_slopes import WAYS, Sloped, sloped

SIZE = 5
SEEDS = 60
DEEP = 7
"""Every so many nestings, one is three nodes deep; the others are two deep. No multiple of the number of ways."""
ALWAYS = 4
CLOSE = 1e-3
"""How near to a bound a sample may be before the loop, in other floats, could decide otherwise."""


class Pair:
    """A net, and what the loop makes of the same batch."""

    def __init__(self, seed: int, training: bool, size: int = SIZE) -> None:
        for draw in range(50):
            self.drawn = Drawn(seed + 1000 * draw, 2 + (seed % DEEP == DEEP - 1))
            self.given = batch(seed, size, self.drawn.nest)
            self.net, self.dice = self.drawn.built()
            self.training, self.seed = training, seed
            self.loop = Loop(self.drawn, self.bits if training else None)
            if not size:
                return
            self.wanted = self.loop(self.given)
            if self.loop.margin > CLOSE:
                return
        raise AssertionError("no nesting keeps away from its bounds")

    def bits(self, place: int, call: int) -> int:
        return plain_bits(self.seed + place, call, 0)

    def run(self, way: str) -> Sloped:
        for place, node in self.dice.items():
            node.dice.seed.assign(self.seed + place)
            node.dice.steps.assign(0)
        inputs = {name: value for name, value in self.given.items() if name == "x" or name in self.net.wants}
        return sloped(self.net, inputs, way, self.training)

    def holder(self) -> list[Any]:
        """The variables of the layers, in the order of the loop."""
        return [one for layer in self.drawn.layers for one in (layer.kernel, layer.bias)]


def check(pair: Pair, way: str) -> None:
    found = pair.run(way)
    value, sides, weights = pair.wanted
    for one, other in zip(keras.tree.flatten(found.value), keras.tree.flatten(value), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-4)
    for name, slope in found.sides.items():
        for one, other in zip(keras.tree.flatten(slope), keras.tree.flatten(sides[name]), strict=True):
            np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-3, err_msg=name)
    of = {id(variable): slope for variable, slope in zip(pair.holder(), weights, strict=True)}
    for variable, slope in zip(pair.net.trainable_variables, found.weights, strict=True):
        np.testing.assert_allclose(slope, of[id(variable)], rtol=2e-3, atol=2e-3)
    if pair.training:
        for place, node in pair.dice.items():
            assert int(node.dice.steps) == pair.loop.calls.get(place, -1) + 1


@pytest.mark.parametrize(
    "seed", [*range(ALWAYS), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(ALWAYS, SEEDS))]
)
def test_a_nesting_is_a_loop_over_samples(seed: int) -> None:
    pair = Pair(seed, training=seed % 2 == 0)
    for way in WAYS if seed < ALWAYS else [WAYS[seed % len(WAYS)]]:
        check(pair, way)


@pytest.mark.parametrize("seed", range(4))
def test_a_nesting_of_no_samples(seed: int) -> None:
    pair = Pair(100 + seed, training=False, size=0)
    for way in WAYS[:2]:
        found = pair.run(way)
        for one in keras.tree.flatten(found.value):
            assert one.shape == (0, 3)
        for slope in [*found.weights, found.sides.get("table", 0), found.sides.get("level", 0)]:
            np.testing.assert_array_equal(slope, np.zeros_like(slope))
