"""Every test: `python -m tests` runs those of each backend of Keras, and all others in two processes, side by side.

Keras takes its backend once in each process, so each backend has a process of its own. Arguments go to every one of
them: `python -m tests -x`. The last line sums up what pytest counted.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.conformance.test_conformance import QUIET

ROOT = Path(__file__).parents[1]
BACKENDS = ("tensorflow", "jax", "torch")
COUNTS = re.compile(r"^(?:=+ )?((?:\d+ \w+(?:, )?)+|no tests ran) in ([\d.]+)s(?: \([\d:]+\))?(?: =+)?$", re.MULTILINE)
ORDER = ("failed", "passed", "skipped", "deselected", "xfailed", "xpassed", "warning", "error")  # pytest's own


@dataclass(frozen=True)
class Run:
    """One process of pytest that has ended.

    Attributes:
        name: `main`, or the backend.
        status: with which it ended.
        output: all that it printed.
    """

    name: str
    status: int
    output: str

    @property
    def counts(self) -> Counter[str]:
        """What pytest counted; one error more where it failed without a word of that."""
        found = [match[1] for match in COUNTS.finditer(self.output)]
        words = re.findall(r"(\d+) (\w+)", found[-1]) if found else []
        counts = Counter({word.removesuffix("s"): int(count) for count, word in words})
        if self.status and not counts["failed"] and not counts["error"]:
            counts["error"] += 1
        return counts

    @property
    def troubles(self) -> list[str]:
        """The lines of pytest's summary that name what failed."""
        return re.findall(r"^(?:FAILED|ERROR) .*$", self.output, re.MULTILINE)


def summed(runs: Sequence[Run], seconds: float) -> str:
    """One line in pytest's form: the counts of all runs, and how many passed in each."""
    counts: Counter[str] = sum((run.counts for run in runs), Counter())
    plural = {"warning": "warnings", "error": "errors"}
    words = [
        f"{counts[word]} {plural.get(word, word) if counts[word] != 1 else word}" for word in ORDER if counts[word]
    ]
    shares = ", ".join(f"{run.name} {run.counts['passed']}" for run in runs)
    return f"{', '.join(words) or 'no tests ran'} in {seconds:.2f}s: {shares}"


def started(arguments: Sequence[str], environment: Mapping[str, str], output: IO[str] | int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pytest", "-q", "--long", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT, text=True)


def main_run(arguments: Sequence[str]) -> Run:
    """All tests that need no backend of their own, shown as they run."""
    one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # of two processes: they would fight over the cores
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"} | one_thread
    process = started(["-n", "2", *arguments], environment, subprocess.PIPE)
    assert process.stdout is not None
    lines = list[str]()
    for line in process.stdout:
        lines.append(line)
        print(line, end="", flush=True)
    return Run("main", process.wait(), "".join(lines))


@contextmanager
def backend_runs(arguments: Sequence[str]) -> Iterator[Iterator[Run]]:
    """Starts the tests of each backend; gives them one by one as they end."""
    with tempfile.TemporaryDirectory() as folder:
        logs = {name: Path(folder, f"{name}.txt") for name in BACKENDS}
        running = dict[str, subprocess.Popen[str]]()
        for name, log in logs.items():
            with log.open("w") as output:  # the process has a handle of its own
                environment = {**os.environ, **QUIET, "KERAS_BACKEND": name}
                running[name] = started(["tests/keras", *arguments], environment, output)
        try:
            yield _ended(running, logs)
        finally:
            for process in running.values():
                process.terminate()
                process.wait()


def _ended(running: dict[str, subprocess.Popen[str]], logs: Mapping[str, Path]) -> Iterator[Run]:
    while running:
        ended = [name for name, process in running.items() if process.poll() is not None]
        for name in ended:
            yield Run(name, running.pop(name).returncode, logs[name].read_text(errors="replace"))
        time.sleep(0.1)


def main(arguments: Sequence[str]) -> int:
    start = time.monotonic()
    with backend_runs(arguments) as ended:
        runs = [main_run(arguments)]
        for run in ended:
            runs.append(run)
            if not run.status:
                shown(run)
    for run in runs[1:]:
        if run.status:
            shown(run)
    runs.sort(key=lambda run: ("main", *BACKENDS).index(run.name))
    troubles = [f"{run.name}: {line}" for run in runs for line in run.troubles]
    print(*troubles, summed(runs, time.monotonic() - start), sep="\n", flush=True)
    return int(any(run.status for run in runs))


def shown(run: Run) -> None:
    print(f"\n{run.name}:\n{run.output.rstrip()}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
