"""Functions that rearrange undeclared values: `take concat stack last expand_as`, and `size`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...errors import ShapeError
from .. import shapes
from ..shapes import Shape
from .brackets import check_range
from .functions import selected
from .given import Given, numbered_axis
from .values import Array, Named, derived, describe, number


def structured(given: Given) -> Named:
    """The value of a call."""
    name = given.function.name
    if name == "size":
        return _size(given)
    for term in given.terms:
        if term.value.axes:
            words = given.site.at(term.node).words
            fix = {
                "take": f"pick with brackets: {words}[...]",
                "last": "pick with brackets, as in h[b, size(t) - 1, d]",
                "expand_as": "declared values meet by name: leave it out",
            }.get(name, "call it on the value before its axes are named")
            raise given.site.error(
                f"`{name}` takes undeclared values.", f"{words} {describe(term.value)}", fix, ShapeError
            )
    values = [replace(term.value, axes=None, number=False) for term in given.terms]
    out = {"take": _take, "concat": _concat, "stack": _stack, "last": _last, "expand_as": _expand}[name](given)
    return derived(out, None, values)


def _size(given: Given) -> Named:
    x = given.first
    if x.axes or "axis" not in given.options:
        raise given.site.error(
            "`size` takes the name of an axis, or an undeclared value and `axis=`.",
            f"{given.words(0)} {describe(x)}",
            f"write size({x.axes[0]})" if x.axes else f"write size({given.words(0)}, axis=0)",
        )
    return number(x.shape[numbered_axis(given, x.shape)])


def _take(given: Given) -> Array:
    x, index = (term.value.array for term in given.terms)
    axis = numbered_axis(given, x.shape)
    site = given.site.at(given.terms[1].node)
    if index.dtype.kind not in "iu":
        raise site.error("entries are taken at whole numbers.", f"{site.words} of dtype {index.dtype}", "give integers")
    if index.ndim != 1:
        raise site.error(
            "`take` wants an index with one axis.",
            f"{site.words} {index.shape}",
            "pick by name for more: table[id[b, t], d]",
            ShapeError,
        )
    check_range(index, x.shape[axis], site)
    given.rules.check_room((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]), given.site.span)
    return np.take(x, index, axis)


def _concat(given: Given) -> Array:
    arrays = [term.value.array for term in given.terms]
    axis = numbered_axis(given, arrays[0].shape)
    others = [(*array.shape[:axis], *array.shape[axis + 1 :]) for array in arrays]
    _check_equal(given, others, "but for that axis")
    total = sum(array.shape[axis] for array in arrays)
    given.rules.check_room((*arrays[0].shape[:axis], total, *arrays[0].shape[axis + 1 :]), given.site.span)
    return np.concatenate(selected(*arrays), axis)


def _stack(given: Given) -> Array:
    arrays = [term.value.array for term in given.terms]
    axis = numbered_axis(given, arrays[0].shape, new=1)
    _check_equal(given, [array.shape for array in arrays], "")
    given.rules.check_room((len(arrays), *arrays[0].shape), given.site.span)
    return np.stack(selected(*arrays), axis)


def _check_equal(given: Given, found: Sequence[Shape | None], but: str) -> None:
    ranks = [term.value.array.ndim for term in given.terms]
    if len(set(found)) > 1 or len(set(ranks)) > 1:
        raise given.site.error(
            f"`{given.function.name}` wants equal shapes" + (f", {but}." if but else "."),
            ", ".join(f"{given.words(place)} {term.value.shape}" for place, term in enumerate(given.terms)),
            "give equal shapes, or another axis",
            ShapeError,
        )


def _last(given: Given) -> Array:
    x = given.first.array
    axis = numbered_axis(given, x.shape)
    if not x.shape[axis]:
        raise given.site.error("an axis of size 0 has no last entry.", f"{given.words(0)} {x.shape}", "give an entry")
    return x.take(-1, axis)


def _expand(given: Given) -> Array:
    x, y = (term.value.array for term in given.terms)
    if shapes.broadcast(x.shape, y.shape) != y.shape:
        raise given.site.error(
            f"`{given.words(0)}` does not repeat to the shape of `{given.words(1)}`.",
            f"{given.words(0)} {x.shape}, {given.words(1)} {y.shape}",
            "give sizes of 1 where it should repeat",
            ShapeError,
        )
    return np.broadcast_to(x, y.shape)
