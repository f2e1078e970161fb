"""`Replay`: an optimizer's step once more, on a few elements of its weights, with a gradient of zero.

An optimizer that treats each element of a weight alone does to a small tensor of some elements what it does to them in
the whole. So a step is replayed by the optimizer's own code on copies of those elements and of their state. Nothing
else takes part: no hook, no scheduler, no profiler sees the replay, and the optimizer itself stays as it is.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import (
    ASGD,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    NAdam,
    Optimizer,
    RAdam,
    RMSprop,
    Rprop,
)

ALONE = frozenset[type[Optimizer]](
    (SGD, Adam, AdamW, NAdam, RAdam, Adamax, RMSprop, Adagrad, Adadelta, ASGD, Rprop),
)
"""The optimizers that treat each element of a weight alone."""

DECAYS = ("weight_decay", "lambd")
"""The settings that draw a weight to zero, gradient or not; ASGD has the second too."""


def replayable(optimizer: Optimizer) -> bool:
    """Whether this very class treats each element alone; a subclass may do anything."""
    return type(optimizer) in ALONE


def decays(settings: Mapping[str, Any]) -> bool:
    return any(bool(settings.get(name, 0) != 0) for name in DECAYS)


def kept(value: Any, shape: torch.Size, take: Callable[[Tensor], Tensor]) -> Any:
    """What a replay needs of an entry of a weight's state: the same elements, or the whole of a single number."""
    if not isinstance(value, Tensor):
        return value
    return take(value) if value.shape == shape and value.layout == torch.strided else value.detach().clone()


class Replay:
    """The settings and the sampled elements of an optimizer, from which its step is run as often as one likes.

    Args:
        optimizer: replayable.
        values: the sampled elements of its weights, by `id`. They are read, never written.
        take: what takes the same elements of another tensor of a weight's shape.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        values: Mapping[int, Tensor],
        take: Callable[[Tensor], Tensor],
    ) -> None:
        self._kind, self._defaults = type(optimizer), dict(optimizer.defaults)
        self._values = values
        self._groups: list[tuple[dict[str, Any], list[int]]] = []
        self._states: dict[int, dict[str, Any]] = {}
        self._fused = set[int]()
        for group in optimizer.param_groups:
            settings = {key: _copied(value) for key, value in group.items() if key != "params"}
            self._groups.append((settings, [id(weight) for weight in group["params"] if id(weight) in values]))
            self._fused.update(self._groups[-1][1] if settings.get("fused") else ())
            for weight in group["params"]:
                if id(weight) in values:
                    state: dict[str, Any] = optimizer.state.get(weight, {})
                    self._states[id(weight)] = {name: kept(v, weight.shape, take) for name, v in state.items()}

    def splits(self, weight: Tensor) -> bool:
        """Whether the optimizer holds this weight, and steps it element by element."""
        state = self._states.get(id(weight))
        if state is None or any(
            isinstance(value, Tensor) and value.layout != torch.strided for value in state.values()
        ):
            return False
        # On a CPU torch's fused SGD in half precision moves the elements after the last full vector, and no others
        # (seen in 2.13): an element's place decides, and a few of them do not tell what becomes of it.
        halves = weight.device.type == "cpu" and weight.dtype in (torch.float16, torch.bfloat16)
        return not (halves and self._kind is SGD and id(weight) in self._fused)

    def decaying(self) -> set[int]:
        """The weights, by `id`, that decay draws to zero."""
        return {key for settings, keys in self._groups if decays(settings) for key in keys}

    @torch.no_grad()
    def step(self, which: Collection[int], decay: bool = True) -> dict[int, Tensor]:
        """The sampled elements of these weights after a step with a gradient of zero, with decay or without."""
        copies = {key: self._values[key].clone() for key in which}
        state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        for key, copy in copies.items():
            copy.grad = torch.zeros_like(copy)
            state[copy] = {
                name: value.clone() if isinstance(value, Tensor) else value for name, value in self._states[key].items()
            }
        still = {} if decay else dict.fromkeys(DECAYS, 0)
        small = object.__new__(self._kind)  # a constructor would log, check, and make state anew
        small.defaults, small.state = self._defaults, state
        small.param_groups = [
            {**settings, **still, "params": [copies[key] for key in keys if key in copies]}
            for settings, keys in self._groups
        ]
        small._warned_capturable_if_run_uncaptured = True  # type: ignore[attr-defined]
        inspect.unwrap(self._kind.step)(small)  # beneath the wrapper that calls hooks and the profiler
        return copies


def _copied(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value
