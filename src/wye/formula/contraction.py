"""Sums of products, planned so that nothing is spread out that a sum would fold again.

An axis that one factor alone has is summed on that factor first. Factors then meet in pairs, the pair with the
smallest result first; a pair is a matrix product where it loses an axis and each side keeps one that the other
lacks, else it is multiplied and summed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .axes import unique
from .graph import REST, SAMPLE, Axes, Graph, Kind, Value, with_kind
from .meeting import align
from .reader import as_float, is_whole
from .tree import Span


@dataclass(frozen=True)
class Factor:
    """A factor of a product, or its inverse."""

    value: Value
    inverse: bool = False

    @property
    def axes(self) -> Axes:
        return self.value.kind.axes or ()


@dataclass(frozen=True)
class PairPlan:
    """How two factors meet in a matrix product: which axes are batch, lost, and kept by one side only."""

    batch: Axes
    left: Axes
    right: Axes
    lost: Axes

    @property
    def result(self) -> Axes:
        return (*self.batch, *self.left, *self.right)


def plan_pair(left: Axes, right: Axes, lost: Axes) -> PairPlan | None:
    """The matrix product of two factors over `lost`; None where multiplying and summing does it better."""
    both = tuple(name for name in left if name in right)
    pair = PairPlan(
        batch=tuple(name for name in both if name not in lost),
        left=tuple(name for name in left if name not in right),
        right=tuple(name for name in right if name not in left),
        lost=tuple(name for name in both if name in lost),
    )
    inner = bool(pair.left) and bool(pair.right)
    outer = bool(pair.left or pair.right) and not pair.batch
    return pair if pair.lost and (inner or outer) and REST not in pair.lost else None


def smallest_pair(factors: Sequence[Axes], lost: Axes, sizes: dict[str, int]) -> tuple[int, int]:
    """The two factors whose meeting has the fewest elements once the axes that only they have are summed."""

    def cost(pair: tuple[int, int]) -> tuple[int, int]:
        inside = set(factors[pair[0]]) | set(factors[pair[1]])
        outside = {name for place, axes in enumerate(factors) if place not in pair for name in axes}
        kept = [name for name in inside if name not in lost or name in outside]
        return math.prod(sizes[name] for name in kept), math.prod(sizes[name] for name in inside)

    places = range(len(factors))
    return min(((one, two) for one in places for two in places if one < two), key=cost)


def factors_of(value: Value, inverse: bool = False) -> list[Factor]:
    """The factors of a product; inner products, divisors and minus signs are looked through."""
    found: list[Factor] = []
    waiting = [Factor(value, inverse)]
    while waiting:
        factor = waiting.pop()
        if factor.value.op == "product":
            inner = [
                Factor(arg, divides != factor.inverse)
                for arg, divides in zip(factor.value.args, factor.value.facts, strict=True)
            ]
            waiting.extend(reversed(inner))
        else:
            found.append(factor)
    return found


def product_value(graph: Graph, factors: Sequence[Factor], span: Span) -> Value:
    """The product as a value of its own, not yet multiplied out: a sum around it may still take it apart."""
    _, kind, guards = align(graph, [factor.value for factor in factors], span)
    data = any(factor.value.kind.data for factor in factors)
    dtype = "float" if any(factor.inverse for factor in factors) else _dtype([factor.value for factor in factors])
    facts = tuple(factor.inverse for factor in factors)
    return graph.value(
        "product", [f.value for f in factors], facts, with_kind(kind, data=data, dtype=dtype), span, guards
    )


def _dtype(values: Sequence[Value]) -> str:
    """What values come to when they are multiplied: whole numbers stay whole among themselves."""
    return "int" if all(map(is_whole, values)) else "float"


def multiply_out(graph: Graph, value: Value) -> Value:
    """A product as operations on views: factors from the left, divisors as divisions."""
    factors = [Factor(arg, bool(inverse)) for arg, inverse in zip(value.args, value.facts, strict=True)]
    if factors[0].inverse:
        factors.insert(0, Factor(graph.number(1.0, value.span)))
    result = factors[0].value
    guards = value.guards
    for factor in factors[1:]:
        sides, kind, _ = align(graph, [result, factor.value], value.span)
        kind = with_kind(kind, data=value.kind.data, dtype=value.kind.dtype)
        result = graph.value("operator", sides, ("/" if factor.inverse else "*",), kind, value.span, guards)
        guards = ()
    laid, _, _ = align(graph, [result], value.span, value.kind.axes)
    return laid[0]


def contract(graph: Graph, value: Value, lost: Axes, mean: bool, span: Span) -> Value:
    """`sum(product, lost)`, or its mean, without spreading the product."""
    factors = factors_of(value)
    inner = [factor for factor in factors if set(factor.axes) & set(lost)]
    outer = [factor for factor in factors if not set(factor.axes) & set(lost)]
    name = "mean" if mean else "sum"
    if mean:
        inner = [Factor(as_float(graph, factor.value), factor.inverse) for factor in inner]
    inner = [_reduce_alone(graph, factor, inner, lost, name, span) for factor in inner]
    open_axes = tuple(axis for axis in lost if any(axis in factor.axes for factor in inner))
    if not open_axes:
        outer = inner + outer
        result = None
    elif len(inner) == 2:
        scales = [factor for factor in outer if factor.value.kind.number]
        result, used = _pair(graph, inner[0], inner[1], open_axes, name, scales, span)
        outer = [factor for factor in outer if factor not in used]
    elif len(inner) == 1 or any(REST in factor.axes for factor in inner):
        together = inner[0].value if len(inner) == 1 else multiply_out(graph, product_value(graph, inner, span))
        inner = [Factor(together, len(inner) == 1 and inner[0].inverse)]
        result = _reduced(graph, _upright(graph, inner[0], span), open_axes, name, span)
    else:
        result = _many(graph, inner, open_axes, mean, span)
    return _finish(graph, result, outer, value.kind, lost, span)


def _finish(graph: Graph, result: Value | None, outer: Sequence[Factor], kind: Kind, lost: Axes, span: Span) -> Value:
    """The factors that lose nothing, multiplied in at the end."""
    written = tuple(unique(tuple(axis for axis in order if axis not in lost) for order in kind.written))
    factors = ([Factor(result)] if result is not None else []) + list(outer)
    if len(factors) == 1 and not factors[0].inverse:
        value = factors[0].value
    else:
        value = multiply_out(graph, product_value(graph, factors, span))
    return graph.value("same", (value,), ("sum",), with_kind(value.kind, written=written, data=kind.data), span)


def _reduced(graph: Graph, value: Value, axes: Axes, name: str, span: Span) -> Value:
    own = value.kind.axes or ()
    left = tuple(axis for axis in own if axis not in axes)
    dims = tuple(dim_of(own, axis) for axis in own if axis in axes)
    facts = (name, dims if left else None, False)
    return graph.value("reduce", (value,), facts, with_kind(value.kind, axes=left), span)


def dim_of(axes: Axes, name: str) -> int:
    """The place of an axis, counted from the end where `...` stands before it."""
    place = axes.index(name)
    return place - len(axes) if REST in axes[:place] else place


def _upright(graph: Graph, factor: Factor, span: Span) -> Value:
    if not factor.inverse:
        return factor.value
    one = graph.number(1.0, span)
    return graph.value("operator", (one, factor.value), ("/",), factor.value.kind, span)


def _reduce_alone(graph: Graph, factor: Factor, factors: Sequence[Factor], lost: Axes, name: str, span: Span) -> Factor:
    """A factor with the axes that no other factor has summed away; alone it is left for the end."""
    others = {axis for other in factors if other is not factor for axis in other.axes}
    own = tuple(axis for axis in factor.axes if axis in lost and axis not in others)
    if not own or REST in own:
        return factor
    return Factor(_reduced(graph, _upright(graph, factor, span), own, name, span))


def _pair(
    graph: Graph, left: Factor, right: Factor, lost: Axes, name: str, scales: Sequence[Factor], span: Span
) -> tuple[Value, Sequence[Factor]]:
    """Two factors met and summed, and the numbers that went in on the way."""
    plan = plan_pair(left.axes, right.axes, lost)
    if plan is None:
        together = multiply_out(graph, product_value(graph, _divisor_last(left, right), span))
        return _reduced(graph, together, lost, name, span), ()
    sides = [_upright(graph, left, span), _upright(graph, right, span)]
    kind = Kind(axes=plan.result, data=any(side.kind.data for side in sides), dtype=_dtype(sides))
    facts = (plan, name == "mean", tuple(scale.inverse for scale in scales), left.axes, right.axes)
    args = (*sides, *(scale.value for scale in scales))
    return graph.value("pair", args, facts, kind, span), scales


def _divisor_last(left: Factor, right: Factor) -> tuple[Factor, Factor]:
    return (right, left) if left.inverse and not right.inverse else (left, right)


def _many(graph: Graph, factors: Sequence[Factor], lost: Axes, mean: bool, span: Span) -> Value:
    """Three factors or more: which pair comes first depends on sizes, so it is chosen when they are seen."""
    upright = [_upright(graph, factor, span) for factor in factors]
    axes = [value.kind.axes or () for value in upright]
    kept = tuple(unique(name for own in axes for name in own if name not in lost))
    kept = (*(n for n in kept if n == SAMPLE), *(n for n in kept if n != SAMPLE))
    kind = Kind(axes=kept, data=any(value.kind.data for value in upright), dtype=_dtype(upright))
    return graph.value("contract", upright, (tuple(axes), lost, kept, mean), kind, span)
