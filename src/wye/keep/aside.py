"""Files written aside: the old one stays whole until the new one is, and what a killed process left is swept away."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

LEFT = ".saving"
"""How the folders end in which files are written; each is locked for as long as its process lives."""


@contextmanager
def written_aside(path: str | os.PathLike[str]) -> Generator[Path, None, None]:
    """Gives a place to write to; what was written there then takes the place of `path`, at once and whole.

    The file is synced before it is renamed, and its folder after. An error, or the end of the process, leaves the old
    file as it was. A link is followed; the rights of the old file are kept.

    Args:
        path: of the file that is to be there in the end.

    Raises:
        OSError: the folder is not there, is not to be written in, or is full.
    """
    target = Path(os.path.realpath(os.fsdecode(path)))
    if target.exists() and not target.is_file():
        fault = errno.EISDIR if target.is_dir() else errno.EINVAL
        raise OSError(fault, f"{os.strerror(fault)}: only a file is replaced by another", os.fspath(target))
    sweep(target)
    folder, handle = _claimed(target)
    try:
        aside = folder / target.name
        rights = _rights(target, aside)
        yield aside
        aside.chmod(rights)
        _sync(aside)
        aside.replace(target)
        if sys.platform != "win32":
            _sync(target.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def sweep(target: Path) -> None:
    """Removes what processes that were killed had begun to write in the place of `target`."""
    begin = _prefix(target)
    with os.scandir(target.parent) as entries:
        left = [Path(entry) for entry in entries if entry.name.startswith(begin) and entry.name.endswith(LEFT)]
    for folder in left:
        handle = _opened(folder)
        if handle is None:
            continue
        try:
            if _locked(handle, wait=False):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(handle)


def _prefix(target: Path) -> str:
    return f".{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]}."


def _claimed(target: Path) -> tuple[Path, int | None]:
    """A folder of one's own beside the target, locked, and what holds the lock."""
    while True:
        folder = Path(tempfile.mkdtemp(LEFT, _prefix(target), target.parent))
        handle = _opened(folder)
        if handle is not None:
            _locked(handle, wait=True)
        if folder.exists():  # one that sweeps may have come before the lock
            return folder, handle
        if handle is not None:
            os.close(handle)


def _opened(folder: Path) -> int | None:
    """A handle of a folder, for its lock; None where there are none, or the folder is gone."""
    if sys.platform == "win32":
        return None
    with suppress(OSError):
        return os.open(folder, os.O_RDONLY)
    return None


def _locked(handle: int, wait: bool) -> bool:
    """Whether this process holds the lock now; where a file system has none, nobody does."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _sync(path: Path) -> None:
    """Waits until a file, or what a folder lists, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that has no sync of folders
            raise
    finally:
        os.close(handle)


def _rights(target: Path, aside: Path) -> int:
    """Those of the old file, else those that a new file has here."""
    if target.exists():
        return stat.S_IMODE(target.stat().st_mode)
    aside.touch()
    rights = stat.S_IMODE(aside.stat().st_mode)
    aside.unlink()
    return rights
