"""Texts that are made to break a reader of formulas: mutations of good ones, and soups of their tokens."""

from __future__ import annotations

import re
from random import Random

from tests.laws.random_formulas import Writer
from tests.laws.random_shapes import ShapeWriter

TOKENS = """x y s w n z m out f sum mean max softmax where concat stack take size norm cast mse cross_entropy clamp last
b k i j t ... ( ) [ ] , = == < <= + - * / ** @ % and or not True False 0 1 2 0.5 1e308 1e-3 -1 99 axis=1 keepdims=True
dtype='int64' reduction='none' where= "a" 'b' \n g = g[b, k] = x[b, k] s[i, j] w[b] n[b] x[b, n[b]] if for lambda None
: . ; # $ \\ \x00 \uff58 é 9**9**9 __class__ import type half to self _0 _self forward""".replace("\n", " ").split(" ")
PIECES = (
    *("(", "[", "-", "not ", "x[", "x + ", "f(", "x ** ", "2 ** ", "x @ ", "x, ", "sum("),
    *("x[b, k] * ", "w[b] / ", "z < "),
)
SPARE = [token for token in TOKENS if token] + ["\n", " ", "\n"]


def soup(random: Random) -> str:
    """Tokens in any order."""
    spaces = random.choice(("", " ", " "))
    return spaces.join(random.choice(SPARE) for _ in range(random.choice((1, 2, 3, 5, 8, 13, 40, 300))))


def good(random: Random) -> str:
    """A formula that is mostly valid, in the names that the hostile texts are given."""
    writer = Writer(random, random.random() < 0.2) if random.random() < 0.6 else ShapeWriter(random)
    return writer.formula(random.choice((1, 2, 3)))


def mutated(text: str, random: Random) -> str:
    """Characters and stretches dropped, doubled, moved, or exchanged for tokens."""
    for _ in range(random.choice((1, 1, 2, 3, 6))):
        start = random.randrange(len(text) + 1)
        end = min(len(text), start + random.choice((0, 1, 1, 2, 5, 20)))
        change = random.randrange(5)
        piece = text[start:end]
        new = ("", piece + piece, random.choice(SPARE), piece[::-1], "(" + piece + ")")[change]
        text = text[:start] + new + text[end:]
    return text


KINDS = (
    "sum mean max min norm var any all logsumexp weighted_mean softmax log_softmax unit dot cosine distance take "
    "concat stack last "
    "expand_as size abs exp log sqrt where clamp cast round sign stop mse cross_entropy die coin f".split(),
    "X P W V C E M S U Q T Z I J K A B G x y s w n z m out".split(),
    "b a k t d i j".split(),
    "0 1 2 -1 0.5 1e-300 1e308 7 4294967296 9223372036854775807".split(),
    "+ - * / ** @ % < == != and or".split(),
    "axis keepdims where dtype reduction low high ignore_index label_smoothing x draw".split(),
)
WORD = re.compile(r"[A-Za-z]\w*|\d[\d.e]*|\*\*|[-+*/@%<]")


def exchanged(text: str, random: Random) -> str:
    """Words exchanged for others of their kind: still in the language, mostly, yet no longer what was meant."""
    for _ in range(random.choice((1, 1, 2, 4, 8))):
        words = list(WORD.finditer(text))
        if not words:
            return text
        word = random.choice(words)
        kind = next((kind for kind in KINDS if word.group() in kind), random.choice(KINDS[:4]))
        kind = kind if random.random() < 0.85 else random.choice(KINDS)
        text = text[: word.start()] + random.choice(kind) + text[word.end() :]
    return text


def crossed(one: str, two: str, random: Random) -> str:
    """The beginning of one text and the end of another."""
    return one[: random.randrange(len(one) + 1)] + two[random.randrange(len(two) + 1) :]


def repeated(random: Random) -> str:
    """A piece many times over."""
    return random.choice(PIECES) * random.choice((10, 63, 64, 65, 500, 3_000)) + random.choice(
        ("x", "x" + ")" * 65, "", "z", "x[b, k]")
    )


def hostile(random: Random) -> str:
    kind = random.random()
    if kind < 0.15:
        return soup(random)
    if kind < 0.55:
        return exchanged(good(random), random)
    if kind < 0.75:
        return mutated(good(random), random)
    if kind < 0.9:
        return crossed(good(random), good(random), random)
    if kind < 0.98:
        text = good(random)
        return text[: random.randrange(len(text) + 1)]
    return repeated(random)
