"""`save` and `load`: a model in one file of Keras, which holds formulas and weights, and no code."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras


def save(model: keras.Model, path: str | PathLike[str]) -> None:
    """Writes a model as a `.keras` file: its formulas, layers and settings as text, and its weights.

    It is `model.save(path)`, written aside and then put in its place: what fails leaves an old file whole. A layer that
    stands in several places is written once. A callable is refused, by name: nothing that is loaded may run code.

    Args:
        model: of wye, or any of Keras that holds some.
        path: ends with `.keras`.

    Raises:
        PartError: a part is a callable.
        ValueError: the path ends otherwise.

    Example:
        >>> import keras, tempfile, wye.keras as wye
        >>> join = wye.Join("a(x) * gain", a=keras.layers.Dense(2), gain=0.5)
        >>> x = keras.ops.ones((1, 3))
        >>> y = join(x)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     wye.save(join, f"{folder}/join.keras")
        ...     again = wye.load(f"{folder}/join.keras")
        >>> bool(keras.ops.all(again(x) == y)), str(again.formula)
        (True, 'a(x) * gain')
    """
    name = os.fspath(path)
    if not name.endswith(".keras") or "://" in name:
        model.save(name)
        return
    place = Path(name)
    with TemporaryDirectory(dir=place.parent, prefix=".wye-") as folder:
        aside = Path(folder, place.name)
        model.save(aside)
        aside.replace(place)


def load(path: str | PathLike[str]) -> Any:
    """Reads a model that `save` wrote, in Keras's safe mode: nothing in the file runs.

    Args:
        path: of the file.

    Raises:
        ValueError: there is no such file, or it is none of Keras.
    """
    return keras.saving.load_model(path, safe_mode=True)
