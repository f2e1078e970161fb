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

if TYPE_CHECKING:
    from collections.abc import Iterator

MASK = 0xFFFFFFFF


def mix(value: int) -> int:
    """A hash of 32 bits; the constants stay below 2**31, so that tensors of int64 can compute it too."""
    value = ((value ^ (value >> 16)) * 0x45D9F3B) & MASK
    value = ((value ^ (value >> 15)) * 0x119DE1F3) & MASK
    return value ^ (value >> 16)


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
        ALIVE.add(self)

    def bits(self, place: int) -> int:
        """32 random bits for the die at a place of the formula."""
        return fall(self._seed, self._steps, place)

    def advance(self) -> None:
        self._steps += 1
        self.state = torch.tensor([self._seed, self._steps], device=self.state.device)

    def weights(self) -> Iterator[nn.Parameter]:
        node = self.__dict__["_node"]()
        return iter(()) if node is None else node.parameters()

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._remember()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_node"}

    def belongs_to(self, node: nn.Module) -> None:
        """Tells the dice of a copied or loaded node whose they are."""
        self.__dict__["_node"] = weakref.ref(node)
        self._remember()


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
