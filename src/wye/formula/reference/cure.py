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
    edits = [*_edits(text, left[0], first), *_edits(text, right[0], second)]
    crossing = bool(set(first) - set(second) and set(second) - set(first))
    if crossing:
        start, end = span
        named = _edited(text[start:end], [(place - start, words) for place, words in edits])
        names = ", ".join(dict.fromkeys((*first, *second)))
        return f"give equal shapes, or pair all with all in a line: value[{names}] = {named}"
    if "axis=" in text or len(text) > LONG or "\n" in text:
        pairs = ((left[0], first), (right[0], second))
        named = [_edited(text[slice(*node.span)], _inside(node, names)) for node, names in pairs]
        return f"name the axes of both: {named[0]} and {named[1]}"
    return f"name the axes: {_edited(text, edits)}"


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
    if not isinstance(node, ATOMS) and text[end : end + 1] == ")" and text[start - 1 : start] == "(":
        return _behind(end + 1, names)
    return [(place + start, words) for place, words in _inside(node, names)]


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
