"""Names of modules and weights: those of torch, and for the layers of Keras, which torch knows in part, their own.

Keras keeps all variables of a model under the model, in an order of its own, and layers in a list or of a functional
model nowhere that torch would look. Here each layer has a name, and each variable that of its layer before its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from ..errors import InputError

KEPT_BY_KERAS = {"_torch_params", "_functional"}
"""Attributes under which Keras keeps once more what it has elsewhere."""


def within(name: str, item: str) -> str:
    """The name of what a module holds: `deep.then`; that of a whole model is empty, or ends with a colon, `0:`."""
    return f"{name}.{item}" if name and not name.endswith(":") else f"{name}{item}"


def layers_of(module: nn.Module) -> list[Any]:
    """The layers inside a layer of Keras; none in a module of torch."""
    flatten = getattr(module, "_flatten_layers", None)
    if not callable(flatten):
        return []
    found: Any = flatten(include_self=False)
    return [layer for layer in found if isinstance(layer, nn.Module) and type(layer).__name__ != "InputLayer"]


def named_modules(model: nn.Module, remove_duplicate: bool = True) -> Iterator[tuple[str, nn.Module]]:
    """The modules by name, as torch gives them, and then the layers of Keras that it does not find."""
    found = [
        (name, module)
        for name, module in model.named_modules(remove_duplicate=remove_duplicate)
        if KEPT_BY_KERAS.isdisjoint(name.split("."))
    ]
    yield from found
    known = {id(module) for _, module in found}
    for name, module in found:
        for layer in layers_of(module):
            if id(layer) not in known:
                known.add(id(layer))
                yield within(name, layer.name), layer


def named_weights(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The weights by all of their names.

    Raises:
        InputError: a model of Keras that has no weights yet.
    """
    if getattr(model, "built", True) is False and callable(getattr(model, "_flatten_layers", None)):
        fix = "call the model on one batch first, or begin it with an Input"
        raise InputError("a Keras model has no weights before it is built.", "watch(...)", type(model).__name__, fix)
    hidden = False
    known: set[int] = set()
    for name, weight in model.named_parameters(remove_duplicate=False):
        if KEPT_BY_KERAS.isdisjoint(name.split(".")):
            known.add(id(weight))
            yield name, weight
        else:
            hidden = True
    if hidden:
        yield from _variables(model, known)


def _variables(model: nn.Module, known: set[int]) -> Iterator[tuple[str, nn.Parameter]]:
    """The variables of Keras, each under the innermost layers that hold it; seeds of generators are no weights."""
    owners: dict[int, list[str]] = {}
    variables: dict[int, Any] = {}
    for name, module in named_modules(model, remove_duplicate=False):
        held: Any = getattr(module, "variables", None)
        for variable in held if isinstance(held, list) else ():
            weight = variable.value
            if isinstance(weight, nn.Parameter) and weight.is_floating_point() and id(weight) not in known:
                variables[id(weight)] = variable
                inner: list[Any] = [module, *layers_of(module)]
                if sum(any(one is variable for one in layer.variables) for layer in inner) == 1:
                    owners.setdefault(id(weight), []).append(name)
    taken: set[str] = set()
    for key, variable in variables.items():
        for owner in owners.get(key, [""]):
            name = within(owner, variable.name)
            name = within(owner, variable.path) if name in taken else name
            taken.add(name)
            yield name, variable.value
