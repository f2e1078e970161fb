"""Errors in four parts: what is wrong, where in the user's own text, what was got, and the cure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

WIDTH = 100


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of a text: the characters from `start` up to, not including, `end`."""

    text: str
    start: int
    end: int

    def __str__(self) -> str:
        """The line that holds the stretch, and carets beneath it; a long line is cut around the carets."""
        first = self.text.rfind("\n", 0, self.start) + 1
        last = self.text.find("\n", first)
        line = self.text[first : len(self.text) if last < 0 else last]
        start, end = self.start - first, min(self.end - first, len(line))
        if len(line) > WIDTH:
            cut = max(0, min(start - WIDTH // 2, len(line) - WIDTH))
            line = ("..." if cut else "") + line[cut : cut + WIDTH] + ("..." if cut + WIDTH < len(line) else "")
            shift = cut - (3 if cut else 0)
            start, end = start - shift, min(end - shift, len(line))
        carets = " " * start + "^" * max(1, end - start)
        return f"  in:  {line}\n       {carets}"


class WyeError(Exception):
    """What is wrong; where (a `Place`, or a plain name); what was got; the cure, ready to paste."""

    _keras_call_info_injected = True  # Keras would put words of its own around those of an error without this mark

    def __init__(self, what: str, where: Place | str = "", got: str = "", fix: str = "") -> None:
        super().__init__(what, where, got, fix)
        self.what, self.where, self.got, self.fix = what, where, got, fix

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            shown = self.where if isinstance(self.where, Place) else "  in:  " + self.where.replace("\n", "\n       ")
            lines.append(str(shown))
        lines += [f"  {part}: {text}" for part, text in (("got", self.got), ("fix", self.fix)) if text]
        return "\n".join(lines)


class FormulaError(WyeError, ValueError):
    """A text that is no formula, or a formula that does not fit its values."""


class ShapeError(FormulaError):
    """Values whose shapes or axes do not meet."""


class RangeError(FormulaError):
    """An index outside of the axis it picks from."""


class InputError(WyeError, TypeError):
    """Values given to a call that are missing, unknown, doubled or of the wrong kind."""


class PartError(WyeError, TypeError):
    """A part, a name or a setting that a module cannot be built from."""


class FlowError(WyeError, RuntimeError):
    """Samples that cannot be parted as asked."""


class NonFiniteError(WyeError, ArithmeticError):
    """A loss that is infinite or not a number."""


class FileError(WyeError, ValueError):
    """A file that holds no model of wye, is damaged, or does not fit what it is read into."""

    def __str__(self) -> str:
        return printable(super().__str__())


class BackendError(WyeError, ImportError):
    """A framework, or its backend, that is not installed or not chosen."""


class WyeWarning(UserWarning):
    """Something that runs, yet is hardly what was meant."""


def printable(text: str) -> str:
    """A text of which no part reaches a terminal as a command; lines stay lines."""
    lines = text.split("\n")
    return "\n".join(line if line.isprintable() else line.encode("unicode_escape").decode("ascii") for line in lines)


def listed(names: Iterable[str]) -> str:
    """The names in a row, or `none`."""
    return ", ".join(names) or "none"


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """A cure that names the closest known word, else `otherwise`."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else otherwise


class KernelError(Exception):
    """Raised by a kernel that knows what is wrong, but not where; the caller adds the place."""

    def __init__(self, what: str, got: str = "", fix: str = "", kind: type[FormulaError] = ShapeError) -> None:
        super().__init__(what, got, fix, kind)
        self.what, self.got, self.fix, self.kind = what, got, fix, kind
