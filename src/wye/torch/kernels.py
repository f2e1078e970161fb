"""Views, picks and products of torch tensors that generated code calls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import KernelError
from ..formula import refusals
from ..formula.axes import placed
from ..formula.graph import REST, Axes
from ..formula.pairs import PairRecipe
from ..formula.shapes import Shape
from .large import is_large

FLOATS = frozenset({torch.float32, torch.float64, torch.float16, torch.bfloat16})
SMALL = frozenset({torch.bool, torch.uint8, torch.int8, torch.int16, torch.uint16})
HALF = frozenset({torch.float16, torch.bfloat16})


def one_number(x: float, like: Tensor | None = None) -> Tensor:
    """A number as a tensor: whole ones stay whole, those with a fraction are floats like others."""
    if like is None:
        return torch.as_tensor(x)
    return torch.as_tensor(x, dtype=like.dtype if isinstance(x, float) else None, device=like.device)


def real(x: Tensor) -> Tensor:
    """x itself; complex numbers are refused."""
    if x.is_complex():
        raise refusals.complex_numbers(x.dtype)
    return x


def to_float(x: Tensor, like: Tensor | None = None) -> Tensor:
    """Whole numbers and booleans as floats like others, else in the default float; floats as they are."""
    if real(x).is_floating_point():
        return x
    return x.to(like.dtype if like is not None and like.is_floating_point() else torch.get_default_dtype())


def widen(x: Tensor) -> Tensor:
    """Booleans and whole numbers below 32 bits in the default float; all else as it is."""
    return x.to(torch.get_default_dtype()) if x.dtype in SMALL else real(x)


def to_tensor(x: float | Tensor, like: Tensor | None = None) -> Tensor:
    """A number as a tensor, in the floats of the formula."""
    if like is None:
        return torch.as_tensor(x, dtype=torch.get_default_dtype())
    return torch.as_tensor(x, dtype=like.dtype, device=like.device)


def number_like(number: Tensor, like: Tensor) -> Tensor:
    """A number in the dtype of the values it meets."""
    return number.to(like.dtype if like.is_floating_point() else torch.get_default_dtype())


def rows(x: Tensor) -> Tensor:
    """All axes but the first as one."""
    return x.flatten(1) if x.dim() > 1 else x.unsqueeze(1)


def broadcast(x: Tensor, like: Tensor) -> Tensor:
    """x repeated, as a view, to the shape that both have together."""
    return x if x.shape == like.shape else x.expand(torch.broadcast_shapes(x.shape, like.shape))


def positions(x: Tensor, dim: int) -> Tensor:
    """0, 1, ... along an axis of x."""
    return torch.arange(x.shape[dim], device=x.device)


def item(x: Any, key: int | str) -> Any:
    """`x[key]` of a tuple or a dict; a tensor is refused."""
    return refusals.item(x, key, Tensor)


def spread(x: Tensor, own: Axes, axes: Axes, others: Sequence[tuple[Tensor, Axes]]) -> Tensor:
    """x as a view with the axes in the order `axes`; `...` is as long as the longest of all."""
    wanted = placed(x.dim(), own, axes, [(value.dim(), names) for value, names in others])
    order = [dim for dim in wanted if dim is not None]
    if order != list(range(len(order))):
        x = x.permute(order)
    for place, dim in enumerate(wanted):
        if dim is None:
            x = x.unsqueeze(place)
    return x


def pick(x: Tensor, index: Tensor, shared: int, new: int, rest: int, run: int | None) -> Tensor:
    """For each entry of `index` one entry of x: axes (shared, picked, rest) and (shared, new) give (shared, new, rest).

    `run` is the place of `...` among the shared axes, if it is one of them.
    """
    if index.is_floating_point() or index.dtype == torch.bool:
        raise refusals.fractional_pick(index.dtype)
    index = index.long()
    if run is not None:
        mine, others = x.dim() - shared - rest, index.dim() - shared - new + 1
        if mine != others:  # one of them is empty
            longer = x.shape[run : run + mine] or index.shape[run : run + others]
            x = x if mine else _repeated(x, run, longer)
            index = index if others else _repeated(index, run, longer)
        shared += max(mine, others) - 1
    try:
        if shared == 0 and new:
            flat = torch.index_select(x, 0, within(index.reshape(-1), x.shape[0]))
            return flat.reshape((*index.shape, *x.shape[1:]))
        if rest == 0 and new == 0:
            return torch.gather(x, shared, index.unsqueeze(-1)).squeeze(-1)
        return _pick_rows(x, index, shared)
    except (IndexError, RuntimeError) as error:
        if "out of" in str(error) or "index" in str(error):
            raise out_of_range(index, x.shape[shared]) from None
        raise


def within(index: Tensor, size: int) -> Tensor:
    """An index that a compiled `index_select` refuses where eager does: it would count a negative one from the end."""
    return torch.where(index < 0, size, index) if torch.compiler.is_compiling() else index


def _repeated(x: Tensor, place: int, sizes: Shape) -> Tensor:
    """x as a view with further axes of these sizes, the first of them at `place`."""
    shape = (*x.shape[:place], *sizes, *x.shape[place:])
    return x.reshape(*x.shape[:place], *[1] * len(sizes), *x.shape[place:]).expand(shape)


def pick_one(x: Tensor, place: float | Tensor, dim: int) -> Tensor:
    """The entry of x at one place along an axis; the place is a number, in a buffer where a graph is captured."""
    if isinstance(place, Tensor):
        return torch.index_select(x, dim, place.long().reshape(1)).squeeze(dim)
    if not math.isfinite(place) or place != int(place):
        raise refusals.fractional_place(place)
    if not 0 <= place < x.shape[dim]:
        raise refusals.outside(int(place), int(place), x.shape[dim])
    return torch.select(x, dim, int(place))


def _pick_rows(x: Tensor, index: Tensor, shared: int) -> Tensor:
    lead, rest = x.shape[:shared], x.shape[shared + 1 :]
    width = math.prod(rest)
    flat = index.reshape(*lead, math.prod(index.shape[shared:]), 1).expand(*lead, -1, width)
    found = torch.gather(x.reshape(*lead, x.shape[shared], width), shared, flat)
    return found.reshape((*index.shape, *rest))


def out_of_range(index: Tensor, size: int) -> KernelError:
    return refusals.outside(*((int(index.min()), int(index.max())) if index.numel() else (0, 0)), size)


def _ordered(x: Tensor, axes: tuple[Axes, Axes]) -> Tensor:
    own, wanted = axes
    if own == wanted:
        return x
    if REST in own:
        return spread(x, own, wanted, ())
    return x.permute([own.index(name) for name in wanted])


def pair(recipe: PairRecipe, left: Tensor, right: Tensor, *scales: float) -> Tensor:
    """The matrix product over the lost axes, in the dtype of the factors, autocast or not."""
    if torch.is_autocast_enabled(left.device.type):
        with torch.autocast(left.device.type, enabled=False):
            return _pair(recipe, left, right, scales)
    return _pair(recipe, left, right, scales)


def _pair(recipe: PairRecipe, left: Tensor, right: Tensor, scales: Sequence[float]) -> Tensor:
    if left.dtype is not right.dtype:
        dtype = torch.promote_types(left.dtype, right.dtype)
        left, right = left.to(dtype), right.to(dtype)
    left, right = _ordered(left, recipe.left), _ordered(right, recipe.right)
    batch, ours, theirs, lost = recipe.counts
    if recipe.has_rest:
        batch, ours, theirs, lost = recipe.counted(left.dim(), right.dim())
    lead = left.shape[:batch]
    tail = (*left.shape[batch : batch + ours], *right.shape[batch : batch + theirs])
    if (ours, theirs, lost) != (1, 1, 1):
        inner = math.prod(left.shape[batch + ours :])
        left = left.reshape(*lead, math.prod(left.shape[batch : batch + ours]), inner)
        right = right.reshape(*lead, math.prod(right.shape[batch : batch + theirs]), inner)
    scale: Any = 1.0
    for value, inverse in zip(scales, recipe.inverses, strict=True):
        scale = _divided(scale, value) if inverse else scale * value
    if recipe.mean:
        scale = scale / max(left.shape[-1], 1)
    product = _scaled(left, right.mT, scale)
    return product if (ours, theirs) == (1, 1) else product.reshape(*lead, *tail)


def _scaled(left: Tensor, right: Tensor, scale: Any) -> Tensor:
    """`scale * left @ right`, the number inside the product: free there, and half precision keeps its range."""
    if not isinstance(scale, Tensor) and scale == 1.0:
        return torch.matmul(left, right)
    if torch.compiler.is_compiling() and left.dtype not in HALF:
        return torch.matmul(left, right) * scale
    if isinstance(scale, Tensor):
        return torch.matmul(left * scale, right)
    shape = (*left.shape[:-1], right.shape[-1])
    nothing = left.new_zeros(())
    if left.dim() == 2:
        return torch.addmm(nothing.expand(shape), left, right, beta=0, alpha=scale)
    left, right = left.flatten(0, -3), right.flatten(0, -3)
    if is_large(left):  # into memory of its own: an expanded zero would be copied there first
        into = left.new_empty((left.shape[0], *shape[-2:]))
        return into.baddbmm_(left, right, beta=0, alpha=scale).reshape(shape)
    into = nothing.expand(left.shape[0], *shape[-2:])
    return torch.baddbmm(into, left, right, beta=0, alpha=scale).reshape(shape)


def _divided(scale: Any, value: Any) -> Any:
    """Python would refuse to divide by zero, where a tensor becomes infinite."""
    return scale * math.inf if not isinstance(value, Tensor) and value == 0 else scale / value


def matmul(left: Tensor, right: Tensor, left_sample: bool, right_sample: bool) -> Tensor:
    """`left @ right`, each sample for itself where the samples come first."""
    row, column = left_sample and left.dim() == 2, right_sample and right.dim() == 2
    left = left.unsqueeze(1) if row else left
    right = right.unsqueeze(-1) if column else right
    rank = max(left.dim() - left_sample, right.dim() - right_sample)
    found = torch.matmul(_led(left, rank) if left_sample else left, _led(right, rank) if right_sample else right)
    found = found.squeeze(-1) if column else found
    return found.squeeze(-1 if column or right.dim() == 1 else -2) if row else found


def _led(x: Tensor, rank: int) -> Tensor:
    """x with axes of size 1 behind that of the samples, so that `rank` axes follow it."""
    return x.reshape(x.shape[0], *[1] * (rank - x.dim() + 1), *x.shape[1:])


def fit(context: Tensor, *data: Tensor) -> Tensor:
    """Context of one element without its axes, where it has more of them than the data it meets."""
    most = max(value.dim() for value in data)
    return context.reshape(()) if context.dim() > most and context.numel() == 1 else context


def level(
    values: Sequence[Tensor], place: int, strict: bool, facts: Sequence[tuple[bool, bool, tuple[int, ...], bool]]
) -> Tensor:
    """One of several values that meet sample by sample: its own axes behind that of the samples."""
    own: list[Shape] = [
        tuple(value.shape[1:] if sample else value.shape)
        for value, (_, sample, _, _) in zip(values, facts, strict=True)
    ]
    if strict:
        refusals.check_within_a_sample(own, facts)
    rank = max(map(len, own))
    value, sample = values[place], facts[place][1]
    if not sample:
        return value.reshape(()) if value.numel() == 1 else value
    return value.reshape(value.shape[0], *[1] * (rank - len(own[place])), *own[place])


def distances(left: Tensor, right: Tensor) -> Tensor:
    """The distance between every two rows, without expanding the square."""
    return torch.cdist(left, right, compute_mode="donot_use_mm_for_euclid_dist")
