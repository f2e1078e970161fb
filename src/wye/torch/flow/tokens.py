"""Per token: all axes of the value that flows but the last are taken for samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from ...errors import InputError
from .refusal import refuse
from .values import Value, leaves, mapped, shapes


def by_token(
    run: Callable[[Value, Mapping[str, Any], int], Value],
    x: Value,
    sides: Mapping[str, Any],
    shared: frozenset[str],
    line: str,
) -> Value:
    """Runs what parts samples on tokens: each is one row of (tokens, features), and back.

    Args:
        run: what runs on the rows: the value, side inputs, and how many there are.
        x: of shape (B, ..., D); all its tensors agree in all axes but the last.
        sides: per token if they begin with the same axes, (B, ...) or (B, ..., E); of shape (B,) or (B, 1), they hold
            for all tokens of a sample.
        shared: names of side inputs that stay as they are.
        line: the node, for errors.
    """
    first = next(leaves(x), None)
    axes = first.shape[:-1] if first is not None else ()
    if not axes or any(tensor.shape[:-1] != axes for tensor in leaves(x)):
        fix = "let tensors of shape (B, ..., D) flow, which agree in all axes but the last"
        refuse("the value that flows has no tokens.", line, shapes(x), fix)
    rows = mapped(lambda tensor: tensor.reshape(-1, tensor.shape[-1]), x)
    given = {name: value if name in shared else _rows(name, value, axes, line) for name, value in sides.items()}
    new = run(rows, given, axes.numel())
    return mapped(lambda tensor: tensor.reshape(*axes, *tensor.shape[1:]), new)


def _rows(name: str, value: Any, axes: Any, line: str) -> Any:
    def of_tokens(tensor: Tensor) -> Tensor:
        if not tensor.dim():
            return tensor
        if tensor.shape[: len(axes)] == axes:
            return tensor.reshape(-1, *tensor.shape[len(axes) :])
        if tensor.shape[:1] == axes[:1] and tensor.dim() <= 2 and tensor.shape[1:].numel() == 1:
            return tensor.reshape(-1, *(1 for _ in axes[1:])).expand(axes).reshape(-1)
        refuse(
            f"the side input `{name}` has not one row for each token.",
            line,
            f"`{name}` {tuple(tensor.shape)} for tokens {tuple(axes)}",
            f"begin with the same axes, give one value for each sample, or say that all share it: shared=({name!r},)",
            InputError,
        )

    return mapped(of_tokens, value)
