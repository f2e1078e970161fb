"""A file read in a fresh process gives the same model: outputs and gradients to the bit, its keys, and its bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import wye
from tests.unit.keep.kept import MODELS
from tests.unit.keep.running import run

ROOT = Path(__file__).parents[3]
EXAMPLES = {path.stem.split("_")[0] for path in (ROOT / "examples").glob("m*.py")} | {"early", "digits"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models as files, with inputs and what they gave here; what a fresh process found lies beside them."""
    place = tmp_path_factory.mktemp("kept")
    reports: dict[str, Any] = {}
    for name, make in MODELS.items():
        torch.manual_seed(7)
        model, given = make()
        wye.save(model, place / f"{name}.safetensors")
        torch.save(given, place / f"{name}.inputs.pt")
        reports[name] = {
            "keys": {key: [list(one.shape), str(one.dtype)] for key, one in model.state_dict().items()},
            "still": sorted(key for key, one in model.named_parameters() if not one.requires_grad),
            "resting": sorted(path for path, one in model.named_modules() if not one.training),
            "repr": repr(model),
        }
        torch.save(run(model, given), place / f"{name}.wanted.pt")
    (place / "wanted.json").write_text(json.dumps(reports))
    (place / "names.json").write_text(json.dumps(list(MODELS)))
    command = [sys.executable, "-W", "error", "-m", "tests.unit.keep.read_kept", str(place)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return place


@pytest.mark.parametrize("name", MODELS)
def test_the_same_in_a_fresh_process(name: str, folder: Path) -> None:
    found, wanted = (torch.load(folder / f"{name}.{which}.pt", weights_only=True) for which in ("found", "wanted"))
    assert len(found) == len(wanted) > 0
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    report = json.loads((folder / "found.json").read_text())["reports"][name]
    assert report == json.loads((folder / "wanted.json").read_text())[name]
    file, again = folder / f"{name}.safetensors", folder / f"{name}.again.safetensors"
    assert file.read_bytes() == again.read_bytes()


def test_nothing_of_the_users_was_imported(folder: Path) -> None:
    assert json.loads((folder / "found.json").read_text())["loaded"] == []


def test_every_example_is_kept() -> None:
    assert {name.split("_")[0] for name in MODELS} >= EXAMPLES
