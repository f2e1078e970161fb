"""Dice: one fall for each node and optimizer step, a hash of the node's seed and that step.

No generator is involved, so a recomputed forward, several forwards before one step, and a resumed run all see the
same die.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

from ...errors import FlowError

if TYPE_CHECKING:
    from collections.abc import Iterator

MASK = 0xFFFFFFFF


def mix(value: int) -> int:
    """A hash of 32 bits; the constants stay below 2**31, so that tensors of int64 can compute it too.

    It is applied several times over, so it must not undo itself: no constant may be the inverse of the other modulo
    2**32, and the first shift differs from the last.
    """
    value = ((value ^ (value >> 16)) * 0x21F0AAAD) & MASK
    value = ((value ^ (value >> 15)) * 0x735A2D97) & MASK
    return value ^ (value >> 15)


def fall(seed: int, step: int, place: int) -> int:
    """32 random bits for one die of a node at a step."""
    return mix(mix(mix(seed & MASK) ^ (step & MASK)) ^ (place * 0x9E3779B & MASK))


class Dice(nn.Module):
    """The seed and the step of a node's dice, saved with the weights.

    The seed is drawn when the node is built, from torch's generator; the step moves with the optimizer that holds
    weights of the node, or with any where the node has none.
    """

    state: Tensor

    def __init__(self, node: nn.Module) -> None:
        super().__init__()
        self.register_buffer("state", torch.stack([torch.randint(2**31, ()), torch.zeros((), dtype=torch.int64)]))
        self.__dict__["_node"] = weakref.ref(node)
        self._remember()

    def _remember(self) -> None:
        self._seed, self._steps = (int(value) for value in self.state.tolist())
        self._known = self.state, version(self.state)
        ALIVE.add(self)

    def _refresh(self) -> None:
        """Reads the state again where it was put in place or written into, as loading and broadcasting do."""
        if self._known[0] is not self.state or self._known[1] != version(self.state):
            self._remember()

    def fall(self, kind: str, place: int, bounds: tuple[float, ...]) -> float:
        """What the die or the coin at a place of the formula shows."""
        self._refresh()
        bits = fall(self._seed, self._steps, place)
        if kind == "coin":
            if not 0 <= bounds[0] <= 1:
                fix = "write a probability from 0 to 1"
                raise FlowError("a coin has a probability.", f"coin({bounds[0]})", f"{bounds[0]}", fix)
            return bits < bounds[0] * 2**32
        low, high = bounds
        fix = f"write die({high}, {low})" if low > high else "round them"
        if low != int(low) or high != int(high) or low > high:
            raise FlowError(
                "a die has whole sides, the lowest first.",
                f"die({low}, {high})",
                f"{low} and {high}",
                fix,
            )
        return int(low) + bits % (int(high) - int(low) + 1)

    def advance(self) -> None:
        """Moves on by one optimizer step."""
        self._refresh()
        self._steps += 1
        self.state = torch.tensor([self._seed, self._steps], device=self.state.device)
        self._known = self.state, version(self.state)

    def weights(self) -> Iterator[nn.Parameter]:
        node = self.__dict__["_node"]()
        return iter(()) if node is None else node.parameters()

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._remember()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_node", "_known")}

    def belongs_to(self, node: nn.Module) -> None:
        """Tells the dice of a copied or loaded node whose they are."""
        self.__dict__["_node"] = weakref.ref(node)
        self._remember()


def version(tensor: Tensor) -> int:
    """How often a tensor was written into; in inference mode nobody counts."""
    return 0 if tensor.is_inference() else tensor._version


ALIVE: weakref.WeakSet[Dice] = weakref.WeakSet()


def _count(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    """After an optimizer's step, the dice of the nodes whose weights it holds move on."""
    held: set[int] | None = None
    for dice in list(ALIVE):
        weights = {id(weight) for weight in dice.weights()}
        if held is None:
            held = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
        if not weights or weights & held:
            dice.advance()


register_optimizer_step_post_hook(_count)
