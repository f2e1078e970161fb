"""Which path of a model reads a weight, as far as its description tells: the conditions on its way, and formulas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, cast

from ..formula.formula import Formula
from .description import KNOWN, Description, Entry, within

DECIDES = {
    "wye.When": "condition",
    "wye.While": "condition",
    "wye.Switch": "index",
    "wye.Repeat": "times",
    "wye.EarlyExit": "until",
    "wye.RandomChoice": "weights",
}
"""The setting by which each node of a flow parts its samples."""
NOBODY = "nobody:"
MOST = 20
"""So many places are told of what stands in many."""
FORMULAS = ("formula", *DECIDES.values())


def word(value: Any) -> str:
    """A setting as it was typed: of a formula its text, of a function its name."""
    if isinstance(value, Mapping):
        ((kind, told),) = cast(Mapping[str, Any], value).items()
        return f"Schedule({told!r})" if kind == "schedule" else told if isinstance(told, str) else str(told)
    return "" if value is None else str(value)


def title(entry: Entry) -> str:
    """A module by its class and what decides: `When control > 0.5`."""
    name = entry.kind.rpartition(".")[2]
    return f"{name} {word(entry.settings.get(DECIDES.get(entry.kind, '')))}".rstrip()


def parts_of(entry: Entry) -> dict[str, Any]:
    """The parts of a Join or of a node by name, as they are written."""
    told = entry.settings.get("parts") if entry.kind.startswith("wye.") else None
    return dict(told.get("dict", {})) if isinstance(told, dict) else {}  # pyright: ignore


def formulas_of(entry: Entry) -> dict[str, str]:
    """The formulas of one module: its own, what decides, named ones and schedules."""
    told = entry.settings if entry.kind.startswith("wye.") else entry.state
    own = {name: told[name] for name in told if isinstance(told.get(name), dict) and name != "parts"}
    found = {**own, **parts_of(entry)}
    kinds = ("formula", "schedule", "function")
    return {
        name: word(value)
        for name, value in found.items()
        if isinstance(value, dict) and any(kind in value for kind in kinds)
    }


def reached(entry: Entry) -> set[str] | None:
    """The names that the formulas of a Join or a node read, named ones where they are reached; None: a function may."""
    if not entry.kind.startswith("wye."):
        return None
    own: list[Any] = [entry.settings[name] for name in FORMULAS if name in entry.settings]
    waiting: list[str] = [value["formula"] for value in own if isinstance(value, dict) and "formula" in value]
    if len(waiting) < len(own) and entry.kind in ("wye.Join", "wye.Objective"):
        return None
    parts, found = parts_of(entry), set[str]()
    while waiting:
        formula = Formula(waiting.pop())
        new = {*formula.names, *formula.calls} - found
        found |= new
        waiting += [told["formula"] for name in new if isinstance(told := parts.get(name), dict) and "formula" in told]
    return found


def _holds(entry: Entry, name: str) -> bool:
    """Whether one of wye's modules has something of this name by itself, and not because it was hung there."""
    if entry.kind not in (*DECIDES, "wye.Chain", "wye.Join", "wye.Objective"):
        return True
    own = {"dice", "step", DECIDES.get(entry.kind)}
    return name in own or name in parts_of(entry) or name in entry.settings.get("stages", ())


class Reading:
    """Says of each key who reads it.

    Args:
        description: of the model.
    """

    def __init__(self, description: Description) -> None:
        self.description = description
        self.reached = {path: reached(entry) for path, entry in description.parts.items()}
        self.further: dict[str, list[str]] = {}
        for path, first in description.same.items():
            self.further.setdefault(first, []).append(path)
        self.ties: dict[str, list[str]] = {}
        for key, first in description.ties.items():
            self.ties.setdefault(first, []).append(key)

    def of(self, key: str) -> str:
        """The conditions under which a tensor is read, in order; or who reads it once for all.

        One that stands in several places is read there too.
        """
        keys = (one for name in (key, *self.ties.get(key, ())) for one in (name, *self._elsewhere(name)))
        found = dict.fromkeys(self._by(one) for one in islice(keys, MOST))
        return " | ".join([one for one in found if not one.startswith(NOBODY)] or found)

    def _elsewhere(self, key: str) -> Iterator[str]:
        """The same key by the other paths to the modules that hold it."""
        names = key.split(".")
        for length in range(1, len(names)):
            for path in self.further.get(".".join(names[:length]), ()):
                yield ".".join([path, *names[length:]])

    def _by(self, key: str) -> str:
        ways: list[str] = []
        for path, entry, name in self._way(key):
            known, decides = self.reached[path], DECIDES.get(entry.kind)
            unread = known is not None and name in parts_of(entry) and name not in known
            if unread:
                return f"{NOBODY} {self._named(path, entry)} does not read {name}"
            if not _holds(entry, name):
                return f"{NOBODY} {title(entry)} does not call {name}"
            if not entry.kind.startswith(KNOWN) or entry.opaque:
                ways.append(f"{path or 'the model'}, as {entry.kind} runs it")
            if decides is None:
                continue
            if name in entry.settings.get("stages", ()):
                ways.append(f"{within(path, name)}, by {title(entry)}")
            else:
                ways.append(f"{path or 'the model'}, to decide: {title(entry)}")
        return "; ".join(ways) or "every sample"

    def _named(self, path: str, entry: Entry) -> str:
        formula = word(entry.settings.get(DECIDES.get(entry.kind, "formula")))
        return f"{formula} of {path}" if path else formula

    def _way(self, key: str) -> Iterator[tuple[str, Entry, str]]:
        """The modules around a tensor, the outermost first, each with the name of what it holds on the way."""
        path = ""
        for name in key.split("."):
            if path not in self.description.parts:
                return
            yield path, self.description.parts[path], name
            path = within(path, name)
