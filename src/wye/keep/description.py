"""`Description`: what a model is made of, as a file says it: classes by their registered names, settings, formulas."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from ..errors import FileError
from .sealed import BLANK, LONGEST, WHOLE, parsed

FORMAT = 1
KEYS = ("still", "channels_last")
"""What is said of some keys."""
PATHS = 200_000
"""So many paths lead to modules at most."""
KNOWN = ("wye.", "nn.", "keras.")
"""How the names of classes begin that are not the user's."""
DEEPEST = 100
"""So many modules stand within one another at most."""


@dataclass(frozen=True)
class Entry:
    """One module.

    Args:
        kind: the name under which its class is registered; of an opaque one the name of the class alone.
        settings: what it is built from, in words of JSON; see `plain`.
        holds: the names of the modules in it.
        opaque: whether only the caller knows how to build it.
        eval: whether it was in eval.
        state: formulas, conditions and schedules that may have been assigned since its owner built it.
    """

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    holds: tuple[str, ...] = ()
    opaque: bool = False
    eval: bool = False
    state: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"class": self.kind}
        if self.opaque:
            found["opaque"] = True
        if self.settings:
            found["settings"] = self.settings
        if self.holds:
            found["holds"] = list(self.holds)
        if self.eval:
            found["eval"] = True
        if self.state:
            found["state"] = self.state
        return found


@dataclass(frozen=True)
class Description:
    """All modules of a model by their paths; that of the model itself is empty.

    Args:
        parts: each module under its first path, those that hold others before these.
        same: further paths to modules that stand in several places, with their first ones.
        ties: further keys of tensors that are shared by several modules, with their first ones.
        still: the keys of the weights that need no gradient.
        channels_last: the keys of the weights that lie so in memory; in the file all lie alike.
    """

    parts: Mapping[str, Entry]
    same: Mapping[str, str] = field(default_factory=dict[str, str])
    ties: Mapping[str, str] = field(default_factory=dict[str, str])
    still: tuple[str, ...] = ()
    channels_last: tuple[str, ...] = ()

    def text(self) -> str:
        """For the header of a file, with a blank in the place of its seal."""
        found: dict[str, Any] = {"sha256": BLANK, "format": FORMAT}
        found["parts"] = {path: entry.as_json() for path, entry in self.parts.items()}
        found |= {name: dict(value) for name, value in (("same", self.same), ("ties", self.ties)) if value}
        found |= {name: list(value) for name in KEYS if (value := getattr(self, name))}
        return json.dumps(found, separators=(",", ":"), allow_nan=False)

    def first(self, key: str) -> str:
        """The key under which the file holds a tensor."""
        key = resolved(key, self.same)
        return self.ties.get(key, key)

    @property
    def opaque(self) -> list[str]:
        """The paths of what the caller gives back; what is within a class of the user, that class builds."""
        found: list[str] = []
        within_own: list[str] = []
        for path, entry in self.parts.items():  # each behind those around it
            own = not entry.kind.startswith(KNOWN) or entry.opaque
            if entry.opaque and not any(is_within(path, outer) for outer in within_own):
                found.append(path)
            if own:
                within_own.append(path)
        return found


def is_within(path: str, outer: str) -> bool:
    """Whether something at a path is a module, or stands in it."""
    return not outer or path == outer or path.startswith(f"{outer}.")


def resolved(key: str, same: Mapping[str, str]) -> str:
    """A key by the first path of the module that holds it."""
    names = key.split(".")
    for length in range(1, len(names)):
        path = ".".join(names[:length])
        if path in same:
            return resolved(f"{same[path]}{key[len(path) :]}", same)
    return key


def within(path: str, name: str) -> str:
    """The path of what a module holds."""
    return f"{path}.{name}" if path else name


def described(path: str, text: str) -> Description:
    """The description in a file.

    Args:
        path: of the file, for errors.
        text: of its header.

    Raises:
        FileError: it is of a later format, or makes no sense.
    """
    found = parsed(path, text)
    if found.get("format") != FORMAT:
        fix = "read it with the version of wye that wrote it, or with a later one"
        raise FileError("the file is of another format.", path, f"format {str(found.get('format'))[:40]}", fix)
    check = _Checks(path)
    check(found.keys() <= {"sha256", "format", "parts", "same", "ties", *KEYS}, "keys", list(found))
    parts = {name: _entry(check, name, entry) for name, entry in check.object(found.get("parts"), "parts").items()}
    same, ties = (check.texts(found.get(name, {}), name) for name in ("same", "ties"))
    keys = [check.names(found.get(name, []), name) for name in KEYS]
    check(all(first not in ties for first in ties.values()), "ties", list(ties))
    _check_tree(check, parts, same)
    return Description(parts, same, ties, *keys)


class _Checks:
    """Refuses what no description says, and names the file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __call__(self, sound: bool, what: str, got: object) -> None:
        if not sound:
            raise FileError(f"the description in the file makes no sense: {what}.", self.path, str(got)[:200], WHOLE)

    def object(self, value: Any, what: str) -> dict[str, Any]:
        self(isinstance(value, dict), what, value)
        return cast(dict[str, Any], value)

    def names(self, value: Any, what: str) -> tuple[str, ...]:
        self(isinstance(value, list), what, value)
        self(all(isinstance(one, str) for one in value) and len(set(value)) == len(value), what, value)
        return tuple(value)

    def texts(self, value: Any, what: str) -> dict[str, str]:
        found = self.object(value, what)
        self(all(isinstance(one, str) for one in found.values()), what, value)
        return found


def _entry(check: _Checks, name: str, entry: Any) -> Entry:
    what = f"part {name[:60]!r}"
    found = check.object(entry, what)
    check(found.keys() <= {"class", "settings", "holds", "opaque", "eval", "state"}, what, list(found))
    check(isinstance(found.get("class"), str), what, found)
    flags = [found.get(flag, False) for flag in ("opaque", "eval")]
    check(all(isinstance(flag, bool) for flag in flags), what, flags)
    check(name.count(".") < DEEPEST, what, f"{name.count('.') + 1} modules within one another")
    check(len(name) <= LONGEST, what, f"{len(name)} characters")
    settings, state = (check.object(found.get(name, {}), what) for name in ("settings", "state"))
    holds = check.names(found.get("holds", []), what)
    return Entry(found["class"], settings, holds, opaque=flags[0], eval=flags[1], state=state)


def _check_tree(check: _Checks, parts: Mapping[str, Entry], same: Mapping[str, str]) -> None:
    """Each module is held by another, which comes before it; one that stands in several places has been there."""
    told = [""]
    check(next(iter(parts), None) == "", "no model", list(parts)[:5])
    for path, entry in parts.items():
        check(all(name and "." not in name for name in entry.holds), f"part {path[:60]!r}", entry.holds)
        told += [within(path, name) for name in entry.holds]
    there = [*parts, *same]
    check(len(there) == len(set(there)) and set(told) == set(there), "parts", _odd(told, there))
    order = {path: place for place, path in enumerate(_walk(parts, same))}
    check(len(order) == len(there), "parts", "a circle")
    for path, first in same.items():
        check(len(path) <= LONGEST, "same", path)
        check(first in parts and order[first] < order[path] and not path.startswith(f"{first}."), "same", (path, first))

    check(_paths(parts, same) <= PATHS, "same", f"more than {PATHS:,} paths")


def _paths(parts: Mapping[str, Entry], same: Mapping[str, str]) -> int:
    """How many paths lead to modules: those that are shared and share again make many of few."""
    sizes: dict[str, int] = {}
    waiting = [""]
    while waiting:  # each after those in it, without recursion
        path = same.get(waiting[-1], waiting[-1])
        inner = [same.get(one, one) for one in (within(path, name) for name in parts[path].holds)]
        left = [one for one in inner if one not in sizes]
        if left:
            waiting += left
            continue
        sizes[path] = min(1 + sum(sizes[one] for one in inner), PATHS + 1)
        waiting.pop()
    return sizes[""]


def _odd(told: Iterable[str], there: Iterable[str]) -> list[str]:
    return sorted(set(told) ^ set(there))[:5]


def _walk(parts: Mapping[str, Entry], same: Mapping[str, str]) -> list[str]:
    """All paths as a model's modules are listed: each before those in it."""
    found: list[str] = []
    waiting = [""]
    while waiting:
        path = waiting.pop()
        found.append(path)
        if path not in same:
            waiting += [within(path, name) for name in reversed(parts[path].holds)]
    return found
