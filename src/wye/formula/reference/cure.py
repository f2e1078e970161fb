"""The cure for shapes that do not meet: the same text with its axes named."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..shapes import Shape
from ..tree import Brackets, Call, Name, Node, Span

LETTERS = "b k i j t h w d c n m p q r s u v y z".split()
LONG = 90


def named_axes(text: str, span: Span, left: tuple[Node, Shape], right: tuple[Node, Shape]) -> str:
    """The text with brackets behind both values, ready to paste: axes of one size share a name.

    Args:
        text: the whole formula.
        span: the operation that failed.
        left: the first value and its shape.
        right: the second.
    """
    first, second = _names(text, left[1], right[1])
    if "axis=" in text or len(text) > LONG or text.count("\n"):
        return (
            f"name the axes of both, as in {_bracketed(text, left[0], first)} and {_bracketed(text, right[0], second)}"
        )
    changes = sorted(
        (_change(text, node, names) for node, names in ((left[0], first), (right[0], second))), reverse=True
    )
    start, end = span
    whole = text
    for place, brackets in changes:
        whole = whole[:place] + brackets + whole[place:]
        end += len(brackets)
    if set(first) <= set(second) or set(second) <= set(first):
        return f"name the axes: {whole}"
    union = dict.fromkeys((*first, *second))
    return f"name the axes and the result in a line of its own: value[{', '.join(union)}] = {whole[start:end]}"


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


def _change(text: str, node: Node, names: Sequence[str]) -> tuple[int, str]:
    """Where brackets go in, and the brackets."""
    start, end = node.span
    if not names:
        return end, ""
    if not isinstance(node, (Name, Call, Brackets)) and text[end : end + 1] == ")" and text[start - 1 : start] == "(":
        end += 1
    return end, f"[{', '.join(names)}]"


def _bracketed(text: str, node: Node, names: Sequence[str]) -> str:
    words = text[slice(*node.span)]
    if not isinstance(node, (Name, Call, Brackets)):
        words = f"({words})"
    return words + (f"[{', '.join(names)}]" if names else "")
