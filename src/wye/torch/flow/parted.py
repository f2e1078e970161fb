"""`Parted`: a node that sends samples different ways, by what decides, which can be exchanged while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ...formula.deciding import Decides
from .node import Node
from .tokens import by_token
from .values import Value, batch_size

Run = Callable[[Value, Mapping[str, Any], int], Value]


def decider(name: str, words: str) -> property:
    """The attribute that decides, to be read and assigned."""

    def read(node: Node) -> Any:
        return node._condition.source  # pyright: ignore[reportPrivateUsage]

    def assign(node: Node, source: Decides) -> None:
        node._decide_by(source, name, later=True)  # pyright: ignore[reportPrivateUsage]

    return property(read, assign, doc=words)


def truths(value: Tensor, size: int) -> Tensor:
    """One truth for each of `size` samples."""
    truth = value if value.dtype == torch.bool else value != 0
    return truth if truth.dim() else truth.expand(size)


class Parted(Node):
    """What the nodes have in common that run on samples, or on tokens in their place."""

    def forward(self, x: Value, **sides: Any) -> Value:
        return self._over(self._run, x, sides)

    def _over(self, run: Run, x: Value, sides: Mapping[str, Any]) -> Value:
        """Runs on the samples; per token, on the tokens."""
        if self.per == "token":
            return by_token(run, x, sides, self.shared, self.line)
        return run(x, sides, batch_size(x, type(self).__name__))

    def _run(self, x: Value, sides: Mapping[str, Any], size: int) -> Value:
        raise NotImplementedError
