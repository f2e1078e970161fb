"""Loops within a captured graph whose rounds are too many to write out, or not known: one loop of the graph.

`torch.while_loop` has two faults in torch 2.13. Its backward runs the body once where the forward ran it not at all:
so rounds are counted, and a sample that ran none is taken from before the loop. And where the first value that it
carries needs no gradient, those of the weights keep only the last round: so a zero that leads to a weight is added.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from ...errors import FlowError
from .active import Active
from .counts import Count
from .node import Node
from .parted import Parted
from .values import Value, mapped, splice, take

WRITTEN_OUT = 32
"""Loops of at most so many rounds are written out in a graph."""
RANDOM = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout, nn.RReLU)


def draws(module: nn.Module) -> bool:
    """Whether a module draws by itself; attention and recurrent layers do, where their dropout is not 0."""
    rate = getattr(module, "dropout", 0)
    return isinstance(module, RANDOM) or (isinstance(module, nn.MultiheadAttention | nn.RNNBase) and rate > 0)


class Drawn(TorchDispatchMode):
    """Notices operators that draw random numbers."""

    found = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.found |= torch.Tag.nondeterministic_seeded in func.tags
        return func(*args, **(kwargs or {}))


def sketch(tensor: Tensor, rows: bool) -> tuple[str, tuple[int, ...], torch.dtype]:
    """A tensor as plain words: two rows of it, or all."""
    return "tensor", ((2, *tensor.shape[1:]) if rows else tuple(tensor.shape)), tensor.dtype


def drawn(sketched: Any) -> Any:
    """What was sketched, in zeros."""
    if isinstance(sketched, tuple) and sketched[:1] == ("tensor",):
        return torch.zeros(sketched[1], dtype=sketched[2])
    if isinstance(sketched, dict):
        return {key: drawn(item) for key, item in sketched.items()}  # pyright: ignore
    return type(sketched)(map(drawn, sketched)) if isinstance(sketched, tuple | list) else sketched  # pyright: ignore


class Looped(Parted):
    """A node that runs its block in rounds."""

    _looped: Count

    def _counts(self) -> list[Count]:
        return [*super()._counts(), self._looped]

    def _loop(self, active: Active, left: Tensor, most: int | None) -> tuple[Value, Tensor]:
        """Runs the block as one loop of the graph.

        Args:
            active: the samples.
            left: how many rounds each still wants, or whether its condition holds.
            most: the most rounds; None: as many as are wanted.

        Returns:
            The value, and what is left of `left`.
        """
        sides = {
            name: mapped(lambda item, moves=name in active.moving: sketch(item, moves), value)
            for name, value in active.sides.items()
        }
        self._refuse_loop(mapped(lambda item: sketch(item, True), active.value), sides)
        self._looped.add(active.size)
        start = self._leading(active.value)

        def more(step: Tensor, rounds: Tensor, left: Tensor, value: Value) -> Tensor:
            wanted = (left > 0).any()
            return wanted if most is None else wanted & (step < most)

        def body(step: Tensor, rounds: Tensor, left: Tensor, value: Value) -> tuple[Tensor, Tensor, Tensor, Value]:
            index = (left > 0).nonzero().squeeze(1)
            sides = {n: take(v, index) if n in active.moving else v for n, v in active.sides.items()}
            rows = self._captured_branch("block", take(value, index), sides, keeps=True)
            rest = self._left(rows, sides, left.index_select(0, index)).to(left.dtype)
            ran = rounds + (left > 0)
            return step + 1, ran, left.index_copy(0, index, rest), splice(value, index, rows)

        zero = torch.zeros((), dtype=torch.int64, device=left.device)
        begin = (zero, torch.zeros_like(left, dtype=torch.int64), left.clone(), start)
        steps, rounds, left, value = torch.while_loop(more, body, begin)  # type: ignore[attr-defined]
        ran = rounds > 0
        self.paths["block"].add_runs(steps, rounds.sum())
        if "passed" in self.paths:
            self.paths["passed"].add((~ran).sum())

        def chosen(new: Tensor, old: Tensor) -> Tensor:
            return torch.where(ran.reshape(-1, *(1 for _ in new.shape[1:])), new, old)

        return mapped(chosen, value, active.value), left

    def _left(self, rows: Value, sides: dict[str, Any], left: Tensor) -> Tensor:
        """What is left for samples that have made a round."""
        raise NotImplementedError

    def _leading(self, x: Value) -> Value:
        """The value, with a gradient that leads to a weight where it has none of its own."""
        weight = next((w for w in self._modules["block"].parameters() if w.requires_grad), None)  # type: ignore[union-attr]
        if weight is None or not torch.is_grad_enabled():
            return mapped(lambda tensor: tensor.clone(), x)
        never = torch.zeros((), dtype=torch.bool, device=weight.device)

        def led(tensor: Tensor) -> Tensor:
            if not tensor.is_floating_point() or tensor.requires_grad:
                return tensor.clone()
            return tensor + torch.where(never, weight.reshape(-1)[0], 0).to(tensor.dtype)

        return mapped(led, x)

    def _draws(self, value: Any, sides: dict[str, Any]) -> bool:
        """Whether a run of the block draws, found by one on tensors that hold nothing."""
        with Drawn() as mode, FakeTensorMode(allow_non_fake_inputs=True), suppress(Exception):  # Dynamo tells of those
            self._stage("block", drawn(value), {name: drawn(side) for name, side in sides.items()})
        return mode.found

    def _refuse_loop(self, value: Any, sides: dict[str, Any]) -> None:
        """What a loop of the graph cannot hold; Dynamo runs this as it is."""
        block = cast(nn.Module, self._modules["block"])
        inner = [module for module in block.modules() if isinstance(module, Node) or draws(module)]
        got = f"{type(inner[0]).__name__} in the block" if inner else ""
        if not inner and self._draws(value, sides):
            got = f"{type(block).__name__} draws random numbers"
        if got:
            raise FlowError(
                f"more than {WRITTEN_OUT} rounds become one loop of the graph, which cannot hold this block.",
                self.line,
                got,
                f"bound it by {WRITTEN_OUT} rounds (max_steps, or a die), or leave this node out of the capture",
            )

    _refuse_loop._dynamo_marked_constant = True  # type: ignore[attr-defined]
