"""`When`: a branch that only the samples run which a condition sends there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from ...formula.deciding import Decides
from ...formula.parting import check_when
from ..front import capturing
from .counts import Count
from .parted import Parted, decider, truths
from .values import Value, batch_size, merge, part, splice, split
from .widths import check_same_width, check_widths


class When(Parted):
    """Samples for which the condition holds run `then`, the others `otherwise`, or pass unchanged.

    For blocks that treat samples alone, y_i = then(x_i) where the condition holds, else otherwise(x_i), or x_i.
    Exactly the samples taken are computed; a branch that no sample takes is not called. A block that mixes samples
    sees those taken alone, in batch order: a batch norm in a branch counts their mean, not the batch's, and one
    sample alone is an error.

    Args:
        condition: a formula, assignable while running. `x` is the value that flows, without its batch axis; other
            names are parts or side inputs. One that reads only numbers or tensors without axes decides for the
            batch. A callable gets the batch and returns () or (B,).
        then: the branch; beside a pass-through it keeps the shape.
        otherwise: the other branch.
        per: `sample`; `batch`: the condition sees the whole batch and has one element; or `token`: all axes but the
            last are taken for samples.
        eval: in eval, the truth of the whole condition where it throws a coin or a die.
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
        check_widths(self, list(branches), "one" if otherwise is None else "both", "When(...)")
        check_when(eval)
        self._eval = eval
        self._other = "passed" if otherwise is None else "otherwise"
        self.paths.setdefault(self._other, Count())
        self._decide_by(condition, "condition")

    condition = decider("condition", "What decides, to be read and assigned.")

    def forward(self, x: Value, **sides: Any) -> Value:
        size = batch_size(x, "When")
        skipped = self._condition.of_numbers(sides) is False
        if skipped and size and self._other == "passed" and self.per != "token":
            self.paths["passed"].add(size)
            return x
        return self._over(self._run, x, sides)

    def _run(self, x: Value, sides: Mapping[str, Any], size: int) -> Value:
        self._checked(sides, size)
        if not capturing() and not size:
            return self._empty(x, sides)
        taken = self._asked(x, sides, size)
        if isinstance(taken, Tensor):
            return self._parted(truths(taken, size), x, sides, size)
        return self._whole("then" if taken else self._other, x, sides, size)

    def _whole(self, path: str, x: Value, sides: Mapping[str, Any], size: int) -> Value:
        """All samples on one path."""
        self.paths[path].add(size)
        return x if path == "passed" else self._branch(path, x, sides, size, self._other == "passed")

    def _parted(self, mask: Tensor, x: Value, sides: Mapping[str, Any], size: int) -> Value:
        index = mask.nonzero().squeeze(1)
        count = index.shape[0]
        if not capturing() and count in (0, size):
            return self._whole("then" if count else self._other, x, sides, size)
        if self._other == "passed":
            self.paths["passed"].add(size - count)
            rows, rest = part(x, index)
            return splice(rest, index, self._piece("then", rows, sides, index))
        others = (~mask).nonzero().squeeze(1)
        rows, left = split(x, (index, others))
        pieces = [self._piece("then", rows, sides, index), self._piece("otherwise", left, sides, others)]
        check_same_width(self, {"then": pieces[0], "otherwise": pieces[1]})
        return merge((index, others), pieces, size)

    def _piece(self, path: str, rows: Value, sides: Mapping[str, Any], index: Tensor) -> Value:
        """A branch on the samples at `index`."""
        count = index.shape[0]
        self.paths[path].add(count)
        return self._branch(path, rows, self._with(path, sides, index), count, self._other == "passed")

    def _empty(self, x: Value, sides: Mapping[str, Any]) -> Value:
        """No samples: they pass, or a branch says which shape comes out and learns nothing from it."""
        if self._other == "passed":
            return x
        taken = True if self._condition.reads_flowing else self._asked(x, sides, 0)
        path = "then" if isinstance(taken, Tensor) or taken else self._other
        return self._on_nothing(path, x, sides)

    def extra_repr(self) -> str:
        return self._typed(repr(self._condition))
