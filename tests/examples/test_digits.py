"""The script of `make run`: it learns, every path runs, and it ends in the table."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
def test_make_run_learns_the_digits_and_ends_in_the_table() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / "digits.py")],
        capture_output=True,
        text=True,
        check=True,
    )
    accuracy = re.search(r"held-out accuracy ([\d.]+)", done.stdout)
    assert accuracy is not None
    assert float(accuracy[1]) >= 0.95
    table = done.stdout[done.stdout.index("path ") :]
    rows = {line.split("  ")[1]: line.split()[-2:] for line in table.splitlines() if line.startswith("  ")}
    assert {"then", "passed", "times 0", "times 1", "times 2", "times 3"} <= rows.keys()
    assert all(int(samples) > 0 for samples, _ in (rows[path] for path in ("then", "passed")))
    shown = re.search(r"From `make run`:\n\n```\n(.*?\n)```", (ROOT / "README.md").read_text())
    assert shown is not None
    assert shown[1] in done.stdout
    assert done.stdout.endswith("Repeat die(0, 3) ran no round of it\n")
