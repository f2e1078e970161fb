"""The cure for shapes that do not meet: the same text with its axes named."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..shapes import Shape
from ..tree import Brackets, Call, Name, Node, Span

LETTERS = "b k i j t h w d c n m p q r s u v y z".split()
LONG = 90
ATOMS = (Name, Call, Brackets)


def named_axes(text: str, span: Span, left: tuple[Node, Shape], right: tuple[Node, Shape]) -> str:
    """The text with brackets behind both values, ready to paste: axes of one size share a name.

    Args:
        text: the whole formula.
        span: the operation that failed.
        left: the first value and its shape.
        right: the second.
    """
    first, second = _names(text, left[1], right[1])
    if _cross(first, second):
        first, second = _lone_picked(left[1], first, second), _lone_picked(right[1], second, first)
    edits = [*_edits(text, left[0], first), *_edits(text, right[0], second)]
    if _cross(first, second):
        start, end = span
        named = _edited(text[start:end], [(place - start, words) for place, words in edits])
        names = ", ".join(name for name in dict.fromkeys((*first, *second)) if name != "0")
        return f"give equal shapes, or pair all with all in a line: value[{names}] = {named}"
    if "axis=" in text or len(text) > LONG or "\n" in text:
        pairs = ((left[0], first), (right[0], second))
        named = [_edited(text[slice(*node.span)], _inside(node, names)) for node, names in pairs]
        return f"name the axes of both: {named[0]} and {named[1]}"
    return f"name the axes: {_edited(text, edits)}"


def _cross(first: Sequence[str], second: Sequence[str]) -> bool:
    return bool(set(first) - {*second, "0"} and set(second) - {*first, "0"})


def _lone_picked(shape: Shape, names: Sequence[str], others: Sequence[str]) -> list[str]:
    """The names, and 0 for an axis of size 1 that the other value lacks: its one entry is picked."""
    return ["0" if size == 1 and name not in others else name for size, name in zip(shape, names, strict=True)]


def _names(text: str, left: Shape, right: Shape) -> tuple[list[str], list[str]]:
    used = set(re.findall(r"[A-Za-z_]\w*", text))
    free = [letter for letter in LETTERS if letter not in used]
    free += [f"a{count}" for count in range(1, 200) if f"a{count}" not in used]
    first = [free.pop(0) for _ in left]
    open_places = list(range(len(left)))
    second: list[str] = []
    for size in right:
        match = next((place for place in open_places if left[place] == size), None)
        if match is None:
            second.append(free.pop(0))
        else:
            open_places.remove(match)
            second.append(first[match])
    return first, second


def _edits(text: str, node: Node, names: Sequence[str]) -> list[tuple[int, str]]:
    """Where something goes in, and what: brackets behind the value, around it round ones where it needs them."""
    start, end = node.span
    if _closed(text[start:end]):
        return _behind(end, names)
    if not isinstance(node, ATOMS) and text[end : end + 1] == ")" and text[start - 1 : start] == "(":
        return _behind(end + 1, names)
    return [(place + start, words) for place, words in _inside(node, names)]


def _closed(words: str) -> bool:
    """Whether one pair of round brackets holds all of it."""
    depth = 0
    for place, character in enumerate(words):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return words[:1] == "(" and place == len(words) - 1
    return False


def _inside(node: Node, names: Sequence[str]) -> list[tuple[int, str]]:
    size = node.span[1] - node.span[0]
    if isinstance(node, ATOMS) or not names:
        return _behind(size, names)
    return [(0, "("), (size, f")[{', '.join(names)}]")]


def _behind(place: int, names: Sequence[str]) -> list[tuple[int, str]]:
    return [(place, f"[{', '.join(names)}]")] if names else []


def _edited(text: str, edits: Sequence[tuple[int, str]]) -> str:
    for place, words in sorted(edits, reverse=True):
        text = text[:place] + words + text[place:]
    return text
