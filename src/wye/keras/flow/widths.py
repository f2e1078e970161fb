"""Widths: what layers tell before anything runs, and what branches returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from ...errors import FlowError
from ...formula import parting
from ..kernels import dtype_name
from .chain import Chain
from .node import Node
from .values import Value, alike, leaves, shapes

layers: Any = keras.layers
SHAPELESS = (
    *(layers.Activation, layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU, layers.Softmax),
    *(layers.Dropout, layers.GaussianDropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.Identity),
    *(layers.LayerNormalization, layers.GroupNormalization, layers.BatchNormalization),
)
"""Layers that keep the shape."""


def check_widths(node: Node, names: Sequence[str], rule: str, place: str) -> None:
    """Stages that samples may go by or leave out fit each other, as far as their layers tell."""
    blocks = [getattr(node, name) for name in names]
    into, out = ([width(block, side) for block in blocks] for side in ("in", "out"))
    shown = [
        "unchanged" if type(block) is keras.layers.Identity else f"{a or '?'} -> {b or '?'}"
        for block, a, b in zip(blocks, into, out, strict=True)
    ]
    parting.check_widths(type(node).__name__, shown, into, out, rule, place)


def width(block: Any, side: str) -> int | None:
    """The features that a block takes or gives, where its first or last layer tells; None: only a run can."""
    if isinstance(block, keras.Sequential | Chain):
        stages: list[Any] = list(block.layers if isinstance(block, keras.Sequential) else block)
        inner = [one for one in (stages if side == "in" else stages[::-1]) if not isinstance(one, SHAPELESS)]
        return width(inner[0], side) if inner else None
    if side == "in":
        kernel = getattr(block, "kernel", None) if isinstance(block, keras.layers.Dense) else None
        return int(kernel.shape[0]) if kernel is not None else None
    for attribute in ("units", "filters"):
        size = getattr(block, attribute, None)
        if isinstance(size, int):
            return size
    return None


def check_same_width(node: Node, outcomes: Mapping[str, Value]) -> None:
    """Branches return rows of one shape and dtype."""
    (name, first), *others = outcomes.items()
    for other, value in others:
        if not alike(first, value, 1):
            got = f"{name} {shapes(first, 1)}, {other} {shapes(value, 1)} for each sample"
            raise FlowError("the branches return different shapes.", node.line, got, "give them one width")
        for one, two in zip(leaves(first), leaves(value), strict=True):
            if dtype_name(one) != dtype_name(two):
                got = f"{name} {dtype_name(one)}, {other} {dtype_name(two)}"
                fix = "let floats flow, or cast one of them"
                raise FlowError("the branches return different dtypes.", node.line, got, fix)
