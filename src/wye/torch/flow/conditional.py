"""`Conditional`: a node that goes by a condition, which can be exchanged while it runs."""

from __future__ import annotations

from typing import Any

from .condition import Decides
from .node import Node


class Conditional(Node):
    """What `When` and `While` have in common."""

    @property
    def condition(self) -> Any:
        """What decides, to be read and assigned."""
        return self._condition.source

    @condition.setter
    def condition(self, source: Decides) -> None:
        self._decide_by(source, "condition", later=True)
