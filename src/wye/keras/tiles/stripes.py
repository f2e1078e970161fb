"""Contrastive losses in `keras.ops`: stripes of whole rows, so that the logits of all pairs are never in memory.

On TensorFlow and JAX a loop computes each stripe and forgets it, in the forward and once more in the gradient, which is
written out. Few rows, symbols and torch take the plain form.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ...errors import FormulaError
from ..kernels import ON_JAX, ON_TENSORFLOW, Array, Sizes, ops

HIGH = 256
"""Rows of a stripe."""
FEW = 2**17
"""Logits up to which the plain form is as fast."""

Weights = Callable[..., Array]
"""From the first row, the number of rows and the arrays of a loss to how much each column belongs to each row."""


@dataclass(frozen=True)
class Contrast:
    """A loss of rows x against columns y; see `Plan` of the torch front for what it computes.

    Args:
        weights: P, in stripes.
        arrays: floats of which P is made; no gradient goes through them.
        both: whether columns have losses too.
        against_itself: whether no row meets the column of its own place.
        sigmoid: whether each pair is a decision of its own.
    """

    weights: Weights
    arrays: tuple[Array, ...] = ()
    both: bool = False
    against_itself: bool = False
    sigmoid: bool = False

    def losses(self, x: Array, y: Array, bias: Array) -> tuple[Array, Array]:
        """The loss of each row, and of each column: 0 where columns have none."""
        count = (ops.shape(x)[0], ops.shape(y)[0])
        known = all(isinstance(size, int) for size in count)
        if not (ON_TENSORFLOW or ON_JAX) or (known and count[0] * count[1] <= FEW):
            return self._plain(x, y, bias, count)
        return self._striped(x, y, bias, count)

    def _logits(self, x: Array, y: Array, bias: Array, start: Any, count: Sizes) -> tuple[Array, Array]:
        """Of some rows, and again with 0 where a row would meet itself."""
        logits = ops.matmul(x, ops.transpose(y))
        if self.sigmoid:
            logits = logits + bias
        if not self.against_itself:
            return logits, logits
        own = same_place(start, count[0], count[1])
        low = ops.cast(-math.inf, logits.dtype)
        return ops.where(own, low, logits), ops.where(own, ops.zeros_like(logits), logits)

    def _plain(self, x: Array, y: Array, bias: Array, count: Sizes) -> tuple[Array, Array]:
        logits, finite = self._logits(x, y, bias, 0, count)
        weights = ops.cast(self.weights(0, count[0], *self.arrays), x.dtype)
        alike = weights * finite
        if self.sigmoid:
            rows = ops.sum(ops.softplus(logits) - alike, 1)
            return rows, ops.zeros_like(rows)
        rows = ops.sum(weights, 1) * _logsumexp(logits, 1) - ops.sum(alike, 1)
        if not self.both:
            return rows, ops.zeros_like(rows)
        return rows, ops.sum(weights, 0) * _logsumexp(logits, 0) - ops.sum(alike, 0)

    def _striped(self, x: Array, y: Array, bias: Array, count: Sizes) -> tuple[Array, Array]:
        @ops.custom_gradient
        def found(x: Array, y: Array, bias: Array, *arrays: Array) -> tuple[tuple[Array, Array], Callable[..., Any]]:
            own = replace(self, arrays=arrays)  # JAX keeps none of what stands around a gradient of its own
            rows, columns, logs = own._forward(x, y, bias, count)

            def gradient(*upstream: Any, **_: Any) -> tuple[Array, ...]:
                of_rows, of_columns = upstream[0] if len(upstream) == 1 else upstream
                slopes = own._backward(x, y, bias, count, logs, of_rows, of_columns)
                return (*map(_once, slopes), *map(ops.zeros_like, arrays))

            return (rows, columns), gradient

        return found(x, y, bias, *self.arrays)

    def _forward(
        self, x: Array, y: Array, bias: Array, count: Sizes
    ) -> tuple[Array, Array, tuple[Array, Array, Array]]:
        """The losses; and the logarithms of rows and columns, with what the latter count for."""
        nothing, across = ops.zeros((count[0],), x.dtype), ops.zeros((count[1],), x.dtype)
        lowest = across - 1e30

        def step(start: Any, high: Any, carry: tuple[Array, ...]) -> tuple[Array, ...]:
            rows, logs, peak, total, alike, mass = carry
            logits, finite = self._logits(_stripe(x, start, high), y, bias, start, (high, count[1]))
            weights = ops.cast(self.weights(start, high, *self.arrays), x.dtype)
            pulled = weights * finite
            if self.sigmoid:
                own = ops.sum(ops.softplus(logits) - pulled, 1)
                return _placed(rows, own, start), logs, peak, total, alike, mass
            log = _logsumexp(logits, 1)
            own = ops.sum(weights, 1) * log - ops.sum(pulled, 1)
            if self.both:
                higher = ops.maximum(peak, ops.max(logits, 0, initial=-1e30))
                total = total * ops.exp(peak - higher) + ops.sum(ops.exp(logits - higher), 0)
                peak, alike, mass = higher, alike + ops.sum(pulled, 0), mass + ops.sum(weights, 0)
            return _placed(rows, own, start), _placed(logs, log, start), peak, total, alike, mass

        carry = _in_stripes(count[0], step, (nothing, nothing, lowest, across, across, across))
        rows, logs, peak, total, alike, mass = carry
        if not self.both:
            return rows, ops.zeros_like(rows), (logs, across, across)
        down = peak + ops.log(total)
        return rows, mass * down - alike, (logs, down, mass)

    def _backward(
        self,
        x: Array,
        y: Array,
        bias: Array,
        count: Sizes,
        logs: tuple[Array, Array, Array],
        of_rows: Array,
        of_columns: Array,
    ) -> tuple[Array, Array, Array]:
        """The gradients of x, y and bias, from those of the losses."""
        rows, down, mass = logs

        def step(start: Any, high: Any, carry: tuple[Array, ...]) -> tuple[Array, ...]:
            of_x, of_y, of_bias = carry
            part = _stripe(x, start, high)
            logits, _ = self._logits(part, y, bias, start, (high, count[1]))
            weights = ops.cast(self.weights(start, high, *self.arrays), x.dtype)
            own = ops.expand_dims(_stripe(of_rows, start, high), 1)
            if self.sigmoid:
                slope = own * (ops.sigmoid(logits) - weights)
                of_bias = of_bias + ops.sum(slope)
            else:
                soft = ops.exp(logits - ops.expand_dims(_stripe(rows, start, high), 1))
                slope = own * (soft * ops.sum(weights, 1, keepdims=True) - weights)
            if self.both:
                slope = slope + of_columns * (ops.exp(logits - down) * mass - weights)
            of_y = of_y + ops.matmul(ops.transpose(slope), part)
            return _placed(of_x, ops.matmul(slope, y), start), of_y, of_bias

        found = _in_stripes(count[0], step, (ops.zeros_like(x), ops.zeros_like(y), ops.zeros_like(bias)))
        return found[0], found[1], found[2]


def _in_stripes(count: Any, step: Callable[..., tuple[Array, ...]], carry: tuple[Array, ...]) -> tuple[Array, ...]:
    """Whole stripes in a loop, then what is left."""
    whole = count // HIGH
    if not isinstance(whole, int) or whole:
        carry = ops.fori_loop(0, whole, lambda place, carry: step(place * HIGH, HIGH, carry), carry)
    rest = count - whole * HIGH
    if isinstance(rest, int) and not rest:
        return carry
    return step(whole * HIGH, rest, carry)


def _stripe(x: Array, start: Any, high: Any) -> Array:
    return ops.slice(x, (start, *[0] * (len(x.shape) - 1)), (high, *ops.shape(x)[1:]))


def _placed(into: Array, stripe: Array, start: Any) -> Array:
    return ops.slice_update(into, (start, *[0] * (len(into.shape) - 1)), stripe)


def same_place(start: Any, rows: Any, columns: Any, shift: Any = 0) -> Array:
    """Where the place of a row, shifted and counted round, is that of the column."""
    place = ops.arange(rows, dtype="int32") + start
    if not isinstance(shift, int) or shift:
        place = ops.mod(place + shift, columns)
    return ops.equal(ops.expand_dims(place, 1), ops.arange(columns, dtype="int32"))


def _logsumexp(x: Array, axis: int) -> Array:
    """0 where there is nothing but -inf."""
    peak = ops.max(x, axis, keepdims=True, initial=-1e30)
    peak = ops.stop_gradient(ops.cast(peak, x.dtype))
    total = ops.sum(ops.exp(x - peak), axis)
    some = ops.greater(total, 0)
    found = ops.squeeze(peak, axis) + ops.log(ops.where(some, total, ops.ones_like(total)))
    return ops.where(some, found, ops.zeros_like(found))


def _once(x: Array) -> Array:
    """A gradient that has none itself: the loops it comes from are not derived again."""

    @ops.custom_gradient
    def same(x: Array) -> tuple[Array, Callable[..., Any]]:
        def refused(*_: Any, **__: Any) -> Any:
            raise FormulaError(
                "the tiles of a contrastive loss have no second derivative on this backend.",
                "the gradient of a gradient",
                f"more than {FEW:,} pairs of rows",
                "give it fewer rows at once, or write the loss as a formula: see docs/functions.md",
            )

        return x, refused

    return same(x)
