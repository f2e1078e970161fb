"""Law of Watch: what it tells of a random run of a dynamic net is what truly happened; nothing missing or invented."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.laws.watch_nets import Course
from tests.laws.watch_oracle import Told

SHORT, LONG = 60, 500


def differences(course: Course, seen: Any) -> list[str]:
    """All that the watch tells otherwise than the oracle."""
    found = [*paths(course, seen), *modules(course, seen), *ways(course, seen)]
    for name, told in course.told.items():
        found += [f"{name}: {line}" for line in weight(told, seen.weights[name])]
    steps = max(stepper.steps for stepper in course.steppers)
    if (seen.steps, seen.skipped) != (steps, 0):
        found.append(f"steps: {seen.steps}, {seen.skipped}, not {steps}, 0")
    if seen.weights.keys() != course.told.keys():
        found.append(f"weights: {sorted(seen.weights.keys() ^ course.told.keys())}")
    return found


def paths(course: Course, seen: Any) -> list[str]:
    told = {name: (path.calls, path.samples) for name, path in seen.paths.items() if path.calls or path.samples}
    true = {name: (calls, course.record.samples[name]) for name, calls in course.record.calls.items()}
    return unequal("path", told, true)


def modules(course: Course, seen: Any) -> list[str]:
    """Runs on an empty batch are runs as well: where there was one, samples alone are compared."""
    if course.empty:
        rows = {name: path.samples for name, path in seen.modules.items() if path.samples}
        return unequal("module", rows, dict(course.record.rows))
    told = {name: (path.calls, path.samples) for name, path in seen.modules.items() if path.calls or path.samples}
    true = {name: (calls, course.record.rows[name]) for name, calls in course.record.ran.items()}
    return unequal("module", told, true)


def ways(course: Course, seen: Any) -> list[str]:
    told = {way: (path.calls, path.samples) for way, path in seen.ways.items()}
    if course.empty:
        total = sum(samples for _, samples in told.values()), sum(course.rows.values())
        return [] if total[0] == total[1] else [f"ways: {total[0]} samples, not {total[1]}"]
    return unequal("way", told, {way: (calls, course.rows[way]) for way, calls in course.ways.items()})


def unequal(what: str, told: dict[Any, Any], true: dict[Any, Any]) -> list[str]:
    names = [name for name in {**told, **true} if told.get(name) != true.get(name)]
    return [f"{what} {name}: {told.get(name)}, not {true.get(name)}" for name in names]


def close(one: float, other: float, scale: float) -> bool:
    return abs(one - other) <= 1e-9 * scale


def weight(told: Told, seen: Any) -> list[str]:
    """What differs in the account of one weight."""
    names = ("none", "zero", "nonzero", "moved_without", "reasons", "zero_reasons")
    found = [
        f"{name}: {getattr(seen, name)}, not {getattr(told, name)}"
        for name in names
        if getattr(seen, name) != getattr(told, name)
    ]
    if (seen.steps, seen.exact) != (told.steps, True):
        found.append(f"steps {seen.steps}, exact {seen.exact}")
    sums = [sum(part[i] for part in told.parts.values()) for i in range(3)]
    scale = told.moved + sum(sums)
    true = {"moved": told.moved, **dict(zip(("by_gradient", "by_momentum", "by_decay"), sums, strict=True))}
    found += [
        f"{name}: {getattr(seen, name)}, not {value}"
        for name, value in true.items()
        if not close(getattr(seen, name), value, scale)
    ]
    entries = list(seen.movement)
    if [step for step, _ in entries] != list(told.parts):
        found.append(f"movement: steps {[step for step, _ in entries]}, not {list(told.parts)}")
    for step, parts in entries:
        other = told.parts.get(step, (0.0, 0.0, 0.0))
        if not all(close(one, two, sum(other)) for one, two in zip(parts, other, strict=True)):
            found.append(f"movement at {step}: {parts}, not {other}")
    if Counter(seen.reasons).total() != seen.none or Counter(seen.zero_reasons).total() != seen.zero:
        found.append("a step without a reason")
    return found


def check(seed: int) -> None:
    course = Course(seed)
    found = differences(course, course.watched())
    assert not found, f"seed {seed}:\n" + "\n".join(found)


@pytest.mark.parametrize("seed", range(SHORT))
def test_the_account_of_a_random_net_is_the_truth(seed: int) -> None:
    check(seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SHORT, LONG))
def test_the_account_of_five_hundred_random_nets_is_the_truth(seed: int) -> None:
    check(seed)
