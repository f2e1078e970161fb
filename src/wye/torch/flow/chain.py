"""`Chain`: stages one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast, overload

from torch import nn

from ...errors import PartError
from ...formula.naming import NAME
from ..front import capturing
from ..parts import reserved
from .counts import Count
from .node import OWN, Node
from .values import Value, batch_size


class Chain(Node):
    """Stages one after the other; positional ones first, then those with a name.

    It indexes, slices and iterates as `nn.Sequential` does. Side inputs go by name to the stages that read them; a
    name that nobody takes is an error.

    Args:
        *modules: stages, named "0", "1", ...; a formula stands for the Join of its inputs.
        shared: names of side inputs that are not per sample.
        **named: stages by name, which then are attributes: `net.deep`.

    Example:
        >>> import torch, wye
        >>> from torch import nn
        >>> net = wye.Chain(nn.Linear(4, 8), "relu(x)", deep=wye.When("control > 0.5", nn.Linear(8, 8)))
        >>> net(torch.zeros(3, 4), control=torch.tensor([0.0, 1.0, 1.0])).shape
        torch.Size([3, 8])
        >>> net.deep.paths["then"].samples
        2
    """

    def __init__(self, *modules: Any, shared: Iterable[str] = (), **named: Any) -> None:
        super().__init__()
        taken = reserved(type(self)) | OWN
        for name in named:
            if name in taken:
                fix = f"call the stage `{name}_stage`"
                raise PartError(f"the name `{name}` belongs to the module.", f"{name}=...", name, fix)
            if not NAME.match(name):
                fix = "use ASCII letters, digits and _, a letter first"
                raise PartError(f"`{name}` is no name for a stage.", f"{name}=...", repr(name), fix)
        stages = {**{str(place): module for place, module in enumerate(modules)}, **named}
        self._hold_stages(stages, shared)

    def _hold_stages(self, stages: Mapping[str, Any], shared: Iterable[str]) -> None:
        self._ran = Count()
        self._settle(stages, "batch", shared, {})
        self.paths = {}

    def forward(self, x: Value, **sides: Any) -> Value:
        size = batch_size(x, "Chain")
        if sides:
            self._checked(sides, size)
        if capturing() or size:
            self._ran.add(size)
        for name in self._stages:
            x = self._stage(name, x, sides)
        return x

    def _counts(self) -> list[Count]:
        return [self._ran]

    def _run_of(self, stage: str) -> Count:
        return self._ran

    def __len__(self) -> int:
        return len(self._stages)

    def __iter__(self) -> Iterator[nn.Module]:
        return iter(self._modules[name] for name in self._stages)  # type: ignore[misc]

    @overload
    def __getitem__(self, place: int) -> nn.Module: ...
    @overload
    def __getitem__(self, place: slice) -> Chain: ...
    def __getitem__(self, place: int | slice) -> nn.Module | Chain:
        names = list(self._stages)
        if isinstance(place, slice):
            part = Chain()
            part._hold_stages({name: self._modules[name] for name in names[place]}, self.shared)
            return part
        return cast(nn.Module, self._modules[names[place]])

    def extra_repr(self) -> str:
        return f"shared={tuple(sorted(self.shared))!r}" if self.shared else ""
