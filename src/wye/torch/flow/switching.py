"""`Switch` and `RandomChoice`: one of several branches, for each sample by an index, or for the batch by a die."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from ...errors import FlowError
from ...formula.deciding import NUMBERS, Decides
from ...formula.parting import check_branches, check_die_of_branches, cuts, unknown_index
from ..front import capturing
from .condition import Condition
from .parted import Parted, decider
from .values import Value, batch_size, merge, split
from .widths import check_same_width, check_widths


class Branches(Parted):
    """Branches side by side, of which each sample takes one; None lets samples pass."""

    def _branch_out(
        self, branches: Sequence[Any], per: str, shared: Iterable[str], parts: Mapping[str, Any], eval: int | None
    ) -> None:
        kind = type(self).__name__
        self._passes = any(branch is None for branch in branches)
        stages = {str(place): nn.Identity() if branch is None else branch for place, branch in enumerate(branches)}
        self._settle(stages, per, shared, parts)
        check_widths(self, list(stages), "one" if self._passes else "both", f"{kind}(...)")
        check_branches(kind, branches, eval)
        self._eval = eval

    def _one(self, place: int, x: Value, sides: Mapping[str, Any], size: int) -> Value:
        """All samples on one branch."""
        self.paths[str(place)].add(size)
        return self._branch(str(place), x, sides, size, self._passes)

    def _many(self, places: Tensor, x: Value, sides: Mapping[str, Any], size: int) -> Value:
        """Each sample on its own branch; a branch that nobody takes is not called, unless all are captured."""
        count = len(self._stages)
        if capturing():
            taken = {place: (places == place).nonzero().squeeze(1) for place in range(count)}
        else:
            sizes = torch.bincount(places, minlength=count).tolist()
            if max(sizes) == size:
                return self._one(sizes.index(size), x, sides, size)
            indices = torch.argsort(places, stable=True).split(sizes)
            taken = {place: index for place, index in enumerate(indices) if index.numel()}
        pieces = dict(zip(taken, split(x, list(taken.values())), strict=True))
        for place, index in taken.items():
            pieces[place] = self._one(place, pieces[place], self._with(str(place), sides, index), index.shape[0])
        check_same_width(self, {str(place): piece for place, piece in pieces.items()})
        return merge(list(taken.values()), list(pieces.values()), size)


class Switch(Branches):
    """Each sample runs the branch that its index names.

    y_i = branch[index_i](x_i), for blocks that treat samples alone. Samples are sorted by branch, so that each branch
    is called once, on exactly its samples, in batch order; a branch that nobody takes is not called.

    Args:
        index: a formula, assignable while running: for each sample a whole number from 0; or one for the batch, where
            it reads only numbers or tensors without axes. A callable gets the batch and returns () or (B,).
        *branches: modules, formulas or functions; None lets its samples pass unchanged.
        per: `sample`, `batch` or `token`.
        eval: in eval, the branch where the index throws a die.
        shared: names of side inputs that are not per sample.
        **parts: what the index reads, as for `Join`.

    Raises:
        PartError: there is no branch, or their widths differ.
        FlowError: an index is out of range, or branches return different shapes.

    Example:
        >>> import torch, wye
        >>> net = wye.Switch("kind", "x + 1", "2 * x", None)
        >>> net(torch.ones(4, 1), kind=torch.tensor([0, 2, 1, 0])).squeeze(1)
        tensor([2., 1., 2., 2.])
        >>> net.paths["0"].samples
        2
    """

    def __init__(
        self,
        index: Decides,
        /,
        *branches: Any,
        per: str = "sample",
        eval: int | None = None,
        shared: Iterable[str] = (),
        **parts: Any,
    ) -> None:
        super().__init__()
        self._branch_out(branches, per, shared, parts, eval)
        self._decide_by(index, "index")

    def _check_decider(self, condition: Condition) -> None:
        check_die_of_branches(condition, len(self._stages))

    index = decider("index", "What decides, to be read and assigned.")

    def _run(self, x: Value, sides: Mapping[str, Any], size: int) -> Value:
        self._checked(sides, size)
        if not capturing() and not size:
            return x if self._passes else self._on_nothing("0", x, sides)
        index = self._asked(x, sides, size)
        if isinstance(index, NUMBERS):
            return self._one(self._known(index), x, sides, size)
        return self._many(self._known_each(index if index.dim() else index.expand(size)), x, sides, size)

    def _known(self, index: float) -> int:
        for place in range(len(self._stages)):  # a captured number is compared, never looked up
            if index == place:
                return place
        self._refuse(index)

    def _known_each(self, index: Tensor) -> Tensor:
        places = index.long()
        wrong = (places != index) | (places < 0) | (places >= len(self._stages))
        if capturing():
            told = f"there is no branch of this index: {self.line}"
            torch._assert_async(~wrong.any(), told)  # pyright: ignore
        elif bool(wrong.any()):
            raise self._unknown(str(index[wrong][0].item()))
        return places

    def _refuse(self, index: float) -> NoReturn:
        """Dynamo runs this as it is, and the message comes through."""
        raise self._unknown(str(index))

    _refuse._dynamo_marked_constant = True  # type: ignore[attr-defined]

    def _unknown(self, got: str) -> FlowError:
        return unknown_index(self.line, got, len(self._stages))

    def extra_repr(self) -> str:
        return self._typed(repr(self._condition))


class RandomChoice(Branches):
    """One of several branches, drawn once for each optimizer step.

    The branch k is drawn with probability w_k / Σw, for the whole batch. In eval nothing is drawn: the likeliest
    branch runs, the first of equals.

    Args:
        *branches: modules, formulas or functions; None lets all samples pass unchanged.
        weights: how likely each is, in any unit; None: all alike. Assignable while running.
        eval: in eval, the index of the branch that runs instead of the likeliest.
        shared: names of side inputs that are not per sample.

    Raises:
        PartError: there is no branch, their widths differ, or the weights are not one for each.

    Example:
        >>> import torch, wye
        >>> net = wye.RandomChoice(torch.nn.Linear(4, 1), torch.nn.Linear(4, 1)).eval()
        >>> net(torch.ones(2, 4)).shape, net.paths["0"].samples
        (torch.Size([2, 1]), 2)
    """

    _usual = "batch"

    def __init__(
        self,
        *branches: Any,
        weights: Sequence[float] | None = None,
        eval: int | None = None,
        shared: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self._branch_out(branches, "batch", shared, {}, eval)
        self.weights = weights
        self._throw()

    @property
    def weights(self) -> tuple[float, ...] | None:
        """How likely each branch is, to be read and assigned."""
        return self._weights

    @weights.setter
    def weights(self, weights: Sequence[float] | None) -> None:
        self._weights, self._cuts, self._likeliest = cuts(weights, len(self._stages))

    def forward(self, x: Value, **sides: Any) -> Value:
        size = batch_size(x, "RandomChoice")
        self._checked(sides, size)
        if not capturing() and not size:
            return x if self._passes else self._on_nothing("0", x, sides)
        if not self.training:
            return self._one(self._likeliest if self._eval is None else int(self._eval), x, sides, size)
        bits = self._bits()
        if isinstance(bits, Tensor):
            place = sum(((bits >= cut).long() for cut in self._cuts), torch.zeros_like(bits))
            return self._many(place.expand(size), x, sides, size)
        return self._one(int(sum(bits >= cut for cut in self._cuts)), x, sides, size)

    def decided_by(self) -> str:
        return "" if self._weights is None else str(list(self._weights))

    def extra_repr(self) -> str:
        return self._typed(*([] if self._weights is None else [f"weights={list(self._weights)}"]))
