"""Statements and the places in the text that they stand for."""

from __future__ import annotations

import ast
import hashlib
import linecache
import re
from bisect import bisect_right
from collections.abc import Sequence

from .tree import Span

FILENAME = "<wye formula {}>"
INTERNAL = re.compile(r"\b_\d+\b")


def let_go(statements: Sequence[tuple[str, Span]], inputs: Sequence[str]) -> list[tuple[str, Span]]:
    """The statements, each followed by `del` of the values that are not used any more."""
    last: dict[str, int] = {}
    for place, (source, _) in enumerate(statements):
        last.update((name, place) for name in INTERNAL.findall(source))
    ended: dict[int, list[str]] = {}
    for name, place in last.items():
        ended.setdefault(place, []).append(name)
    found: list[tuple[str, Span]] = []
    for place, (source, span) in enumerate(statements):
        found.append((source, span))
        if place in ended and place < len(statements) - 1:
            found.append((f"del {', '.join(ended[place])}", span))
    return found


class Places:
    """Lines and columns of a text, for the positions in code."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def at(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1]

    def put(self, tree: ast.AST, span: Span, only: bool = False) -> None:
        (line, column), (end_line, end_column) = self.at(span[0]), self.at(max(span[0], span[1]))
        for node in [tree] if only else ast.walk(tree):
            if "lineno" in node._attributes:
                node.lineno, node.col_offset = line, column  # type: ignore[attr-defined]
                node.end_lineno, node.end_col_offset = end_line, end_column  # type: ignore[attr-defined]
        if only and isinstance(tree, ast.FunctionDef):
            self.put(tree.args, span)

    def statement(self, source: str, span: Span) -> ast.stmt:
        holder = ast.parse(f"def f():\n {source}").body[0]
        assert isinstance(holder, ast.FunctionDef)
        self.put(holder.body[0], span)
        return holder.body[0]

    def remember(self) -> str:
        """Puts the text where tracebacks look for source; returns its file name."""
        name = FILENAME.format(hashlib.sha256(self.text.encode()).hexdigest()[:12])
        lines = [f"{line}\n" for line in self.text.split("\n")]  # a last line without an end would shift the carets
        linecache.cache[name] = (len(self.text), None, lines, name)
        return name
