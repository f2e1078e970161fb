"""How the benchmarks measure: interleaved medians of process CPU time.

Time is `time.process_time` on one thread: what the process computed, not how long it waited for a shared core. All
candidates take turns in every round, each round in another order, and a ratio is the median over the rounds of the
ratio within one round, so that a machine that slows down slows both. The garbage collector runs before a round and
rests during it.
"""

from __future__ import annotations

import gc
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

Run = Callable[[], object]


@dataclass
class Samples:
    """Seconds per call of each candidate, one entry a round."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def ratio(self, name: str, peer: str, off: str = "", peer_off: str = "") -> float:
        """The median over the rounds of the ratio within a round.

        Args:
            name: the candidate.
            peer: what it is compared with.
            off: a candidate whose time is taken off both; with `peer_off` the peer has one of its own.
            peer_off: what is taken off the peer.
        """
        nothing = [0.0] * len(self.seconds[name])
        ours_off = self.seconds.get(off, nothing)
        columns = zip(
            self.seconds[name], ours_off, self.seconds[peer], self.seconds.get(peer_off, ours_off), strict=True
        )
        return statistics.median((ours - less) / (theirs - other) for ours, less, theirs, other in columns)

    def fastest(self, names: Sequence[str]) -> str:
        return min(names, key=self.median)


def interleaved(runs: Mapping[str, Run], *, seconds: float = 2.0, rounds: int = 40, least: float = 5e-4) -> Samples:
    """Times candidates in turns.

    Args:
        runs: the candidates.
        seconds: about how long all of it may take.
        rounds: the most rounds; fewer where a call is long, but never under 9, of seconds each 5.
        least: how long a turn lasts at least; short calls are repeated to fill it.
    """
    names = list(runs)
    cost = {name: _warm(runs[name]) for name in names}
    repeats = {name: max(1, round(least / cost[name])) for name in names}
    round_cost = sum(cost[name] * repeats[name] for name in names)
    samples = Samples({name: [] for name in names})
    fewest = 9 if max(cost.values()) < 1 else 5
    for turn in range(max(fewest, min(rounds, int(seconds / round_cost)))):
        gc.collect(0)
        gc.disable()
        try:
            shift = turn % len(names)
            order = names[shift:] + names[:shift]
            for name in order if turn % 2 else reversed(order):
                samples.seconds[name].append(_timed(runs[name], repeats[name]))
        finally:
            gc.enable()
    return samples


def _warm(run: Run) -> float:
    """Seconds a call takes once warm; one of over a second is warm after the first."""
    run()
    second = _timed(run, 1)
    if second > 1:
        return second
    run()
    return max(min(_timed(run, 1) for _ in range(3)), 1e-7)


def _timed(run: Run, repeats: int) -> float:
    turns = range(repeats)
    start = time.process_time()
    for _ in turns:
        run()
    return (time.process_time() - start) / repeats


def versions(*packages: str) -> str:
    """What is measured with; of packages that are not installed nothing."""
    found: list[str] = []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join([*found, f"Python {platform.python_version()}, 1 thread, {platform.machine()}"])
