"""What the contrastive losses do on one backend of Keras: `KERAS_BACKEND=jax python -m tests.unit.keras.tiles_run`.

It prints, as JSON, how far values and gradients are from NumPy and from the plain form: written out, in stripes, and in
stripes of a captured graph; and what a second derivative of stripes says.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

import wye
import wye.keras.losses as losses
from tests.unit.keras.losses_run import captured, slopes
from wye.errors import FormulaError, RangeError
from wye.keras.tiles import stripes

DRAW = np.random.default_rng(0)
A, B, KEY = (DRAW.normal(size=(count, 5)).astype("float32") for count in (7, 7, 11))
LABEL, KEY_LABEL = np.array([0, 1, 0, 2, 1, 3, 3]), np.array([0, 1, 2, 5, 5, 1, 1, 0, 9, 9, 3])
SOFT, SQUARE = DRAW.random((7, 11)).astype("float32"), DRAW.random((7, 7)).astype("float32")
CASES: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "info_nce": ("info_nce", KEY, {}),
    "info_nce by label": ("info_nce", KEY, {"label": LABEL, "key_label": KEY_LABEL}),
    "info_nce soft": ("info_nce", KEY, {"target": SOFT}),
    "clip_loss": ("clip_loss", B, {}),
    "clip_loss by label": ("clip_loss", B, {"label": LABEL}),
    "clip_loss soft": ("clip_loss", B, {"target": SQUARE}),
    "siglip_loss": ("siglip_loss", B, {"bias": -1.5}),
    "siglip_loss by label": ("siglip_loss", B, {"bias": -1.5, "label": LABEL}),
    "nt_xent": ("nt_xent", B, {}),
    "sup_con": ("sup_con", LABEL, {}),
}


def of_case(name: str, other: Any, more: dict[str, Any], temperature: float) -> dict[str, Any]:
    function, oracle = getattr(losses, name), getattr(wye.losses, name)
    wanted = float(oracle(A, other, temperature=temperature, **more))
    tensors = {
        key: ops.convert_to_tensor(value) if isinstance(value, np.ndarray) else value for key, value in more.items()
    }

    def step(a: Any, b: Any, _: Any) -> Any:
        second = ops.convert_to_tensor(LABEL) if name == "sup_con" else b
        return function(a, second, temperature=temperature, **tensors) + 0 * ops.sum(b)

    a, b = ops.convert_to_tensor(A), ops.convert_to_tensor(other.astype("float32"))
    found: dict[str, Any] = {"value": [], "slopes": []}
    first: list[Any] = []
    for few, ways in ((stripes.FEW, {"eager": lambda step: step}), (0, {"eager": lambda step: step, **captured()})):
        kept, stripes.FEW, stripes.HIGH = stripes.FEW, few, 3
        for make in ways.values():
            way: Callable[..., Any] = make(step)
            found["value"].append(abs(float(way(a, b, None)) - wanted) / (1 + abs(wanted)))
            own = [np.asarray(one.detach() if hasattr(one, "detach") else one) for one in slopes(way, a, b, None)]
            first = first or own
            found["slopes"].append(
                max(float(np.abs(x - y).max()) / (1 + float(np.abs(y).max())) for x, y in zip(own, first, strict=True))
            )
        stripes.FEW = kept
    return found


def not_above_zero() -> dict[str, Any]:
    """What is said of a temperature of 0 or less in eager, and what its loss is in a graph."""
    a, b = ops.convert_to_tensor(A), ops.convert_to_tensor(B)

    def step(a: Any, b: Any, temperature: Any) -> Any:
        return losses.clip_loss(a, b, temperature)

    told: list[str] = []
    for wrong in (0.0, -0.5, ops.convert_to_tensor(-0.5), keras.Variable(-0.5)):
        try:
            step(a, b, wrong)
        except RangeError as error:
            told.append(str(error).splitlines()[0])
    wrong = ops.convert_to_tensor(-0.5)
    return {"told": told, "nan": [bool(np.isnan(float(make(step)(a, b, wrong)))) for make in captured().values()]}


def second_derivative() -> str:
    """What is said, on backends with stripes."""
    if keras.backend.backend() != "jax":
        return ""
    import jax

    stripes.FEW = 0
    try:
        jax.grad(lambda a: ops.sum(jax.grad(lambda a: losses.clip_loss(a, ops.convert_to_tensor(B), 0.5))(a) ** 2))(
            ops.convert_to_tensor(A)
        )
    except FormulaError as error:
        return str(error)
    return "nothing"


if __name__ == "__main__":
    found = {f"{case} at {t}": of_case(*what, t) for case, what in CASES.items() for t in (0.3, 0.01)}
    symbols = [keras.Input((5,)), keras.Input((5,))]
    model = keras.Model(symbols, losses.clip_loss(*symbols, 0.5))
    expected = float(wye.losses.clip_loss(A, B, 0.5))
    report = {"cases": found, "model": abs(float(model([A, B])) - expected), "second": second_derivative()}
    report["below"] = not_above_zero()
    json.dump(report, sys.stdout)
