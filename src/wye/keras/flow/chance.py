"""Dice on Keras: a hash of the node's seed and of how often it was called in training."""

from __future__ import annotations

import random
from typing import Any

import keras

from ...formula.chance import MASK, check_bounds, fall
from ..kernels import ON_JAX, WHOLE, Array, Tensor, constant, ops, truth

BITS = "uint32" if ON_JAX else "int64"
"""The whole numbers in which bits are mixed: those of JAX wrap around by themselves."""


class Dice(keras.Layer):
    """The seed and the step of a node's dice, saved with the weights.

    The seed is drawn when the node is built, from Python's generator, which `keras.utils.set_random_seed` seeds. The
    step moves with each call in training.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seed = constant("seed", random.randint(0, 2**31 - 1), WHOLE)
        self.steps = constant("step", 0, WHOLE)
        self.built = True

    def bits(self, place: int) -> Any:
        """32 random bits: a number, or a tensor without axes where a graph is captured."""
        seed, step = ops.convert_to_tensor(self.seed), ops.convert_to_tensor(self.steps)
        if truth(ops.equal(step, step)) is None:
            return hashed(seed, step, place)
        return fall(int(seed), int(step), place)

    def move(self) -> None:
        """The next step; a node calls it once in each call in training."""
        self.steps.assign_add(1)

    def fall(self, kind: str, place: int, bounds: tuple[Any, ...]) -> Any:
        """What the die or the coin at a place of the formula shows: a number, or a tensor without axes."""
        if not any(isinstance(bound, Tensor) for bound in bounds):
            check_bounds(kind, bounds)
        bits = self.bits(place)
        if kind == "coin":
            return below(bits, bounds[0])
        low, high = (ops.cast(bound, BITS) if isinstance(bound, Tensor) else int(bound) for bound in bounds)
        if isinstance(bits, int) and isinstance(low, int) and isinstance(high, int):
            return low + bits % (high - low + 1)
        bits = ops.convert_to_tensor(bits, BITS)
        return ops.cast(low + ops.mod(bits, ops.cast(high - low + 1, BITS)), WHOLE)


def below(bits: Any, chance: Any) -> Any:
    """Whether so many bits lie below a chance of all."""
    if isinstance(chance, Tensor):
        wide = "float32" if ON_JAX else "float64"
        return ops.less(ops.cast(bits, wide), ops.cast(chance, wide) * 2.0**32)
    if isinstance(bits, int):
        return bits < chance * 2**32
    return ops.less(bits, number(int(chance * 2**32))) if chance < 1 else ops.ones((), "bool")


def number(value: int) -> Array:
    return ops.convert_to_tensor(value, BITS)


def mixed(value: Array) -> Array:
    """`wye.formula.chance.mix`, on a tensor."""
    for shift, factor in ((16, 0x21F0AAAD), (15, 0x735A2D97)):
        value = ops.multiply(ops.bitwise_xor(value, ops.right_shift(value, number(shift))), number(factor))
        value = ops.bitwise_and(value, number(MASK))
    return ops.bitwise_xor(value, ops.right_shift(value, number(15)))


def hashed(seed: Array, step: Array, place: int) -> Array:
    """`wye.formula.chance.fall`, on tensors."""
    found = mixed(ops.cast(seed, BITS))
    found = mixed(ops.bitwise_xor(found, ops.cast(step, BITS)))
    return mixed(ops.bitwise_xor(found, number(place * 0x9E3779B & MASK)))
