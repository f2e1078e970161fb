"""Code run in a process of its own: as a user's, with nothing imported before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def ran(code: str, *arguments: str, backend: str | None = None, path: Path | None = None) -> tuple[int, str, str]:
    """The status, the output and the errors of a process.

    Args:
        code: what it runs.
        arguments: what it finds in `sys.argv`.
        backend: for KERAS_BACKEND; None: that of this process; empty: none.
        path: a folder in which it looks for modules first.
    """
    environment = dict(os.environ)
    if backend is not None:
        environment["KERAS_BACKEND"] = backend
    if not environment.get("KERAS_BACKEND"):
        environment.pop("KERAS_BACKEND", None)
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    command = [sys.executable, "-W", "error::UserWarning:wye", "-c", code, *arguments]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout, run.stderr


def answered(code: str, *arguments: str, backend: str | None = None) -> Any:
    """What it prints last, read as JSON."""
    status, output, errors = ran(code, *arguments, backend=backend)
    assert status == 0, errors
    return json.loads(output.splitlines()[-1])
