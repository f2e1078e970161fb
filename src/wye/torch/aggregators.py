"""The aggregators of torchjd, which is looked for where one is asked for by its name, and never needed otherwise."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from typing import Any

import torch
from torch import nn

from ..errors import BackendError, PartError


def named(name: str) -> nn.Module:
    """The aggregator of torchjd that bears the name, with its own settings."""
    try:
        torchjd = import_module("torchjd.aggregation")
    except ModuleNotFoundError as error:
        fix = 'pip install "wye[balance]", or write "sum", or give a function of the Gramian'
        raise BackendError("torchjd is not installed.", f"Balance({name!r})", "no package `torchjd`", fix) from error
    made: dict[str, Any] = {
        one: getattr(torchjd, one)
        for one in torchjd.__all__
        if issubclass(getattr(torchjd, one), torchjd.Aggregator) and not one.endswith("Aggregator")
    }
    if name not in made:
        close = [one for one in made if one.lower() == name.lower()]
        fix = f"did you mean `{close[0]}`?" if close else f"choose from sum, {', '.join(made)}"
        raise PartError("torchjd has no aggregator of that name.", f"Balance({name!r})", repr(name), fix)
    settings = inspect.signature(made[name]).parameters
    asked = [one for one, setting in settings.items() if setting.default is setting.empty]
    if asked:
        call = f"{name}({', '.join(f'{one}=...' for one in asked)})"
        what, fix = f"`{name}` needs settings.", f"give the object: Balance(torchjd.aggregation.{call})"
        raise PartError(what, f"Balance({name!r})", f"no {', '.join(asked)}", fix)
    try:
        if "projector" not in settings:
            return made[name]()
        # Its default takes gradients for zero below a length of 0.01, which those at features soon are.
        projector = import_module("torchjd.linalg").QuadprogProjector(norm_eps=torch.finfo(torch.float32).tiny)
        return made[name](projector=projector)
    except ImportError as error:
        packages = 'pip install "torchjd[quadprog-projector]"' if "projector" in settings else "see torchjd.org"
        raise BackendError(f"`{name}` needs further packages.", f"Balance({name!r})", str(error), packages) from error


def is_of(name: str, value: object) -> bool:
    """Whether the value is of a class of torchjd, which then has been imported."""
    module, _, word = name.partition(".")
    home = sys.modules.get(f"torchjd.{module}")
    return home is not None and isinstance(value, getattr(home, word))


__all__ = ["is_of", "named"]
