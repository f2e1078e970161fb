"""Golden files: what was saved in a past format on TensorFlow is read for ever, on each backend, with what it gave."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

import wye.keras as wye
from tests.keras.kept import MODELS
from tests.keras.read_saved import arrays
from tests.keras.test_flow_saved import NETS

FORMAT_1 = sorted((Path(__file__).parents[1] / "golden" / "keras_format_1").glob("*.keras"))


def test_there_is_one_for_each_model() -> None:
    assert len(FORMAT_1) >= len(MODELS) + len(NETS) - 2


@pytest.mark.parametrize("path", FORMAT_1, ids=lambda path: path.stem)
def test_a_file_of_format_1(path: Path) -> None:
    model = wye.load(path)
    with np.load(path.with_suffix(".npz")) as held:
        names = [name for name in held.files if name.startswith("given.")]
        given = {name.removeprefix("given."): keras.ops.convert_to_tensor(held[name]) for name in names}
        wanted = [held[name] for name in held.files if name.startswith("found.")]
    found = arrays(model(given.get("the_input", given)))
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
