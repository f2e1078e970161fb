"""`python -m tests` sums up what several runs of pytest counted, and hides no failure among them."""

from __future__ import annotations

import re
from contextlib import nullcontext

import pytest

import tests.__main__ as runner
from tests.__main__ import Run, summed

CI = re.compile(r"(passed|failed|skipped|errors?|no tests ran).* in [0-9.]+s")  # as .ci/run looks for it


@pytest.mark.parametrize(
    ("runs", "line"),
    [
        (
            [
                Run("main", 0, "....\n5443 passed, 2 skipped in 401.20s (0:06:41)\n"),
                Run("jax", 0, "190 passed in 3.00s"),
            ],
            "5633 passed, 2 skipped in 7.50s: main 5443, jax 190",
        ),
        (
            [
                Run("main", 1, "==== 1 failed, 9 passed, 1 warning in 2.00s ====\n"),
                Run("jax", 0, "3 passed in 1.00s\n"),
            ],
            "1 failed, 12 passed, 1 warning in 7.50s: main 9, jax 3",
        ),
        (
            [Run("main", 0, "9 passed in 2.00s\n"), Run("jax", 2, "1 passed, 2 errors in 1.00s\n")],
            "10 passed, 2 errors in 7.50s: main 9, jax 1",
        ),
        ([Run("main", 0, "9 passed in 2.00s\n"), Run("jax", -9, "...")], "9 passed, 1 error in 7.50s: main 9, jax 0"),
        ([Run("main", 5, "no tests ran in 0.01s\n")], "1 error in 7.50s: main 0"),
        (
            [Run("main", 0, "a test printed: 7 passed in 1.0s, it said\n2 xfailed, 3 passed in 1.00s")],
            "3 passed, 2 xfailed in 7.50s: main 3",
        ),
    ],
)
def test_the_last_line_sums_all(runs: list[Run], line: str) -> None:
    assert summed(runs, 7.5) == line
    assert CI.search(line)


def test_what_failed_is_named() -> None:
    output = (
        "F.\n== short test summary info ==\nFAILED tests/a.py::test_b - boom\nERROR tests/c.py\n1 failed in 1.00s\n"
    )
    assert Run("jax", 1, output).troubles == ["FAILED tests/a.py::test_b - boom", "ERROR tests/c.py"]


def test_failing_runs_are_shown_last_and_fail_the_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = [
        Run("jax", 1, "F\nFAILED tests/keras/a.py::b - boom\n1 failed in 1.00s\n"),
        Run("tensorflow", 0, "1 passed in 1.00s\n"),
        Run("torch", 0, "2 passed in 1.00s\n"),
    ]
    monkeypatch.setattr(runner, "main_run", lambda arguments: Run("main", 0, "4 passed in 1.00s\n"))
    monkeypatch.setattr(runner, "backend_runs", lambda arguments: nullcontext(iter(ended)))
    assert runner.main(["-x"]) == 1
    shown = capsys.readouterr().out
    assert shown.index("1 passed") < shown.index("2 passed") < shown.index("\njax:\nF\n")
    *_, trouble, last = shown.splitlines()
    assert trouble == "jax: FAILED tests/keras/a.py::b - boom"
    assert re.fullmatch(r"1 failed, 7 passed in \d+\.\d\ds: main 4, tensorflow 1, jax 0, torch 2", last)
    ended[:] = ended[1:]
    assert runner.main([]) == 0
