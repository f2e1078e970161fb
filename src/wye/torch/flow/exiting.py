"""`EarlyExit`: samples leave a deep network as soon as an exit is sure of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ...errors import PartError
from ...formula.deciding import Decides
from ..front import capturing
from .active import Active
from .parted import Parted, decider, truths
from .values import Value, leaves
from .widths import check_same_width, check_widths


class EarlyExit(Parted):
    """Stages one after the other, each with an exit; a sample leaves at the first exit whose output satisfies `until`.

    h_k = stage_k(h_{k-1}), y_k = exit_k(h_k); y = y_k for the first k at which until(y_k) holds, else the last. Only
    the samples still there run a stage and its exit.

    Args:
        stages: modules, formulas or functions, in order.
        exits: as many, each on what its stage returns; their outputs have one shape.
        until: a formula, assignable while running, in which `x` is an exit's output without its batch axis; a callable
            gets the outputs and returns () or (B,). The last exit is not asked.
        all_exits: whether all samples run everything, and the outputs of all exits are returned as a tuple, as a loss
            over all exits needs them; assignable, and a keyword of the call too.
        per: `sample`, `batch` or `token`.
        eval: in eval, the truth of `until` where it throws a coin or a die.
        shared: names of side inputs that are not per sample.
        **parts: what `until` reads, as for `Join`.

    Raises:
        PartError: stages and exits are not equally many, or exits differ in width.

    Example:
        >>> import torch, wye
        >>> net = wye.EarlyExit(["x + 1", "x + 1"], ["10 * x", "x"], until="max(x) > 25")
        >>> net(torch.tensor([[2.0], [1.0]])).squeeze(1)
        tensor([30.,  3.])
        >>> net.paths["exit0"].samples, net.paths["stage1"].samples
        (1, 1)
    """

    def __init__(
        self,
        stages: Sequence[Any],
        exits: Sequence[Any],
        until: Decides,
        *,
        all_exits: bool = False,
        per: str = "sample",
        eval: bool | None = None,
        shared: Iterable[str] = (),
        **parts: Any,
    ) -> None:
        super().__init__()
        if not stages or len(stages) != len(exits):
            got = f"stages: {len(stages)}, exits: {len(exits)}"
            fix = "give as many exits as stages" if stages else "give one stage and one exit at least"
            raise PartError("an EarlyExit has an exit for each stage.", "EarlyExit(stages, exits, ...)", got, fix)
        named = {f"stage{place}": stage for place, stage in enumerate(stages)}
        outs = {f"exit{place}": one for place, one in enumerate(exits)}
        self._settle({**named, **outs}, per, shared, parts)
        check_widths(self, list(outs), "out", "EarlyExit(...)")
        self._eval, self._depth, self.all_exits = eval, len(stages), all_exits
        self._decide_by(until, "until")

    until = decider("until", "What decides, to be read and assigned.")

    def forward(self, x: Value, *, all_exits: bool | None = None, **sides: Any) -> Value:
        run = self._all if (self.all_exits if all_exits is None else all_exits) else self._run
        return self._over(run, x, sides)

    def _run(self, x: Value, sides: Mapping[str, Any], size: int) -> Value:
        self._checked(sides, size)
        if not capturing() and not size:
            return self._nothing(x, sides)
        active, outcome = Active(x, sides, self._per_sample(sides), size), None
        for place in range(self._depth):
            before, earlier = active.size, outcome
            outcome = self._at(place, active)
            if earlier is not None:
                check_same_width(self, {f"exit{place - 1}": earlier, f"exit{place}": outcome})
            if place == self._depth - 1:
                self.paths[f"exit{place}"].add(before)
                active.value = outcome
                break
            self._part(active, outcome)
            if capturing() or active.size < before:
                self.paths[f"exit{place}"].add(before - active.size)
            if not capturing() and not active.size:
                break
        return active.result()

    def _nothing(self, x: Value, sides: Mapping[str, Any]) -> Value:
        """No samples: the first exit says which shape comes out, and learns nothing from it."""
        return self._on_nothing("exit0", self._on_nothing("stage0", x, sides), sides)

    def _at(self, place: int, active: Active) -> Value:
        """A stage and its exit on the samples still there; returns what the exit says."""
        self.paths[f"stage{place}"].add(active.size)
        active.value = self._branch(f"stage{place}", active.value, active.sides, active.size, keeps=False)
        return self._branch(f"exit{place}", active.value, active.sides, active.size, keeps=False)

    def _part(self, active: Active, outcome: Value) -> None:
        """Lets the samples go that the exit is sure of."""
        sure = self._asked(outcome, active.sides, active.size)
        if not isinstance(sure, Tensor):
            sure = next(leaves(outcome)).new_full((active.size,), bool(sure), dtype=torch.bool)
        active.keep(~truths(sure, active.size), instead=outcome)

    def _all(self, x: Value, sides: Mapping[str, Any], size: int) -> tuple[Value, ...]:
        """What every exit says of all samples."""
        self._checked(sides, size)
        outcomes: list[Value] = []
        active = Active(x, sides, frozenset(), size)
        for place in range(self._depth):
            if capturing() or size:
                outcomes.append(self._at(place, active))
            else:
                active.value = self._on_nothing(f"stage{place}", active.value, sides)
                outcomes.append(self._on_nothing(f"exit{place}", active.value, sides))
            self.paths[f"exit{place}"].add(size)
        return tuple(outcomes)

    def ways_apart(self) -> list[str]:
        return [path for path in self.paths if path.startswith("exit")]

    def extra_repr(self) -> str:
        every = ["all_exits=True"] if self.all_exits else []
        return self._typed(f"until={self._condition!r}", *every)
