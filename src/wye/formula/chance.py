"""The hash behind dice: 32 random bits of a seed, a step and a place, the same on every front."""

from __future__ import annotations

from typing import Any

from ..errors import FlowError

MASK = 0xFFFFFFFF

Bits = Any
"""A whole number, or a tensor of them."""


def mix(value: Bits) -> Bits:
    """A hash of 32 bits; the constants stay below 2**31, so that tensors of int64 can compute it too.

    It is applied several times over, so it must not undo itself: no constant may be the inverse of the other modulo
    2**32, and the first shift differs from the last.
    """
    value = ((value ^ (value >> 16)) * 0x21F0AAAD) & MASK
    value = ((value ^ (value >> 15)) * 0x735A2D97) & MASK
    return value ^ (value >> 15)


def fall(seed: Bits, step: Bits, place: int) -> Bits:
    """32 random bits for one die of a node at a step."""
    return mix(mix(mix(seed & MASK) ^ (step & MASK)) ^ (place * 0x9E3779B & MASK))


def check_bounds(kind: str, bounds: tuple[float, ...]) -> None:
    """A coin has a probability, and a die has sides."""
    if kind == "coin":
        if not 0 <= bounds[0] <= 1:
            fix = "write coin(0.5), or bound what it reads"
            raise FlowError("a coin has a probability from 0 to 1.", f"coin({bounds[0]})", f"{bounds[0]}", fix)
        return
    low, high = bounds
    if low != int(low) or high != int(high) or low > high:
        fix = f"write die({high}, {low})" if low > high else "round them"
        raise FlowError("a die has whole sides, the lowest first.", f"die({low}, {high})", f"{low} and {high}", fix)
