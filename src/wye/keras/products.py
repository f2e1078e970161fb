"""Products of Keras tensors: two factors summed over axes, matrices, and distances between rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..formula.graph import REST, Axes
from ..formula.pairs import PairRecipe
from .kernels import Array, Sizes, Tensor, alike, number_like, ops, reshape, sizes, spread


def _ordered(x: Array, axes: tuple[Axes, Axes]) -> Array:
    own, wanted = axes
    if own == wanted:
        return x
    if REST in own:
        return spread(x, own, wanted, ())
    return ops.transpose(x, [own.index(name) for name in wanted])


def pair(recipe: PairRecipe, left: Array, right: Array, *scales: Any) -> Array:
    """The matrix product over the lost axes, in the dtype that the factors have together."""
    left, right = alike(left, right)
    left, right = _ordered(left, recipe.left), _ordered(right, recipe.right)
    batch, ours, theirs, lost = recipe.counts
    if recipe.has_rest:
        batch, ours, theirs, lost = recipe.counted(len(left.shape), len(right.shape))
    near, far = sizes(left), sizes(right)
    lead, inner = near[:batch], math.prod(near[batch + ours :])
    tail = (*near[batch : batch + ours], *far[batch : batch + theirs])
    if (ours, theirs, lost) != (1, 1, 1):
        left = reshape(left, (*lead, math.prod(near[batch : batch + ours]), inner))
        right = reshape(right, (*lead, math.prod(far[batch : batch + theirs]), inner))
    left = _scaled(left, recipe, scales, inner)
    product = ops.matmul(left, ops.swapaxes(right, -1, -2))
    return product if (ours, theirs) == (1, 1) else reshape(product, (*lead, *tail))


def _scaled(left: Array, recipe: PairRecipe, scales: Sequence[Any], inner: Any) -> Array:
    """The left factor times the numbers of the product: before it, so that half precision keeps its range."""
    scale: Any = 1.0
    for value, inverse in zip(scales, recipe.inverses, strict=True):
        scale = _divided(scale, value) if inverse else scale * _number(value, left)
    if recipe.mean:
        scale = scale / max(inner, 1) if isinstance(inner, int) else scale / _count(inner, left)
    return left if isinstance(scale, float) and scale == 1.0 else ops.multiply(left, scale)


def _number(value: Any, like: Array) -> Any:
    return number_like(value, like) if isinstance(value, Tensor) else float(value)


def _count(inner: Any, like: Array) -> Array:
    """How many entries a sum has, where that is not known before the run; 1 for none."""
    counted = inner if isinstance(inner, Tensor) else 1  # a symbol's shape does not depend on it
    return ops.cast(ops.maximum(counted, 1), like.dtype)


def _divided(scale: Any, value: Any) -> Any:
    """Python would refuse to divide by zero, where a tensor becomes infinite."""
    if isinstance(value, Tensor):
        return ops.divide(scale, value)
    return scale * math.inf if value == 0 else scale / value


def matmul(left: Array, right: Array, left_sample: bool, right_sample: bool) -> Array:
    """`left @ right`, each sample for itself where the samples come first."""
    left, right = alike(left, right)
    row, column = left_sample and len(left.shape) == 2, right_sample and len(right.shape) == 2
    left = ops.expand_dims(left, 1) if row else left
    right = ops.expand_dims(right, -1) if column else right
    rank = max(len(left.shape) - left_sample, len(right.shape) - right_sample)
    found = ops.matmul(_led(left, rank) if left_sample else left, _led(right, rank) if right_sample else right)
    found = ops.squeeze(found, -1) if column else found
    return ops.squeeze(found, -1 if column or len(right.shape) == 1 else -2) if row else found


def _led(x: Array, rank: int) -> Array:
    """x with axes of size 1 behind that of the samples, so that `rank` axes follow it."""
    for _ in range(rank - len(x.shape) + 1):
        x = ops.expand_dims(x, 1)
    return x


def lengths(x: Array, dims: Sizes | int | None, keep: bool = False) -> Array:
    """The root of the sum of squares; where that is 0 its gradient is 0."""
    total = ops.sum(ops.square(x), dims, keep)
    nothing = ops.equal(total, 0)
    return ops.where(nothing, ops.zeros_like(total), ops.sqrt(ops.where(nothing, ops.ones_like(total), total)))


def distances(left: Array, right: Array) -> Array:
    """The distance between every two rows, without expanding the square."""
    left, right = alike(left, right)
    return lengths(ops.subtract(ops.expand_dims(left, -2), ops.expand_dims(right, -3)), -1)
