"""`KerasLayer`: a layer of Keras, on its torch backend, as a module of torch. Keras is not loaded for it."""

from __future__ import annotations

import inspect
import itertools
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, cast
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from ..errors import PartError

OWN = ("training", "mask")
"""Arguments that Keras itself gives."""


def is_layer(value: object) -> bool:
    """Whether it is a layer of Keras; where nobody has loaded Keras nothing is."""
    keras = sys.modules.get("keras")
    kind = getattr(keras, "Layer", None)
    return kind is not None and isinstance(value, kind)


class KerasLayer(nn.Module):
    """A layer of Keras within a module of wye: it holds the layer's weights, and tells it of train() and eval().

    Keras hands `training=` from a layer to those inside it, and would find none in a module of torch; so each call
    gives it, as `train()` and `eval()` have set this module, unless the formula itself does. The weights are those
    of this module, under names that do not count the layers of the process: they move by `.to`, are in the state
    dict, and are copied to the bit, the state of dropout among them. A call lends them to the layer. So the layer
    computes in its own dtype, whatever `.to` makes of the weights, and after a copy or a move they are read here.
    Losses that a layer adds, such as those of regularizers, are part of no objective.

    Args:
        layer: built, on the torch backend.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self._lent = Lent(layer)
        self._names = tuple([self._hold(one.name.replace(".", "_"), one.value) for one in self._lent.variables])

    def _hold(self, name: str, value: Tensor) -> str:
        """Registers a tensor under a name that is still free."""
        names = itertools.chain([name], (f"{name}_{count}" for count in itertools.count(1)))
        free = next(one for one in names if not hasattr(self, one))
        if value.is_floating_point():
            self.register_parameter(free, cast(nn.Parameter, value))
        else:
            self.register_buffer(free, value)
        return free

    @property
    def layer(self) -> Any:
        """The layer as it was given."""
        return self._lent.layer

    def forward(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        keras: Any = sys.modules["keras"]
        variables, values = self._lent.variables, [getattr(self, name) for name in self._names]
        kwargs.setdefault("training", self.training)
        place = next((value.device for value in (*values, x) if isinstance(value, Tensor)), None)
        with ExitStack() as stack:
            if place is not None:
                stack.enter_context(keras.device(str(place)))
            lent = list(zip(variables, values, strict=True))
            scope = stack.enter_context(keras.StatelessScope(state_mapping=lent))
            found = self.layer(x, *args, **kwargs)
            written = [scope.get_current_value(variable) for variable in variables]
        with torch.no_grad():  # what the layer wrote itself, such as the averages of a batch norm
            for value, new in zip(values, written, strict=True):
                if new is not None and new is not value and not value.requires_grad:
                    value.copy_(new)
            for variable in self._lent.counts:  # of metrics, which stay the layer's own
                if (new := scope.get_current_value(variable)) is not None:
                    variable.assign(new)
        return found

    def sides(self) -> dict[str, bool]:
        """The arguments of the layer's call behind the first, and whether each is required."""
        found = list(inspect.signature(self.layer.call).parameters.values())[1:]
        named = [one for one in found if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
        return {one.name: one.default is one.empty for one in named if one.name not in OWN}

    def extra_repr(self) -> str:
        return repr(self.layer)


class Lent:
    """A layer out of torch's sight; copies of the module share it, for the weights are lent to it in each call."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.variables: list[Any] = list(layer.variables)
        self.counts: list[Any] = list(layer.metrics_variables)

    def __deepcopy__(self, _: object) -> Lent:
        return self

    def __reduce__(self) -> tuple[type[Lent], tuple[Any]]:
        return Lent, (self.layer,)


MODULES: WeakValueDictionary[int, KerasLayer] = WeakValueDictionary()
"""The module of each layer by its id, so that a layer in several places is one module."""


def adopted(value: Any, name: str, where: str) -> Any:
    """A layer of Keras as a module of torch; all else as it is.

    A layer within `nn.Sequential` would not be told of train() and eval(), so one that asks is refused there. A module
    of one's own that calls layers gives them `training=self.training` itself.

    Args:
        value: anything.
        name: what it is called.
        where: the place, for errors.

    Raises:
        PartError: a layer without weights yet, of another backend, or that asks for training in `nn.Sequential`.
    """
    if "keras" not in sys.modules:
        return value
    if not is_layer(value):
        if isinstance(value, nn.Module):
            for layer, inside in layers_within(value):
                check_layer(layer, name, where, inside)
        return value
    check_layer(value, name, where, value)
    known = MODULES.get(id(value))
    if known is None:
        known = MODULES[id(value)] = KerasLayer(value)
    return known


def layers_within(module: nn.Module) -> Iterator[tuple[Any, nn.Module]]:
    """The outermost layers of Keras inside a module, and what each stands in."""
    for child in module.children():
        if is_layer(child):
            yield child, module
        else:
            yield from layers_within(child)


def check_layer(layer: Any, name: str, where: str, inside: object) -> None:
    """Refuses what torch could train in part only."""
    kind, of_torch = type(layer).__name__, isinstance(layer, nn.Module)
    if not of_torch:
        backend = sys.modules["keras"].backend.backend()
        fix = "set KERAS_BACKEND=torch before Keras is imported, or use wye.keras"
        raise PartError(f"`{name}` is a layer of Keras on {backend}.", where, kind, fix)
    what = f"`{name}` has no weights yet, which an optimizer could be given."
    if not layer.built:
        fix = f"build it: {name}.build((None, 4)), with its number of features"
        raise PartError(what, where, f"{kind}, not built", fix)
    inner = next((one for one in layer._flatten_layers() if not one.built), None)
    if inner is not None:
        fix = f"call it once, which builds all of it: {name}(x)"
        raise PartError(what, where, f"{kind}, in which {inner.name} is not built", fix)
    if isinstance(inside, nn.Sequential) and "training" in inspect.signature(layer.call).parameters:
        what = f"`{name}` holds a layer of Keras in nn.Sequential, which does not tell it of train() and eval()."
        raise PartError(what, where, f"nn.Sequential(..., {kind})", "write wye.Chain in the place of nn.Sequential")
