"""The values of keywords: constants, of the kind that each keyword takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import FormulaError
from .functions import DTYPES, Function, Option
from .tree import Negative, Node, Number, Several, Text, Truth

Refused = Callable[[str, str], FormulaError]
"""The error to raise, from what is wrong and the cure."""

WORDS: dict[str, tuple[Option, ...]] = {
    "reduction": ("mean", "sum", "none"),
    "dtype": DTYPES,
    **dict.fromkeys(("keepdims", "full", "log_input", "swap"), (True, False)),
    "normalize": (True, False),
    "multiply": ("bfloat16",),
}


def constant(function: Function, keyword: str, node: Node, refused: Refused) -> Option:
    """The value of a keyword: a number, a word, a truth value, or several numbers."""
    holds, wanted, example = kind_of(function, keyword)
    try:
        found = _read(node)
    except TypeError:
        raise refused(f"takes a constant for `{keyword}`.", f"write {keyword}={example}") from None
    words = WORDS.get(keyword, ())
    if keyword == "reduction" and "edges" in function.values:
        words = ("sum", "mean")
    if words and not any(found is one or (isinstance(one, str) and found == one) for one in words):
        choices = " or ".join(map(repr, words))
        raise refused(f"takes {choices} for `{keyword}`.", f"write {keyword}={words[0]!r}")
    if not holds(found):
        raise refused(f"takes {wanted} for `{keyword}`.", f"write {keyword}={example}")
    return found


def kind_of(function: Function, keyword: str) -> Kind:
    """What the value of a keyword of a function must be."""
    of_any = KINDS.get(keyword, (_anything, "", repr(function.options[keyword])))
    return KINDS.get(f"{function.name} {keyword}", of_any)


def _read(node: Node) -> Option:
    match node:
        case Text(value) | Truth(value):
            return value
        case Several(items):
            return tuple(map(_number, items))
        case _:
            return _number(node)


def _number(node: Node) -> float:
    match node:
        case Number(value):
            return value
        case Negative(Number(value)):
            return -value
        case _:
            raise TypeError


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _anything(value: Any) -> bool:
    return True


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31


def _part_of_one(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _not_negative(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _counts(value: Any) -> bool:
    return _whole(value) and value > 0


def _two_weights(value: Any) -> bool:
    match value:
        case (int() | float() as first, int() | float() as second):
            return first >= 0 and second >= 0
        case _:
            return False


Kind = tuple[Callable[[Any], bool], str, str]
"""Whether a value is of it, what it is in words, and one such value as it is written."""

KINDS: dict[str, Kind] = {
    "axis": (_whole, "a whole number", "1"),
    "ignore_index": (_whole, "a whole number", "1"),
    "label_smoothing": (_part_of_one, "a number from 0 to 1", "0.1"),
    "margin": (_is_number, "a number", "0.1"),
    "push": (_is_number, "a number", "0.1"),
    "q": (_part_of_one, "a number from 0 to 1", "0.5"),
    "dims": (_counts, "a whole number above 0", "2"),
    "delta": (_positive, "a number above 0", "1.0"),
    "eps": (_positive, "a number above 0", "1e-6"),
    **dict.fromkeys(("alpha", "beta", "gamma", "smooth"), (_not_negative, "a number that is not negative", "1")),
    "focal alpha": (_part_of_one, "a number from 0 to 1", "0.25"),
    "label_weights": (_two_weights, "two numbers that are not negative", "(0.7, 0.3)"),
}
"""What the value of a keyword must be, of any function or of the one named before it."""
