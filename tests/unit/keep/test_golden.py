"""Golden files: what was saved in a past format is read for ever, and gives what it gave."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import wye
from tests.golden.write_torch import plain
from tests.unit.keep.kept import OWN, losses
from tests.unit.keep.running import run

FOLDER = Path(__file__).parents[2] / "golden"
FORMAT_1 = sorted((FOLDER / "torch_format_1").glob("*.safetensors"))


def test_there_is_one_for_each_model() -> None:
    assert {path.stem for path in FORMAT_1} >= {make.__name__ for make in OWN} | losses().keys()


@pytest.mark.parametrize("path", FORMAT_1, ids=lambda path: path.stem)
def test_a_file_of_format_1(path: Path, tmp_path: Path) -> None:
    model = wye.load(path)
    wye.save(model, tmp_path / "again.safetensors")
    with np.load(path.with_suffix(".npz")) as held:
        names = [name for name in held.files if name.startswith("given.")]
        given = {name.removeprefix("given."): torch.tensor(held[name]) for name in names}
        wanted = [held[name] for name in held.files if name.startswith("found.")]
        assert list(model.state_dict()) == list(held["keys"])
    found = [plain(one) for one in run(model, given)]
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_the_format_is_written_down(tmp_path: Path) -> None:
    """A change of what stands in a header shows here; one that old readers cannot read needs a new format."""
    wye.save(wye.Chain("2 * x"), tmp_path / "a.safetensors")
    data = (tmp_path / "a.safetensors").read_bytes()
    header = json.loads(data[8:])
    told = json.loads(header.pop("__metadata__")["wye"])
    assert header == {}
    assert list(told) == ["sha256", "format", "parts"]
    assert told["format"] == 1
    assert told["parts"] == {
        "": {"class": "wye.Chain", "settings": {"stages": ["0"], "wants": []}, "holds": ["0"]},
        "0": {"class": "wye.Join", "settings": {"formula": {"formula": "2 * x"}, "inputs": ["x"]}},
    }
