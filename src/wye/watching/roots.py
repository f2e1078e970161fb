"""The calls of whole models: ways through their modules begin and end there, and so do the trails of gradients."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.jit import ScriptModule
from torch.utils.hooks import RemovableHandle

from ..torch.flow.counts import current_backward
from .calls import SHAPES_ALONE, Calls, is_compiling, is_grad_enabled, rows
from .contexts import tensors_in
from .hooks import Hook
from .terms import in_a_capture
from .trail import Trail

FIRST = 3
"""On so many first steps every gradient is followed to where it ends."""
KEPT = 16
"""The most calls whose trails are kept between two steps."""


class Roots:
    """The models, and objectives, as they are called from outside.

    Args:
        models: what is called.
        objectives: what is called with their outputs.
        calls: what their modules tell.

    Attributes:
        suspects: the ids of weights whose gradients were zero before, or came from nowhere.
    """

    def __init__(self, models: Iterable[nn.Module], objectives: Iterable[nn.Module], calls: Calls) -> None:
        self.calls, self.suspects, self._open = calls, set[int](), list[nn.Module]()
        self._trails: deque[tuple[int, Trail]] = deque()
        self._whole_since = 0
        self._handles: list[RemovableHandle] = []
        for model, told in [*((one, True) for one in models), *((one, False) for one in objectives)]:
            if isinstance(model, nn.TransformerEncoderLayer | ScriptModule):
                continue  # any hook on it would close its faster way; a script takes none
            self._handles.append(model.register_forward_pre_hook(Begins(self)))
            self._handles.append(model.register_forward_hook(Ends(self, told)))

    def begins(self, module: nn.Module) -> None:
        if current_backward() != -1:  # a checkpoint runs it a second time
            return
        if module in self._open:  # an earlier call of it raised
            self._open = []
        if not self._open:
            self.calls.face()
            self.calls.way = []
            self.calls.given = {} if self._follows() else None
        self._open.append(module)

    def ends(self, module: nn.Module, args: tuple[Any, ...], output: Any, told: bool) -> None:
        if module not in self._open:
            return
        del self._open[self._open.index(module) :]
        if self._open:
            return
        self.calls.turn_away()
        if told and (samples := rows(args, output)) != SHAPES_ALONE:
            self.calls.ended(samples)
        self.calls.met(None, output, None)
        self.calls.way = self.calls.given = None
        if is_grad_enabled():
            self._follow(output)

    def _follows(self) -> bool:
        return self.calls.now < FIRST or bool(self.suspects)

    def _follow(self, output: Any) -> None:
        now = self.calls.now
        follows = self._follows()
        live = [one for one in tensors_in(output) if one.grad_fn is not None] if follows else []
        if not follows or in_a_capture(live):
            self._whole_since = now + 1
            return
        Trail(live, None if now < FIRST else self.suspects, lambda trail: self._fired(now, trail))

    def _fired(self, time: int, trail: Trail) -> None:
        if len(self._trails) == KEPT:
            self._whole_since = self._trails.popleft()[0] + 1
        self._trails.append((time, trail))

    def trails(self, since: int) -> list[Trail]:
        """The trails of all calls since then; none where one is missing."""
        return [trail for time, trail in self._trails if time >= since] if self._whole_since <= since else []

    def forget(self, before: int) -> None:
        """Lets the trails go that no optimizer will ask for."""
        self._open, self.calls.way, self.calls.given = [], None, None
        self._whole_since = max(self._whole_since, before)
        while self._trails and self._trails[0][0] < before:
            self._trails.popleft()

    def stop(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._trails.clear()


class Begins(Hook):
    """The hook before a call of a model."""

    def __init__(self, roots: Roots) -> None:
        self.roots = roots

    def __call__(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if not is_compiling():
            self.roots.begins(module)


class Ends(Hook):
    """The hook after it."""

    def __init__(self, roots: Roots, told: bool) -> None:
        self.roots, self.told = roots, told

    def __call__(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if not is_compiling():
            self.roots.ends(module, args, output, self.told)
