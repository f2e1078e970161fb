"""Files are written aside: what fails, or is killed, leaves the old file whole, and what it left is swept away."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from io import FileIO
from pathlib import Path

import pytest
import torch
from torch import nn

import wye
from wye.keep import aside, sealed

ROOT = Path(__file__).parents[3]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def saved(path: Path, width: int = 4) -> bytes:
    wye.save(nn.Linear(width, width), path)
    return path.read_bytes()


def test_what_cannot_be_saved_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    old = saved(path)
    with pytest.raises(wye.PartError):
        wye.save(wye.Join(lambda x: x), path)
    assert path.read_bytes() == old
    assert names(tmp_path) == ["a.safetensors"]


@pytest.mark.parametrize("after", [0, 1, 2])
def test_an_error_on_the_way_leaves_the_old_file_whole(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.safetensors"
    old = saved(path)

    def fails(file: FileIO, data: memoryview) -> None:
        if len(puts) == after:
            raise OSError(28, "No space left on device")
        puts.append(file.write(data))

    puts: list[int] = []
    monkeypatch.setattr(sealed, "_put", fails)
    with pytest.raises(OSError, match="No space left"):
        wye.save(nn.Linear(2, 2), path)
    assert len(puts) == after
    assert path.read_bytes() == old
    assert names(tmp_path) == ["a.safetensors"]


def test_a_file_is_synced_before_it_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    plain_sync, plain_replace = os.fsync, Path.replace

    def sync(handle: int) -> None:
        events.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        plain_sync(handle)

    def replace(self: Path, target: Path) -> Path:
        events.append("replace")
        return plain_replace(self, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replace)
    saved(tmp_path / "a.safetensors")
    assert events == ["file", "replace", "folder"]


def test_a_link_is_followed_and_rights_are_kept(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "a.safetensors", tmp_path / "link.safetensors"
    saved(target)
    target.chmod(0o640)
    link.symlink_to(target)
    new = saved(link, 5)
    assert link.is_symlink()
    assert target.read_bytes() == new
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert names(tmp_path / "there") == ["a.safetensors"]


def test_a_new_file_has_the_rights_of_any(tmp_path: Path) -> None:
    saved(tmp_path / "a.safetensors")
    (tmp_path / "other").touch()
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    left, others = (tmp_path / f"{aside._prefix(tmp_path / f'{name}.safetensors')}x1.saving" for name in "ab")
    for folder in (left, others):
        folder.mkdir()
        (folder / "a.safetensors").write_bytes(b"half")
    saved(tmp_path / "a.safetensors")
    assert names(tmp_path) == [others.name, "a.safetensors"]


def test_what_another_process_writes_is_left_alone(tmp_path: Path) -> None:
    """Its folder is locked for as long as it lives, and swept when it was killed."""
    code = (
        "import sys, time; from wye.keep.aside import written_aside\n"
        "with written_aside(sys.argv[1]) as aside:\n"
        "    aside.write_bytes(b'half'); print('begun', flush=True); time.sleep(60)"
    )
    path = tmp_path / "a.safetensors"
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "begun\n"
        saved(path)
        assert len(names(tmp_path)) == 2
        other.kill()
        other.wait()
    saved(path)
    assert names(tmp_path) == ["a.safetensors"]


def test_a_folder_that_is_swept_before_it_is_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, swept = aside._locked, []

    def locked(handle: int, wait: bool) -> bool:
        if wait and not swept:
            swept.extend(tmp_path.glob(".*.saving"))
            swept[0].rmdir()
        return plain(handle, wait)

    monkeypatch.setattr(aside, "_locked", locked)
    saved(tmp_path / "a.safetensors")
    assert swept
    assert names(tmp_path) == ["a.safetensors"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        wye.save(nn.Linear(2, 2), tmp_path / "nowhere" / "a.safetensors")
    with pytest.raises(FileNotFoundError):
        wye.load(tmp_path / "a.safetensors")


@pytest.mark.long
def test_a_process_killed_while_it_saves_loses_nothing(tmp_path: Path) -> None:
    """At 60 seeded moments; `killed_run.py` says what the file holds after each, and what was left beside it."""
    command = [sys.executable, "-m", "tests.unit.keep.killed_run", str(tmp_path), "60"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found["held"]) == 60
    assert set(found["held"]) == {"old", "new"}
    assert found["left"] > 10  # it was killed in the midst of writing, not between two files
    assert found["swept"] == ["a.safetensors"]
    assert isinstance(wye.load(tmp_path / "a.safetensors"), nn.Linear)


def test_threads_that_save_to_one_path(tmp_path: Path) -> None:
    """The last one wins, whole."""
    from concurrent.futures import ThreadPoolExecutor

    models = [nn.Linear(8, 8) for _ in range(8)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda model: wye.save(model, tmp_path / "a.safetensors"), models))
    again = wye.load(tmp_path / "a.safetensors")
    assert any(torch.equal(again.weight, model.weight) for model in models)
    assert names(tmp_path) == ["a.safetensors"]
