"""A place in a row of tokens: what comes next, what must come, and what to say where it does not."""

from __future__ import annotations

from ..errors import FormulaError, Place
from .tokens import FOREIGN, Token, tokens

MAX_DEPTH = 64
MAX_NODES = 2_000


class Cursor:
    """Walks over the tokens of a text, and counts how deep and how large what it reads has become."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[Token] = tokens(text)
        self.position: int = 0
        self.depth: int = 0
        self.nodes: int = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.position]

    def take(self) -> Token:
        token = self.token
        self.position += 1
        return token

    def meets(self, *words: str) -> bool:
        return self.token.kind in ("operator", "word") and self.token.text in words

    def expect(self, word: str, opened: Token) -> Token:
        if self.meets(word):
            return self.take()
        if self.token.text in FOREIGN:
            raise self.error(
                f"`{self.token.text}` is not part of the language.", self.token, fix=FOREIGN[self.token.text]
            )
        what = f"`{opened.text}` is not closed." if self.token.kind in ("end", "line") else f"expected `{word}` here."
        at = opened if self.token.kind in ("end", "line") else self.token
        raise self.error(what, at, fix=f"write `{word}`" if at is self.token else f"add `{word}`")

    def error(self, what: str, token: Token, got: str = "", fix: str = "") -> FormulaError:
        shown = got or {"end": "the end of the formula", "line": "the end of the line"}.get(token.kind, token.text)
        return FormulaError(what, Place(self.text, token.start, token.end), shown, fix)

    def span(self, start: Token) -> tuple[int, int]:
        return (start.start, self.tokens[self.position - 1].end)

    def count(self, token: Token) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise self.error(
                f"a formula has at most {MAX_NODES:,} pieces.", token, fix="name pieces of it and give them as parts"
            )

    def check_depth(self, depth: int, token: Token) -> None:
        if depth > MAX_DEPTH:
            raise self.error(f"a formula nests at most {MAX_DEPTH} deep.", token, fix="name the inner piece first")
