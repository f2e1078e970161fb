"""A run whose every bit is written down: losses, gradients, weights, optimizer states, generators."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

import wye

SEED = 3
SETTINGS: dict[str, dict[str, Any]] = {"every step": {"every": 1, "elements": None}, "default": {}}


def bits(value: Any) -> Any:
    """A value such that equal means equal to the bit: -0.0 is not 0.0, and a NaN is itself."""
    if isinstance(value, Tensor):
        flat = value.detach()
        flat = flat.to_dense() if flat.is_sparse else flat
        return str(value.dtype), tuple(value.shape), flat.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    if isinstance(value, dict):
        return {key: bits(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [bits(one) for one in value]
    return repr(value)


class Run:
    """One run, watched or not, and what is written down of it.

    Args:
        settings: those of the watch; None: nobody watches.
    """

    def __init__(self, settings: dict[str, Any] | None = None) -> None:
        self.settings, self.log, self.seen = settings, list[tuple[str, Any]](), list[wye.Watch]()
        torch.manual_seed(SEED)
        random.seed(SEED)
        np.random.seed(SEED)

    def watch(self, model: Any, optimizer: Any = None, objective: Any = None) -> None:
        if self.settings is not None:
            self.seen.append(wye.watch(model, optimizer, objective, **self.settings))

    def note(self, name: str, value: Any) -> None:
        self.log.append((name, bits(value)))

    def state(self, optimizers: Iterable[Optimizer]) -> None:
        """Weights, gradients and states, as they are."""
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                for place, weight in enumerate(group["params"]):
                    self.note(f"weight {place}", weight)
                    self.note(f"gradient {place}", weight.grad)
                    self.note(f"state {place}", dict(optimizer.state.get(weight, {})))

    def step(self, optimizer: Optimizer, loss: Tensor, *, to_none: bool = True) -> None:
        """A step as one writes it."""
        self.note("loss", loss)
        optimizer.zero_grad(set_to_none=to_none)
        loss.backward()
        self.state([optimizer])
        optimizer.step()
        self.state([optimizer])

    def look(self, model: nn.Module, answer: Callable[[], Any]) -> None:
        """An evaluation between steps."""
        model.eval()
        with torch.no_grad():
            self.note("eval", answer())
        with torch.inference_mode():
            self.note("inference", answer())
        model.train()
        self.note("buffers", dict(model.named_buffers()))

    def end(self) -> list[tuple[str, Any]]:
        """Everything, with the generators."""
        for one in self.seen:
            str(one), one.json()
            one.stop()
        self.note("torch", torch.get_rng_state())
        self.log.append(("python", random.getstate()))
        kind, keys, *rest = np.random.get_state()
        self.log.append(("numpy", (kind, keys.tolist(), rest)))
        return self.log


def assert_same_bits(scene: Callable[[Run], None], settings: dict[str, Any], steps: bool = True) -> list[wye.Watch]:
    """A scene goes the same way to the bit whether it is watched or not; and it was watched."""
    alone = Run()
    scene(alone)
    wanted = alone.end()
    watched = Run(settings)
    scene(watched)
    got = watched.end()
    assert [name for name, _ in got] == [name for name, _ in wanted]
    for place, ((name, mine), (_, other)) in enumerate(zip(got, wanted, strict=True)):
        assert mine == other, f"entry {place}: {name}"
    assert watched.seen
    assert len(wanted) > 3
    assert not steps or all(one.steps for one in watched.seen)
    return watched.seen


SCENES: dict[str, Callable[[Run], None]] = {}
"""Of plain torch, by name."""


def scene(one: Callable[[Run], None]) -> Callable[[Run], None]:
    SCENES[one.__name__] = one
    return one


def adam(net: nn.Module) -> Optimizer:
    return AdamW(net.parameters(), lr=0.01, weight_decay=0.05)


def momentum(net: nn.Module) -> Optimizer:
    return SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)


def deep() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))


def plainly(run: Run, net: nn.Module, x: Callable[[], Tensor], steps: int = 7) -> None:
    """Steps of AdamW on the square of what comes out, and evaluations between."""
    optimizer = adam(net)
    run.watch(net, optimizer)
    for step in range(steps):
        run.step(optimizer, net(x()).square().mean(), to_none=step % 2 == 0)
        run.look(net, lambda: net(x()))
