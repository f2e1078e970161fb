"""Writes the golden files of a format of the second front that are not there yet, on TensorFlow.

`python -m tests.golden.write_keras 1`. A file that is there is never written again, and none of an old format: there is
nobody left who could.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

import wye.keras as wye
from tests.keras.kept import MODELS
from tests.keras.read_saved import arrays
from tests.keras.test_flow_saved import GIVEN, NETS

FOLDER = Path(__file__).parent


def main(format: int) -> None:
    folder = FOLDER / f"keras_format_{format}"
    folder.mkdir(exist_ok=True)
    for name, make in MODELS.items():
        keras.utils.set_random_seed(23)
        model, given = make()
        tensors = {key: keras.ops.convert_to_tensor(value) for key, value in given.items()}
        write(model, given, model(tensors.get("the_input", tensors)), folder / name)
    for name, net in NETS.items():
        keras.utils.set_random_seed(23)
        model = net()
        model({key: keras.ops.convert_to_tensor(value) for key, value in GIVEN.items()})
        given = {key: GIVEN[key] for key in ("x", *sorted(model.wants))}
        write(model, given, model(given), folder / name.replace(", ", "_").replace(" ", "_"))


def write(model: keras.Model, given: dict[str, np.ndarray], value: object, path: Path) -> None:
    if path.with_suffix(".npz").exists():
        return
    wye.save(model, path.with_suffix(".keras"))
    found = {f"found.{place}": one for place, one in enumerate(arrays(value))}
    np.savez_compressed(path.with_suffix(".npz"), **{f"given.{key}": one for key, one in given.items()}, **found)


if __name__ == "__main__":
    main(int(sys.argv[1]))
