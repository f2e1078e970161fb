"""`watch`: counts what truly happens in a live run, without a forward or a random number of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from ..errors import InputError
from ..torch.flow.counts import Count
from ..torch.flow.node import Node
from .account import Path, Weight
from .attribute import LOSS, Ways, within
from .report import table


class Watch:
    """The account of a run, from the moment it was made until `stop`, or the end of its `with`."""

    def __init__(self, models: Mapping[str, nn.Module], optimizers: tuple[Optimizer, ...]) -> None:
        self.models, self.steps = dict(models), 0
        self.nodes = dict(named_nodes(models, once=True))
        self.names: dict[int, list[str]] = {}
        for prefix, model in models.items():
            for name, weight in model.named_parameters(remove_duplicate=False):
                self.names.setdefault(id(weight), []).append(f"{prefix}{name}")
        self.weights: dict[str, Weight] = {keys[0]: Weight() for keys in self.names.values()}
        self._ways = Ways(dict(named_nodes(models, once=False)))
        self._before, self._after = self._counts(), dict[str, tuple[int, int]]()
        self._steps_of: Counter[int] = Counter()
        if optimizers:
            self._handles = [optimizer.register_step_pre_hook(self._observe) for optimizer in optimizers]
        else:
            self._handles = [register_optimizer_step_pre_hook(self._observe)]

    # what happens

    def _counts(self) -> dict[str, tuple[int, int]]:
        return {
            within(name, path): (count.calls, count.samples)
            for name, node in self.nodes.items()
            for path, count in node.paths.items()
        }

    def _observe(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """Before a step: the gradients as they are."""
        held = [weight for group in optimizer.param_groups for weight in group["params"] if id(weight) in self.names]
        if not held:
            return
        self._steps_of[id(optimizer)] += 1
        self.steps = max(self._steps_of.values())
        idle = self._ways.idle_since(id(optimizer))
        backward = any(weight.grad is not None for model in self.models.values() for weight in model.parameters())
        for parameter in held:
            keys, grad = self.names[id(parameter)], parameter.grad
            weight = self.weights[keys[0]]
            if grad is None:
                weight.none += 1
                why = self._ways.reason(keys, parameter, idle)
                weight.reasons[why if backward or why != LOSS else "no backward reached the model"] += 1
            elif bool((grad.coalesce().values() if grad.is_sparse else grad).count_nonzero()):
                weight.nonzero += 1
            else:
                weight.zero += 1

    # what is told

    @property
    def paths(self) -> dict[str, Path]:
        """For each way through a node, such as "deep.then", how often it ran since the watch began."""
        return {
            name: Path(calls - self._before.get(name, (0, 0))[0], samples - self._before.get(name, (0, 0))[1])
            for name, (calls, samples) in (self._after or self._counts()).items()
        }

    def table(self) -> str:
        """The account as text: paths, then weights, then why weights had no gradient."""
        return table(self.nodes, self.paths, self.weights, self.steps)

    def __str__(self) -> str:
        return self.table()

    def stop(self) -> None:
        """Lets the run go; what was counted stays readable."""
        self._after = self._after or self._counts()
        for handle in self._handles:
            handle.remove()

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def named_nodes(models: Mapping[str, nn.Module], once: bool) -> Iterator[tuple[str, Node]]:
    """The nodes of a flow by name; one that is held twice has its first name, or all of them."""
    for prefix, model in models.items():
        for name, module in model.named_modules(remove_duplicate=once):
            if isinstance(module, Node):
                yield f"{prefix}{name}", module


def watch(
    model: nn.Module | Iterable[nn.Module],
    optimizer: Optimizer | Iterable[Optimizer] | None = None,
    objective: nn.Module | None = None,
) -> Watch:
    """Watches a live run: which paths ran, on how many samples, and which weights had a gradient.

    Your own loop stays as it is. For each weight it counts the optimizer steps on which its gradient was None (no
    optimizer moves it then), zero (momentum and decay still may), or not zero; and it says why one was None.

    Args:
        model: a module, or several.
        optimizer: whose steps are counted, or several; None: of every optimizer that holds a weight of the model.
        objective: a further module whose weights are told of too.

    Returns:
        The account; `table()` is its text. With `with` it ends there, and stays readable.

    Raises:
        InputError: what is given is no module.

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
    models = [model] if isinstance(model, nn.Module) else list(model)
    models += [objective] if objective is not None else []
    for one in models:
        if not isinstance(one, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InputError("only modules are watched.", "watch(...)", type(one).__name__, "give a module, or several")
    optimizers = (optimizer,) if isinstance(optimizer, Optimizer) else tuple(optimizer or ())
    prefixes = [""] if len(models) == 1 else [f"{place}:" for place in range(len(models))]
    return Watch(dict(zip(prefixes, models, strict=True)), optimizers)


__all__ = ["Count", "Path", "Watch", "Weight", "watch"]
