"""`Chain`: stages one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, overload

import keras

from ...errors import PartError
from ...formula.naming import NAME
from ..fitting import Moving
from ..parts import reserved
from .node import OWN, Node
from .values import Value


@keras.saving.register_keras_serializable("wye")
class Chain(Moving, Node, keras.Model):
    """Stages one after the other; positional ones first, then those with a name.

    It indexes, slices and iterates. Side inputs go by name to the stages that read them; a name that nobody takes is
    an error. To fit it on a dict, give the value that flows as `x`, and side inputs beside it.

    Args:
        *modules: stages, named "0", "1", ...; a formula stands for the Join of its inputs.
        shared: names of side inputs that are not per sample.
        name: of the model, as Keras knows it.
        **named: stages by name, which then are attributes: `net.deep`.

    Example:
        >>> import keras, wye.keras as wye
        >>> from keras import layers
        >>> net = wye.Chain(layers.Dense(8), "relu(x)", deep=wye.When("control > 0.5", layers.Dense(8)))
        >>> tuple(net(keras.ops.zeros((3, 4)), control=keras.ops.array([0.0, 1.0, 1.0])).shape)
        (3, 8)
    """

    def __init__(self, *modules: Any, shared: Iterable[str] = (), name: str | None = None, **named: Any) -> None:
        super().__init__(name=name)
        taken = reserved(type(self)) | OWN
        for one in named:
            if one in taken:
                fix = f"call the stage `{one}_stage`"
                raise PartError(f"the name `{one}` belongs to the module.", f"{one}=...", one, fix)
            if not NAME.match(one):
                fix = "use ASCII letters, digits and _, a letter first"
                raise PartError(f"`{one}` is no name for a stage.", f"{one}=...", repr(one), fix)
        self._settle({**{str(place): one for place, one in enumerate(modules)}, **named}, "batch", shared, {})

    def _run(self, x: Value, sides: dict[str, Any], size: int | None) -> Value:
        for name in self._stages.by_name:
            x = self._stage(name, x, sides)
        return x

    _outline = _run

    def __len__(self) -> int:
        return len(self._stages.by_name)

    def __iter__(self) -> Iterator[Any]:
        return iter([getattr(self, name) for name in self._stages.by_name])

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> Chain: ...
    def __getitem__(self, place: int | slice) -> Any:
        names = list(self._stages.by_name)
        if isinstance(place, slice):
            part = Chain()
            part._settle({name: getattr(self, name) for name in names[place]}, "batch", self.shared, {})
            return part
        return getattr(self, names[place])

    def _written_options(self) -> dict[str, Any]:
        return {"shared": sorted(self.shared)}

    @classmethod
    def _read(cls, decides: Any, stages: dict[str, Any], options: dict[str, Any]) -> Any:
        made = cls(name=options["name"])
        made._settle(stages, "batch", options["shared"], {})
        return made

    def extra_repr(self) -> str:
        return f"shared={tuple(sorted(self.shared))!r}" if self.shared else ""
