"""Side inputs: somebody takes each, and those with axes have one row for each sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from ...errors import InputError, did_you_mean, listed
from .refusal import refuse
from .values import leaves, shapes


def check_sides(sides: Mapping[str, Any], size: int, wants: frozenset[str], shared: frozenset[str], where: str) -> None:
    """Side inputs are wanted, and per sample unless they are shared.

    Args:
        sides: by name.
        size: how many samples there are.
        wants: the names that stages and conditions read.
        shared: the names of those that are not per sample.
        where: the node, for errors.
    """
    for name, value in sides.items():
        if name not in wants:
            _refuse_unknown(name, tuple(sides), wants, where)
        if name in shared or isinstance(value, float | int):
            continue
        for tensor in leaves(value):
            if tensor.dim() and tensor.shape[0] != size:
                refuse(
                    f"the side input `{name}` has not one row for each sample.",
                    where,
                    f"`{name}` {shapes(value)} for {size} samples",
                    f"put the batch axis first, or say that all samples share it: shared=({name!r},)",
                    InputError,
                )


def _refuse_unknown(name: str, given: tuple[str, ...], wants: frozenset[str], where: str) -> NoReturn:
    """Dynamo runs this as it is."""
    fix = did_you_mean(name, wants, f"its stages and conditions take: {listed(sorted(wants))}")
    raise InputError(f"nobody takes the side input `{name}`.", where, f"side inputs: {listed(given)}", fix)


_refuse_unknown._dynamo_marked_constant = True  # type: ignore[attr-defined]
