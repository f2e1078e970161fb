"""Files that mean harm are refused with a WyeError: no code of theirs runs, in under 5 s and 1 GB each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import wye
from tests.unit.keep import hostile_run
from tests.unit.keep.hostile import FILES

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder, elsewhere = tmp_path_factory.mktemp("hostile"), tmp_path_factory.mktemp("elsewhere")
    for name, make in FILES.items():
        (folder / f"{name.replace('/', '_')}.safetensors").write_bytes(make())
    command = [sys.executable, "-m", "tests.unit.keep.hostile_run", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_there_are_enough() -> None:
    assert len(FILES) >= 40


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_refused(name: str, found: dict[str, Any]) -> None:
    told = found["found"][name]
    assert told["load"].startswith("WyeError")
    assert ".safetensors" in told["load"]
    assert len(told["load"]) < 2000
    assert told["weights"].startswith("WyeError")
    assert told["inspect"].startswith("WyeError") or told["inspect"] == "read"


def test_nothing_ran(found: dict[str, Any]) -> None:
    assert found["seen"] == []
    assert found["ran"] == []


def test_a_good_file_is_read_under_the_same_eyes(found: dict[str, Any]) -> None:
    assert found["found"]["good"]["load"] == found["found"]["good"]["inspect"] == "read"


def test_the_hook_sees(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What it is there for is noticed, and no more."""
    monkeypatch.setattr(hostile_run, "watching", True)
    monkeypatch.setattr(hostile_run, "seen", [])
    for event, args in (
        ("os.system", ("touch ran",)),
        ("import", ("antigravity",)),
        ("pickle.find_class", ("os", "x")),
    ):
        hostile_run.hook(event, args)
    hostile_run.hook("open", ("a", "wb", 0))
    hostile_run.hook("open", ("a", "rb", 0))
    hostile_run.hook("exec", (compile("1", "<string>", "eval"),))
    assert len(hostile_run.seen) == 5


def test_names_of_a_file_reach_no_terminal_as_they_are(tmp_path: Path) -> None:
    from tests.unit.keep.hostile import LINEAR, WEIGHT, model

    path, name = tmp_path / "a.safetensors", "a\x1b[2Jb"
    top = {"class": "nn.Sequential", "holds": [name]}
    path.write_bytes(model({"": top, name: LINEAR}, {f"{name}.weight": WEIGHT["weight"]}))
    assert "\x1b" not in str(wye.inspect(path))
