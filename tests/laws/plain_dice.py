"""What a die shows, from the seed and the step of its node, in NumPy's arithmetic of 32 bits; no line of wye is used.

The bits at a place of a formula are m(m(m(seed) ^ step) ^ place * 0x9E3779B), where m(v) is two rounds of v ^= v >> s;
v *= c, and a last shift; everything is modulo 2**32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

ROUNDS = ((16, 0x21F0AAAD), (15, 0x735A2D97))


def mixed(value: np.uint32) -> np.uint32:
    for shift, factor in ROUNDS:
        value = np.uint32((value ^ (value >> np.uint32(shift))) * np.uint32(factor))
    return value ^ (value >> np.uint32(15))


def bits(seed: int, step: int, place: int = 0) -> int:
    """32 bits for what stands at a place of the formula, after so many steps."""
    with np.errstate(over="ignore"):
        inner = mixed(np.uint32(seed % 2**32)) ^ np.uint32(step % 2**32)
        return int(mixed(mixed(inner) ^ np.uint32(place * 0x9E3779B % 2**32)))


def bits_now(state: Mapping[str, Any], place: int = 0) -> int:
    """The same for a node, from what it saves of its die."""
    seed, step = state["dice.state"].tolist()
    return bits(seed, step, place)


def chosen(fall: int, weights: Sequence[float]) -> int:
    """Which of several weighted branches 32 bits choose."""
    shares = np.cumsum(weights) / np.sum(weights)
    return int((fall / 2**32 >= shares[:-1]).sum())
