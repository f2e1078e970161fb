"""The page on Keras and the README's example run as they stand, on TensorFlow, in a process of their own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.test_conformance import QUIET

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "keras.md"


@pytest.mark.parametrize(("what", "count"), [pytest.param("page", 45, marks=pytest.mark.long), ("readme", 4)])
def test_the_examples_run(what: str, count: int) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.docs.keras_run", what],
        cwd=ROOT,
        env={**os.environ, **QUIET, "KERAS_BACKEND": "tensorflow"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    attempted, failed = json.loads(run.stdout.splitlines()[-1])
    assert failed == 0, run.stdout
    assert attempted >= count


def test_links_of_the_page_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", PAGE.read_text())
    assert targets
    assert [target for target in targets if not PAGE.parent.joinpath(target).exists()] == []


def test_every_example_on_keras_is_in_the_readme() -> None:
    told = set(re.findall(r"\(examples/keras/(m\d\d_\w+\.py)\)", (ROOT / "README.md").read_text()))
    assert told == {path.name for path in (ROOT / "examples" / "keras").glob("m*.py")}
