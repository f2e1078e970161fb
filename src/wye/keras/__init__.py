"""wye on Keras: the same names, computed by `keras.ops` on TensorFlow, JAX or torch.

It needs a backend: install one, and say which by KERAS_BACKEND before Keras is first imported.
"""

from __future__ import annotations

from importlib import import_module

_HOME = {
    "evaluate": "evaluation",
    "Formula": "..formula.formula",
    "Schedule": "..formula.schedule",
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
            "WyeWarning",
        ),
        "..errors",
    ),
}
__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'wye.keras' has no attribute {name!r}")
    home = _HOME[name]
    value = getattr(import_module(home if home.startswith(".") else f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
