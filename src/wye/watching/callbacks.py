"""Callbacks: the frameworks that own the loop say when a step ends, and all that one does is to tell the watch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from torch.optim import Optimizer

from ..errors import InputError

PACKAGES = {"lightning": ("lightning.pytorch", "pytorch_lightning"), "keras": ("keras",)}


def callback(name: str, step: Callable[[], None], held: Callable[[Optimizer], Collection[Any]]) -> Any:
    """A callback for the trainer of a framework, which is imported here at the earliest.

    Neither ends the watch when a fit ends: further fits go into the same account, until the watch is stopped.

    Args:
        name: "lightning" or "keras".
        step: what the end of a step calls.
        held: the watched weights that an optimizer of torch holds.

    Raises:
        InputError: there is no such framework, or it is not installed.
    """
    if name not in PACKAGES:
        known = " or ".join(f'callback("{one}")' for one in PACKAGES)
        raise InputError("there is no callback for this framework.", "callback(...)", repr(name), known)
    framework = import_module(package(name))
    return keras_callback(framework, step) if name == "keras" else lightning_callback(framework, step, held)


def package(name: str) -> str:
    """The package of a framework: the one that is loaded, else one that is installed."""
    where, packages = f'callback("{name}")', PACKAGES[name]
    for one in packages:
        if one in sys.modules:
            return one
    for one in packages:
        if find_spec(one.partition(".")[0]) is not None:
            return one
    raise InputError(
        "the framework of this callback is not installed.", where, "nothing to import", f"pip install {name}"
    )


def lightning_callback(lightning: Any, step: Callable[[], None], held: Callable[[Optimizer], Collection[Any]]) -> Any:
    """A `lightning.pytorch.Callback`.

    Lightning's optimizers are torch's as a rule, and tell of each step themselves, with accumulation, mixed precision
    and manual optimization. What is left is a module that moves its weights otherwise: there a batch is a step, or
    where Lightning counts optimizer steps, a batch on which its count went on.
    """

    class WatchCallback(lightning.Callback):
        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            self._counted = trainer.global_step

        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            if any(isinstance(one, Optimizer) and held(one) for one in trainer.optimizers):
                return
            counted, self._counted = self._counted, trainer.global_step
            if counted != self._counted or not pl_module.automatic_optimization:
                step()

    return WatchCallback()


def keras_callback(keras: Any, step: Callable[[], None]) -> Any:
    """A `keras.callbacks.Callback`. Keras moves the weights itself, and leaves the gradients until the next batch."""
    if keras.backend.backend() != "torch":
        fix = 'set the environment variable KERAS_BACKEND to "torch" before Keras is imported'
        raise InputError("Keras is watched on torch alone.", 'callback("keras")', keras.backend.backend(), fix)

    class WatchCallback(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            step()

    return WatchCallback()


__all__ = ["callback"]
