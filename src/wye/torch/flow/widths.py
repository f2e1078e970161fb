"""Widths: what layers tell before anything runs, and what branches returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from ...formula import parting
from ..front import capturing
from .chain import Chain
from .node import Node
from .refusal import refuse
from .values import Value, alike, leaves, shapes

SHAPELESS = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Softsign, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Softmax),
    *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.Identity),
    *(nn.LayerNorm, nn.GroupNorm, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
)
"""Layers that keep the shape."""


def check_widths(node: Node, names: Sequence[str], rule: str, place: str) -> None:
    """Stages that samples may go by or leave out fit each other, as far as their layers tell.

    Args:
        node: the node that holds them.
        names: of the stages.
        rule: `one` width in and out, where samples may pass without them; `both`: one width in, and one out; `out`.
        place: the call, for errors.
    """
    blocks = [node.get_submodule(name) for name in names]
    into, out = ([width(block, side) for block in blocks] for side in ("in", "out"))
    shown = [
        "unchanged" if type(block) is nn.Identity else f"{a or '?'} -> {b or '?'}"
        for block, a, b in zip(blocks, into, out, strict=True)
    ]
    parting.check_widths(type(node).__name__, shown, into, out, rule, place)


def width(block: nn.Module, side: str) -> int | None:
    """The features that a block takes or gives, where its first or last layer tells; None: only a run can."""
    if isinstance(block, nn.Sequential | Chain):
        layers = list(block) if side == "in" else list(block)[::-1]
        first = next((layer for layer in layers if not isinstance(layer, SHAPELESS)), None)
        return None if first is None else width(first, side)
    for attribute in (f"{side}_features", f"{side}_channels"):
        size = getattr(block, attribute, None)
        if isinstance(size, int):
            return size
    return None


def check_same_width(node: Node, outcomes: Mapping[str, Value]) -> None:
    """Branches return rows of one shape and dtype."""
    (name, first), *others = outcomes.items()
    start = 1 if capturing() else 0  # there, how many rows there are is no number
    for other, value in others:
        if not alike(first, value, 1):
            got = f"{name} {shapes(first, start)}, {other} {shapes(value, start)}"
            got += " for each sample" if start else ""
            refuse("the branches return different shapes.", node.line, got, "give them one width")
        for one, two in zip(leaves(first), leaves(value), strict=True):
            if one.dtype is not two.dtype:
                got = f"{name} {str(one.dtype)[6:]}, {other} {str(two.dtype)[6:]}"
                refuse("the branches return different dtypes.", node.line, got, "let floats flow, or cast one of them")
