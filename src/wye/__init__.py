"""wye: neural networks that change while they run.

Formulas join networks, losses and tensors; flow parts a batch so that each sample runs only what it needs; watch
tells what truly happened. Importing this package loads no framework; the first name used does.
"""

from __future__ import annotations

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "evaluate": "evaluation",
    "Formula": "formula.formula",
    **dict.fromkeys(
        (
            "WyeError",
            "FormulaError",
            "ShapeError",
            "RangeError",
            "InputError",
            "PartError",
            "FlowError",
            "NonFiniteError",
            "FileError",
            "WyeWarning",
        ),
        "errors",
    ),
    "Edges": "torch.edges",
    **dict.fromkeys(("Join", "frozen"), "torch.join"),
    "Balance": "torch.balance",
    "Objective": "torch.objective",
    "Schedule": "formula.schedule",
    "Table": "torch.table",
    **dict.fromkeys(
        ("Chain", "When", "Switch", "Repeat", "While", "RandomChoice", "EarlyExit", "Takes", "seed", "tick"),
        "torch.flow",
    ),
    **dict.fromkeys(("save", "load", "load_weights"), "torch.keep.save"),
    "register": "torch.keep.registry",
    "inspect": "keep.inspecting",
    "losses": "losses",
    "watch": "watching.attach",
    "Watch": "watching.observe",
}
__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'wye' has no attribute {name!r}")
    home = import_module(f".{_HOME[name]}", __name__)
    value = home if name == _HOME[name] else getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
