"""`When`: a branch that only the samples run which a condition sends there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import FlowError
from .condition import Condition, Decides
from .node import Count, Node, repr_line
from .values import Value, alike, batch_size, leaves, merge, shapes, splice, take


class When(Node):
    """Samples for which the condition holds run `then`, the others `otherwise`, or pass unchanged.

    For blocks that treat samples alone, y_i = then(x_i) where the condition holds, else otherwise(x_i), or x_i.
    Exactly the samples taken are computed; a branch that no sample takes is not called.

    Args:
        condition: a formula, assignable while running. `x` is the value that flows, without its batch axis; other
            names are parts or side inputs. One that reads only numbers or tensors without axes decides for the
            batch. A callable gets the batch and returns () or (B,).
        then: the branch; beside a pass-through it keeps the shape.
        otherwise: the other branch.
        per: `sample`, or `batch`: the condition sees the whole batch and has one element.
        eval: in eval, the truth of a condition that throws a coin.
        shared: names of side inputs that are not per sample.
        **parts: what the condition reads, as for `Join`.

    Raises:
        FlowError: the condition has not one element for each sample, or a branch changes shape or writes into its
            input.

    Example:
        >>> import torch, wye
        >>> when = wye.When("norm(x) > 1", torch.nn.Linear(2, 2))
        >>> x = torch.tensor([[3.0, 4.0], [0.1, 0.1]])
        >>> bool((when(x)[1] == x[1]).all()), when.paths["then"].samples, when.paths["passed"].samples
        (True, 1, 1)
    """

    def __init__(
        self,
        condition: Decides,
        then: Any,
        otherwise: Any = None,
        *,
        per: str = "sample",
        eval: bool | None = None,
        shared: Iterable[str] = (),
        **parts: Any,
    ) -> None:
        super().__init__()
        branches = {"then": then} if otherwise is None else {"then": then, "otherwise": otherwise}
        self._settle(branches, per, shared, parts)
        self._eval = eval
        self._other = "passed" if otherwise is None else "otherwise"
        self.paths = {"then": Count(), self._other: Count()}
        self._condition = self._condition_of(condition, "condition")
        self.wants |= frozenset(self._condition.sides)

    @property
    def condition(self) -> Any:
        """What decides, to be read and assigned."""
        return self._condition.source

    @condition.setter
    def condition(self, source: Decides) -> None:
        self._condition = self._decided(self._condition_of(source, "condition"))

    def forward(self, x: Value, **sides: Any) -> Value:
        taken = self._condition.of_numbers(sides) if len(sides) == len(self._condition.inputs) else None
        size = batch_size(x, "When")
        if taken is None:
            self._checked(sides, size)
            taken = self._condition(x, sides, size)
        if not isinstance(taken, Tensor):
            return self._whole("then" if taken else self._other, x, sides, size)
        return self._parted(taken if taken.dtype == torch.bool else taken != 0, x, sides, size)

    def _whole(self, path: str, x: Value, sides: Mapping[str, Any], size: int) -> Value:
        """All samples on one path."""
        self.paths[path].add(size)
        if path == "passed":
            return x
        return self._kept(path, x, sides) if self._other == "passed" else self._lone(path, x, sides)

    def _parted(self, mask: Tensor, x: Value, sides: Mapping[str, Any], size: int) -> Value:
        index = mask.nonzero().squeeze(1)
        count = index.numel()
        if count == size and size:
            return self._whole("then", x, sides, size)
        if count == 0 and (size or self._other == "passed"):
            return self._whole(self._other, x, sides, size)
        if size == 0:
            return self._empty(x, sides)
        self.paths["then"].add(count)
        self.paths[self._other].add(size - count)
        if self._other == "passed":
            return splice(x, index, self._kept("then", take(x, index), self._with(sides, index)))
        others = (~mask).nonzero().squeeze(1)
        pieces = [
            (index, self._lone("then", take(x, index), self._with(sides, index))),
            (others, self._lone("otherwise", take(x, others), self._with(sides, others))),
        ]
        self._same_width(pieces, index)
        return merge(pieces)

    def _empty(self, x: Value, sides: Mapping[str, Any]) -> Value:
        """No samples: a branch says which shape comes out, and learns nothing from it."""
        with torch.no_grad():
            return self._lone("then", x, sides)

    def _with(self, sides: Mapping[str, Any], index: Tensor) -> dict[str, Any]:
        moving = self._per_sample(sides)
        return {name: take(value, index) if name in moving else value for name, value in sides.items()}

    def _same_width(self, pieces: list[tuple[Tensor, Value]], index: Tensor) -> None:
        (_, first), (_, second) = pieces
        shown = [[tuple(tensor.shape[1:]) for tensor in leaves(value)] for value in (first, second)]
        if shown[0] != shown[1] or (not alike(first, first) and index.numel()):
            raise FlowError(
                "the two branches return different shapes.",
                repr_line(self),
                f"then {shapes(first)}, otherwise {shapes(second)}",
                "give both the same width",
            )

    def _settled_fall(self, kind: str, bounds: tuple[float, ...]) -> float:
        return super()._settled_fall(kind, bounds) if self._eval is None else self._eval

    def extra_repr(self) -> str:
        return shown_condition(self._condition)


def shown_condition(condition: Condition) -> str:
    """A condition as it was typed."""
    source = condition.source
    return repr(getattr(source, "text", source)) if hasattr(source, "text") else str(condition)
