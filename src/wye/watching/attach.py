"""`watch`: what is given is looked through, and a `Watch` begins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from torch import nn
from torch.optim import Optimizer

from ..errors import InputError
from .observe import OBJECTIVE, Watch

SAID = {"every": "steps", "elements": "elements"}


def watch(
    model: nn.Module | Iterable[nn.Module] | Mapping[str, nn.Module],
    optimizer: Optimizer | Iterable[Optimizer] | None = None,
    objective: nn.Module | Iterable[nn.Module] | Mapping[str, nn.Module] | None = None,
    *,
    every: int = 50,
    elements: int | None = 256,
) -> Watch:
    """Watches a live run: which paths and modules ran, which weights learned, how they moved, and why others did not.

    Your own loop stays as it is, and so does every bit of it. For each weight it counts the optimizer steps on which
    its gradient was None (no optimizer moves it then), zero (momentum and decay still may), or not zero; says why; and
    splits its movement into what the gradient, momentum and decay did. `docs/watch.md` tells of it all.

    Args:
        model: any module, or several, in a list or by name in a dict.
        optimizer: whose steps are counted, or several; None: of every optimizer that holds a weight of the model.
        objective: a loss that is a module, or several. Its weights are told of too, under `objective:`; if it is an
            `Objective`, so are its terms.
        every: of how many steps one is looked at for movement and terms; for movement, more of the first ones.
        elements: of how many elements of a weight the movement is looked at; None: of all.

    Returns:
        The account; `table()` is its text. With `with` it ends there, and stays readable.

    Raises:
        InputError: what is given is no module, no optimizer, or nothing; or `every` or `elements` is below 1.

    Example:
        >>> import torch, wye
        >>> net = wye.Chain(wye.When("control > 0.5", torch.nn.Linear(2, 2)), torch.nn.Linear(2, 1))
        >>> optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        >>> with wye.watch(net, optimizer) as seen:
        ...     for control in (0.0, 1.0):
        ...         optimizer.zero_grad()
        ...         net(torch.ones(4, 2), control=control).sum().backward()
        ...         optimizer.step()
        >>> seen.paths["0.then"].samples, seen.weights["0.then.weight"].none
        (4, 1)
        >>> print(seen.table().splitlines()[-1])
        0.then.weight, 0.then.bias: no gradient on 1 of 2 steps: When control > 0.5 sent no sample
    """
    models = {name: plain(one) for name, one in named("", model).items()}
    if not models:
        raise InputError("there is nothing to watch.", "watch(...)", "no module", "give a module, or several")
    given: Any = optimizer
    optimizers: list[Any] = [] if given is None else [given] if hasattr(given, "param_groups") else list(several(given))
    for name, number in (("every", every), ("elements", 1 if elements is None else elements)):
        if type(number) is not int or number < 1:
            what, fix = f"`{name}` is not a number of {SAID[name]}.", "give a whole number, 1 or more"
            raise InputError(what, "watch(...)", f"{name}={number!r}", fix)
    objectives = {} if objective is None else named(OBJECTIVE, objective)
    for name, one in objectives.items():
        loss = plain(one, "leave out a loss that is a function; give a wye.Objective to be told of its terms")
        if not any(loss is other for other in models.values()):
            models[name] = loss
    return Watch(models, [telling(one) for one in optimizers], objectives, every, elements)


def named(prefix: str, given: Any) -> dict[str, nn.Module]:
    """Modules by what their names begin with: several have a number, or the name that a dict gives them."""
    if isinstance(given, Mapping):
        return {f"{prefix}{name}:": one for name, one in cast(Mapping[str, nn.Module], given).items()}
    modules = list(several(given))
    return {prefix if len(modules) == 1 else f"{prefix}{place}:": one for place, one in enumerate(modules)}


def several(given: Any) -> Iterable[Any]:
    """What was given, or each of what a collection holds; whether it is of the right kind is asked of each."""
    return given if isinstance(given, Iterable) and not isinstance(given, nn.Module | str | Mapping) else [given]


def plain(model: Any, fix: str = "give a module, or several") -> nn.Module:
    """The module itself, where `torch.compile` has put another around it."""
    if not isinstance(model, nn.Module):
        raise InputError("only modules are watched.", "watch(...)", type(model).__name__, fix)
    return getattr(model, "_orig_mod", model)


def telling(optimizer: Any) -> Optimizer:
    """The optimizer that calls the hooks of a step: libraries for training put another around it."""
    found = optimizer
    while not hasattr(found, "_optimizer_step_pre_hooks") and hasattr(found, "optimizer"):
        found = found.optimizer
    if not isinstance(found, Optimizer):
        fix = "give one of torch.optim; where another makes the steps, leave it out and call seen.step()"
        raise InputError("only optimizers of torch tell their steps.", "watch(...)", type(optimizer).__name__, fix)
    return found


__all__ = ["watch"]
