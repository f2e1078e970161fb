"""Loads and runs the models of a folder: `python -m tests.keras.read_saved FOLDER`. Of wye it imports the front alone.

Beside `name.keras` lies `name.npz`, its inputs. What it gives goes to `name.BACKEND.npz`, and what it is to `.json`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

import wye.keras


def arrays(value: Any) -> list[Any]:
    return [keras.ops.convert_to_numpy(one) for one in keras.tree.flatten(value)]


def told(model: Any) -> dict[str, Any]:
    """What a model says of itself; of the optimizer it came with, how many steps it took."""
    found: dict[str, Any] = {"class": type(model).__name__, "compiled": bool(model.compiled)}
    inner = getattr(model, "objective", model)
    if isinstance(inner, wye.keras.Join):
        found |= {"formula": str(inner.formula), "inputs": list(inner.inputs), "shown": repr(inner).partition("<")[0]}
    if model.compiled:
        found["slots"] = [one.tolist() for one in arrays([v.value for v in model.optimizer.variables])]
    found["weights"] = [v.path.rpartition("/")[2] for v in model.trainable_variables]
    return found


def run(folder: Path) -> None:
    report: dict[str, Any] = {}
    for path in sorted(folder.glob("*.keras")):
        try:
            model: Any = keras.saving.load_model(path)
            with np.load(path.with_suffix(".npz")) as held:
                given = {name: keras.ops.convert_to_tensor(held[name]) for name in held.files}
            alone = list(given) == ["the_input"]
            outputs = arrays(model(given["the_input"] if alone else given))
            name = f"{path.stem}.{keras.backend.backend()}.npz"
            np.savez(folder / name, *outputs)
            report[path.stem] = told(model)
        except Exception as error:
            report[path.stem] = {"error": f"{type(error).__name__}: {error}"}
    (folder / f"{keras.backend.backend()}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    run(Path(sys.argv[1]))
