"""Idle weights: those whose branches took no sample between one optimizer step and the next have no gradient.

In eager, a branch that takes no sample is not called, and its weights get no gradient. Zeros come all the same: from
`zero_grad(set_to_none=False)`, or from a captured graph, which runs a branch on no rows. Momentum and decay would move
a weight with a gradient of zeros, so before a step those are set to None. A gradient that is not all zeros never is,
nor one of a weight that another branch or chain used, nor one beneath a node that was not called at all: whoever calls
its modules by hand is not seen.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from .chance import held_by
from .counts import CLOCK
from .node import NODES, Node

SAVED: dict[int, list[tuple[nn.Parameter, Tensor]]] = {}
"""What LBFGS may move without a gradient, while it steps."""

STEPPED: weakref.WeakKeyDictionary[Optimizer, int] = weakref.WeakKeyDictionary()
"""When each optimizer last stepped, on the clock of the counts."""


def owned(module: nn.Module) -> Iterator[nn.Parameter]:
    """The weights of a stage; nodes inside it account for their own."""
    if isinstance(module, Node):
        return
    yield from (weight for weight in module._parameters.values() if weight is not None)  # pyright: ignore[reportPrivateUsage]
    for child in module.children():
        yield from owned(child)


def is_zero(grad: Tensor) -> bool:
    return not bool((grad._values() if grad.is_sparse else grad).any())  # type: ignore[no-untyped-call]


def idle(optimizer: Optimizer, suspect: Callable[[nn.Parameter], bool]) -> list[nn.Parameter]:
    """The weights among the suspects whose branches took no sample since this optimizer's last step."""
    tick, nodes = STEPPED.get(optimizer), list(NODES)
    for node in nodes if CLOCK.captures else ():
        node.catch_up()
    # Asked of every node at every step: where all stages ran there is nothing more to ask.
    quiet = nodes if tick is None else [node for node in nodes for count in node.runs if count.last < tick]
    resting = [stage for node in quiet for stage in node.since(tick)[0]]
    found = {id(weight): weight for stage in resting for weight in stage.parameters() if suspect(weight)}
    if not found:
        return []
    for node in nodes:
        for stage in node.since(tick)[1]:
            for weight in owned(stage):
                found.pop(id(weight), None)
    held = held_by(optimizer)
    return [weight for key, weight in found.items() if key in held]


def release(optimizer: Optimizer) -> None:
    """Zero gradients of idle weights become None."""
    for weight in idle(optimizer, lambda weight: weight.grad is not None):
        if weight.grad is not None and is_zero(weight.grad):
            weight.grad = None


def before(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Before a step; one that takes a closure has its gradients only after each call of it."""
    release(optimizer)
    if isinstance(optimizer, LBFGS):
        held = held_by(optimizer)
        weights = {id(weight): weight for node in NODES for weight in node.parameters()}
        SAVED[id(optimizer)] = [(one, one.detach().clone()) for key, one in weights.items() if key in held]
    return behind_closure(args, kwargs, lambda: release(optimizer))


def behind_closure(args: tuple[Any, ...], kwargs: dict[str, Any], then: Callable[[], None]) -> Any:
    """What a step's pre-hook returns so that something happens after each call of the closure; None: there is none."""
    closure = args[1] if len(args) > 1 else kwargs.get("closure")
    if not callable(closure):
        return None

    def followed() -> Any:
        value = closure()
        then()
        return value

    return ((args[0], followed, *args[2:]), kwargs) if len(args) > 1 else (args, {**kwargs, "closure": followed})


def after(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    """After a step the next interval begins. LBFGS moves all weights along one line: idle ones are put back."""
    saved = SAVED.pop(id(optimizer), None)
    if saved is not None:
        resting = {id(weight) for weight in idle(optimizer, lambda weight: weight.grad is None)}
        with torch.no_grad():
            for weight, value in saved:
                if id(weight) in resting:
                    weight.copy_(value)
    STEPPED[optimizer] = CLOCK.tick()


# What torch.compiler.disable marks, without importing all of Dynamo: a captured step calls the hooks as they are.
before._torchdynamo_disable = after._torchdynamo_disable = True  # type: ignore[attr-defined]

register_optimizer_step_pre_hook(before)
register_optimizer_step_post_hook(after)
