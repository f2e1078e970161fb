"""A text cut into tokens: numbers, names, words of the language, operators, quoted words and line ends."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import FormulaError, Place

MAX_CHARACTERS = 10_000

TOKEN = re.compile(
    r"(?P<space>[ \t\r]+)"
    r"|(?P<line>\n)"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<text>\"[^\"\n]*\"|'[^'\n]*')"
    r"|(?P<operator>\.\.\.|\*\*|//|==|!=|<=|>=|:=|->|<<|>>|[-+*/@%()<>=,\[\]])"
)
LATER = frozenset({"if", "else", "elif", "for", "while"})
NEVER = frozenset(
    "lambda import from def class return yield await async with try except finally raise assert del "
    "global nonlocal pass break continue is in as None".split()
)
FOREIGN = {
    "//": "write floor(a / b)",
    "<<": "multiply by a power of 2",
    ">>": "divide by a power of 2",
    ":=": "bind names on lines of their own: name = ...",
    "->": "leave it out",
}
CURES = {
    ".": "values have no attributes here; the length of an axis is size(b)",
    "&": "write and",
    "|": "write or",
    "~": "write not",
    "!": "write not, or != to compare",
    "^": "write ** for a power",
    ";": "start a new line",
    "#": "leave comments out",
}
WORDS = frozenset({"and", "or", "not", "True", "False"})


@dataclass(frozen=True, slots=True)
class Token:
    kind: str  # number, name, word, text, operator, line, end
    text: str
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """The tokens of a text. Line ends inside brackets are left out, and so are empty lines."""
    if len(text) > MAX_CHARACTERS:
        raise FormulaError(
            f"a formula has at most {MAX_CHARACTERS:,} characters.",
            Place(text, MAX_CHARACTERS, MAX_CHARACTERS + 1),
            f"{len(text):,} characters",
            "name pieces of it and give them as parts",
        )
    found: list[Token] = []
    position = nesting = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise _unreadable(text, position)
        kind, word, position = str(match.lastgroup), match.group(), match.end()
        if kind == "space":
            continue
        token = Token("word" if kind == "name" and word in WORDS else kind, word, match.start(), position)
        _check(text, token)
        nesting += (word in ("(", "[")) - (word in (")", "]"))
        if kind != "line" or (nesting <= 0 and found and found[-1].kind != "line"):
            found.append(token)
    while found and found[-1].kind == "line":
        found.pop()
    end = found[-1].end if found else 0
    return [*found, Token("end", "", end, end + 1)]


def _unreadable(text: str, position: int) -> FormulaError:
    character = text[position]
    if character == ":":
        return FormulaError(
            "slices are not yet part of the language.",
            Place(text, position, position + 1),
            ":",
            "pick one entry by a number, or take(x, index, axis=0)",
        )
    fix = (
        "write it in ASCII: letters, digits, operators"
        if ord(character) > 127
        else CURES.get(character, "leave it out")
    )
    if character in "\"'":
        fix = "close the quotation on the same line"
    return FormulaError(
        f"{character!a} is not part of the language.", Place(text, position, position + 1), ascii(character), fix
    )


def _check(text: str, token: Token) -> None:
    place, word = Place(text, token.start, token.end), token.text
    if token.kind == "number" and re.match(r"[A-Za-z_0-9.]", text[token.end : token.end + 1]):
        raise FormulaError(
            "a number is written in plain decimals.",
            place,
            text[token.start : token.end + 1],
            "write it like 1000, 0.5 or 1e-3",
        )
    if token.kind != "name":
        return
    if word in LATER:
        raise FormulaError(
            f"`{word}` is not yet part of the language.",
            place,
            word,
            "repeat with Repeat or While, go over axes by their names: sum(x[b, k], k)"
            if word in ("for", "while")
            else "choose by element with where(condition, a, b), by sample with When",
        )
    if word in NEVER:
        raise FormulaError(
            f"`{word}` is not part of the language.",
            place,
            word,
            "use numbers, names, operators, calls, brackets and lines",
        )
    if word.startswith("_"):
        raise FormulaError("a name starts with a letter.", place, word, f"call it `{word.strip('_') or 'x'}`")
