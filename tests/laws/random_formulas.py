"""Random formulas with named axes, valid by construction but for a few."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from random import Random

from tests.laws.named_values import NONE, SIZES, Names, entries, written

UNARY = "tanh sigmoid softplus sin cos abs relu expm1".split()
STEPS = "sign round floor".split()
REDUCTIONS = "sum sum sum mean mean mean max min norm var logsumexp".split()


class Writer:
    """Writes pieces of formulas: values, conditions and lines with just the names of axes that are asked for."""

    def __init__(self, random: Random, rest: bool = False) -> None:
        self.random, self.rest = random, rest
        self.lines: list[str] = []
        self.bound: list[tuple[str, Names]] = []

    def formula(self, depth: int) -> str:
        """A whole text."""
        size = self.random.choice((0, 0, 0, 1, 1, 2, 2, 3))
        axes = frozenset(self.random.sample(self.names(), size))
        for _ in range(self.random.choice((0, 0, 0, 1, 2))):
            self.line(frozenset(self.random.sample(self.names(), self.random.choice((0, 1, 2)))), depth - 1)
        last = [self.value(axes, depth)]
        if self.random.random() < 0.05:
            last.append(self.value(NONE, 1))
        text = self.whole(last)
        return re.sub(r"\bb\b", "...", text) if self.rest else text

    def whole(self, last: list[str]) -> str:
        """The values after the lines that they read, and after lines that tell the sizes of all axes."""
        text = "\n".join([*needed(self.lines, ", ".join(last)), ", ".join(last)])
        known = set(re.findall(r"\b[abdijkt]\b", " ".join(re.findall(r"[A-Z]\[[^\]()]*\]", text))))
        telling = {"a": "W[a]", "b": "W[b]", "k": "V[k]", "t": "M[t, 0]", "d": "M[0, d]", "i": "U[i]", "j": "U[j]"}
        missing = sorted(set(re.findall(r"\b[abdijkt]\b", text)) - known)
        return "\n".join([*(f"h{name} = {telling[name]}" for name in missing), text])

    def names(self, without: Iterable[str] = ()) -> list[str]:
        """The axes that may be named in a call."""
        return [name for name in SIZES if name not in without and not (self.rest and name in "ab")]

    def pick(self, *choices: str) -> str:
        return self.random.choice(choices)

    def subset(self, axes: Names) -> Names:
        return frozenset(name for name in sorted(axes) if self.random.random() < 0.6)

    def row(self, axes: Names) -> str:
        """Names in any order, as a list."""
        names = sorted(axes)
        self.random.shuffle(names)
        return ", ".join(names)

    # values

    def value(self, axes: Names, depth: int, meant: bool = False) -> str:
        """A value with these axes; `meant` where values may cross."""
        if depth <= 0 or self.random.random() < 0.1:
            return self.leaf(axes, meant)
        makers: list[Callable[[Names, int, bool], str]] = [
            *[self.total] * 2, *[self.product] * 4, *[self.reduced] * 5, *[self.unary] * 2,
            self.chosen, self.joined, self.used_line, self.pair, self.power, self.renamed,
        ]  # fmt: skip
        if axes - (frozenset("b") if self.rest else NONE):
            makers += [self.along, self.picked, self.part]
        return self.random.choice(makers)(axes, depth, meant)

    def operand(self, axes: Names, depth: int, meant: bool = False) -> str:
        """A value that stands beside an operator."""
        text = self.value(axes, depth, meant)
        return text if re.fullmatch(r"-?[\w.]+|[A-Za-z]\w*\[[^\]()]*\]", text) else f"({text})"

    def leaf(self, axes: Names, meant: bool) -> str:
        if not axes:
            some = self.random.choice(self.names())
            return self.pick(
                "Z",
                "0.5",
                "2",
                f"size({some})",
                "X[1, 2]" if not self.rest else "S[1, 2]",
                f"sum(W[b] * {self.leaf(frozenset('b'), True)})",
            )
        lines = [name for name, own in self.bound if own == axes]
        if lines and self.random.random() < 0.3:
            return self.random.choice(lines)
        whole = written("index", self.rest).get(axes, []) + written("mask", self.rest).get(axes, [])
        if whole and self.random.random() < 0.12:
            return self.random.choice(whole)
        plain, picks = written("float", self.rest).get(axes, []), written("pick", self.rest).get(axes, [])
        if plain and self.random.random() < 0.8:
            return self.random.choice(plain)
        if picks:
            return self.random.choice(picks)
        if len(axes) == 1 and self.random.random() < 0.3:
            return next(iter(axes)) if axes <= frozenset(self.names()) else "W[b]"
        if meant:
            one = frozenset(self.random.sample(sorted(axes), 1))
            return f"({self.leaf(one, True)} {self.pick('*', '+', '-')} {self.leaf(axes - one or one, True)})"
        return self.line(axes, 0, named=True)

    def line(self, axes: Names, depth: int, named: bool | None = None) -> str:
        """A line before the last, and its name."""
        named = self.random.random() < 0.4 if named is None else named
        text = self.value(axes, depth, meant=named)
        name = f"g{len(self.lines)}"
        self.lines.append(f"{name}[{self.row(axes)}] = {text}" if named and axes else f"{name} = {text}")
        self.bound.append((name, axes))
        return name

    def used_line(self, axes: Names, depth: int, _: bool) -> str:
        name = self.line(axes, depth - 1)
        return self.pick(name, f"{name} + {name}", f"{name} * {self.operand(axes, depth - 1)}", f"sum({name}) * {name}")

    def total(self, axes: Names, depth: int, meant: bool) -> str:
        words = [self.operand(axes, depth - 1, meant)]
        for _ in range(self.random.choice((1, 1, 2))):
            words += [self.pick("+", "-"), self.operand(self.subset(axes), depth - 1, meant)]
        if self.random.random() < 0.5:
            words[0], words[-1] = words[-1], words[0]
        return " ".join(words)

    def product(self, axes: Names, depth: int, meant: bool) -> str:
        """One to four factors, some of them divisors or under a minus."""
        count = self.random.choice((1, 2, 2, 3, 4))
        if meant:
            shares = [self.subset(axes) for _ in range(count - 1)]
            shares.append(axes - frozenset(name for share in shares for name in share) | self.subset(axes))
        else:
            shares = [axes, *(self.subset(axes) for _ in range(count - 1))]
        self.random.shuffle(shares)
        words: list[str] = []
        for share in shares:
            divides = bool(words) and self.random.random() < 0.2
            factor = (
                f"(2 + {self.operand(share, depth - 2, meant)} ** 2)"
                if divides
                else self.operand(share, depth - 1, meant)
            )
            minus = "-" if self.random.random() < 0.15 else ""
            words += [*(["/" if divides else "*"] if words else []), minus + factor]
        return " ".join(words)

    def power(self, axes: Names, depth: int, meant: bool) -> str:
        text = self.operand(axes, depth - 1, meant)
        return self.pick(f"{text} ** 2", f"{text} ** 3", f"(1 + {text} ** 2) ** 0.5", f"-{text} ** 2", f"{text} % 3")

    def reduced(self, axes: Names, depth: int, _: bool) -> str:
        """A reduction that loses some axes by name, or all without."""
        name = self.random.choice(REDUCTIONS)
        lost = frozenset(
            self.random.sample(self.names(axes), min(self.random.choice((1, 1, 1, 2)), len(self.names(axes))))
        )
        if not lost:
            return self.leaf(axes, False)
        whole = not axes and self.random.random() < 0.4
        own = (lost if not self.rest else lost | self.random.choice((NONE, frozenset("b")))) if whole else axes | lost
        inner = self.random.choice((self.product, self.product, self.value))(own, depth - 1, not whole)
        where = f", where={self.condition(self.subset(own), 1)}" if self.random.random() < 0.2 else ""
        if self.random.random() < 0.06:
            name, where = "weighted_mean", ""
            inner = f"{inner}, {self.leaf(self.subset(own), not whole)} ** 2"
        if name in ("max", "min") and "," not in where and self.random.random() < 0.5:
            name = "mean"
        return f"{name}({inner}{'' if whole else ', ' + self.row(lost)}{where})"

    def along(self, axes: Names, depth: int, meant: bool) -> str:
        axis = self.random.choice(sorted(axes & frozenset(self.names()) or axes))
        name = self.pick("softmax", "log_softmax", "unit")
        where = (
            f", where={self.condition(self.subset(axes), 1)}"
            if name == "softmax" and self.random.random() < 0.3
            else ""
        )
        return f"{name}({self.value(axes, depth - 1, meant)}, {axis}{where})"

    def pair(self, axes: Names, depth: int, _: bool) -> str:
        """Two values that meet, cross perhaps, and lose one axis."""
        axis = frozenset(self.random.sample(self.names(axes), 1)) if self.names(axes) else NONE
        left = self.subset(axes)
        sides = [
            self.value(left | axis, depth - 1, True),
            self.value(axes - left | self.subset(axes) | axis, depth - 1, True),
        ]
        return f"{self.pick('dot', 'cosine', 'distance')}({', '.join(sides)}, {self.row(axis)})"

    def unary(self, axes: Names, depth: int, meant: bool) -> str:
        name = self.random.choice(UNARY if self.random.random() < 0.85 else STEPS)
        text = self.value(axes, depth - 1, meant)
        return self.pick(
            f"{name}({text})",
            f"{name}({text})",
            f"-{name}({text})",
            f"exp(tanh({text}))",
            f"log1p(abs({text}))",
            f"sqrt(1 + abs({text}))",
        )

    def joined(self, axes: Names, depth: int, meant: bool) -> str:
        """`max`, `min` and `clamp` of several values."""
        text, other = self.value(axes, depth - 1, meant), self.value(self.subset(axes), depth - 1, meant)
        return self.pick(
            f"max({text}, {other})",
            f"min({other}, {text})",
            f"clamp({text}, -0.7, 0.9)",
            f"clamp({text}, high={other})",
            f"max({text}, 0.1, {other})",
        )

    def chosen(self, axes: Names, depth: int, meant: bool) -> str:
        words = [self.value(axes, depth - 1, meant), self.value(self.subset(axes), depth - 1, meant)]
        self.random.shuffle(words)
        return f"where({self.condition(self.subset(axes), 1)}, {', '.join(words)})"

    def picked(self, axes: Names, depth: int, meant: bool) -> str:
        """An entry picked from a line that names its result, by an index or by a number."""
        axis = self.random.choice(self.names(axes) or ["k"])
        own = frozenset(self.random.sample(sorted(axes), min(len(axes), 2)))
        name = self.line(own | {axis}, depth - 1, named=True)
        order = self.lines[-1].partition("]")[0].partition("[")[2].split(", ")
        places = [(entry, names) for entry, names in entries(SIZES[axis], self.rest) if names <= axes]
        entry, names = self.random.choice(places) if places else ("0", NONE)
        text = f"{name}[{', '.join(entry if one == axis else one for one in order)}]"
        left = axes - own - names
        return f"{text} * {self.leaf(axes, meant)}" if left else text

    def renamed(self, axes: Names, depth: int, meant: bool) -> str:
        """A value written with `a` and `j`, then renamed to `b` and `i`, or the other way round."""
        other = {"b": "a", "a": "b", "i": "j", "j": "i"} if not self.rest else {"i": "j", "j": "i"}
        old = frozenset(other.get(name, name) for name in axes)
        if len(old) < len(axes) or old == axes:
            return self.total(axes, depth, meant)
        name = self.line(old, depth - 1, named=True)
        order = self.lines[-1].partition("]")[0].partition("[")[2].split(", ")
        return f"{name}[{', '.join(next(n for n in axes if n == one or other.get(n) == one) for one in order)}]"

    def part(self, axes: Names, depth: int, _: bool) -> str:
        """What the part `f` makes of a value; the part sees the order of the axes."""
        if self.random.random() < 0.4:
            return f"f({self.value(axes, depth - 1)})[{self.row(axes)}]"
        plain = [text for text in written("float", self.rest).get(axes, []) if self.random.random() < 0.5]
        if plain:
            return f"f({plain[0]})[{plain[0].partition('[')[2].rstrip(']')}]"
        name = self.line(axes, depth - 1, named=True)
        order = self.lines[-1].partition("]")[0].partition("[")[2]
        return f"f({name})[{order}]"

    # conditions

    def condition(self, axes: Names, depth: int) -> str:
        masks = written("mask", self.rest).get(axes, [])
        if masks and self.random.random() < 0.4:
            return self.random.choice(masks)
        if depth > 0 and self.random.random() < 0.3:
            one, two = self.condition(axes, depth - 1), self.condition(self.subset(axes), depth - 1)
            return self.pick(f"({one} and {two})", f"({one} or not {two})", f"(not ({one}))")
        names = sorted(axes & frozenset(self.names()))
        if names and self.random.random() < 0.4:
            other = next((name for name in names if name != names[0] and SIZES[name] == SIZES[names[0]]), "1")
            return f"({names[0]} {self.pick('==', '!=', '<=', '<')} {other})"
        if not axes:
            return self.pick("(Z < 0.3)", "(1 < 2)", "any(G[i, j])", "all(V[k] > 9)", "any(V[k] > 0.2, k)")
        return f"({self.leaf(axes, False)} {self.pick('<', '>=')} {self.pick('0.3', 'Z')})"


def needed(lines: list[str], last: str) -> list[str]:
    """The lines that the last one reads, by itself or through others."""
    kept = [last]
    for line in reversed(lines):
        name = line.partition(" = ")[0].partition("[")[0]
        if any(re.search(rf"\b{name}\b", text) for text in kept):
            kept.insert(0, line)
    return kept[:-1]


def wrong(text: str, random: Random) -> str:
    """The text with one name of an axis, or one word, exchanged: often no longer valid."""
    places = list(re.finditer(r"\b[abdijkt]\b", text))
    if not places:
        return text + " + X"
    place = random.choice(places)
    return text[: place.start()] + random.choice("abdijkt") + text[place.end() :]
