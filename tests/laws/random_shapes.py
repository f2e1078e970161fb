"""Random formulas of values without named axes, each with a shape that is known while it is written."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from tests.laws.random_formulas import needed

Shape = tuple[int, ...]

FLOATS: dict[str, Shape] = {
    **{"X": (3, 4), "P": (3, 4), "W": (3,), "V": (4,), "C": (3, 2, 4), "E": (4, 5), "R": (3, 1), "Q": (1, 4)},
    **{"F": (3, 5), "T": (3, 2, 4), "Z": ()},
}
INDICES = {"I": ((3,), 4), "J": ((2,), 3), "K": ((3, 2), 4)}
MASKS = {"A": (3, 4), "B": (3, 1), "D": (3,), "G": (3, 2, 4)}
SHAPES: tuple[Shape, ...] = ((), (), (3,), (3, 4), (3, 4), (4,), (3, 2, 4), (3, 5), (3, 1))


def values(seed: int) -> dict[str, np.ndarray[Any, Any]]:
    """Fixed values for every name."""
    rng = np.random.default_rng(seed)
    found: dict[str, np.ndarray[Any, Any]] = {name: np.asarray(rng.normal(size=size)) for name, size in FLOATS.items()}
    found["P"] = np.exp(found["P"] / 2)
    found |= {name: rng.integers(0, most, size) for name, (size, most) in INDICES.items()}
    return found | {name: rng.random(size) < 0.7 for name, size in MASKS.items()}


class ShapeWriter:
    """Writes pieces of formulas that have just the shape that is asked for."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.lines: list[str] = []

    def formula(self, depth: int) -> str:
        text = self.value(self.random.choice(SHAPES), depth)
        return "\n".join([*needed(self.lines, text), text])

    def pick(self, *choices: str) -> str:
        return self.random.choice(choices)

    def leaf(self, shape: Shape) -> str:
        if not shape:
            return self.pick("Z", "0.5", "2", "size(X, axis=1)", "mean(X)")
        names = [name for name, own in FLOATS.items() if own == shape]
        return self.random.choice(names) if names else f"({self.leaf(shape[:-1])} + 1)"

    def value(self, shape: Shape, depth: int) -> str:
        if depth <= 0:
            return self.leaf(shape)
        makers: list[Callable[[Shape, int], str]] = [
            self.sum,
            self.product,
            self.unary,
            self.joined,
            self.chosen,
            self.line,
        ]
        makers += [self.reduced] * 3
        makers += [self.along, self.centred, self.arranged] if shape else [self.loss, self.whole, self.whole]
        text = self.random.choice(makers)(shape, depth - 1)
        return f"({text})" if depth < 3 and " " in text else text

    def sum(self, shape: Shape, depth: int) -> str:
        other = self.random.choice((shape, shape, ()))
        words = [self.value(shape, depth), self.pick("+", "-", "%", "-"), self.value(other, depth)]
        if words[1] == "%":
            words[2] = f"({words[2]} ** 2 + 1)"
        return " ".join(words if self.random.random() < 0.5 or words[1] == "%" else words[::-1])

    def product(self, shape: Shape, depth: int) -> str:
        narrow = tuple(1 if self.random.random() < 0.3 else size for size in shape)
        words = [self.value(shape, depth), self.leaf_or(narrow, shape, depth)]
        self.random.shuffle(words)
        return f"{words[0]} / (2 + {words[1]} ** 2)" if self.random.random() < 0.3 else " * ".join(words)

    def leaf_or(self, narrow: Shape, shape: Shape, depth: int) -> str:
        """A value whose sizes of 1 stretch, where there is one."""
        return self.leaf(narrow) if narrow in FLOATS.values() else self.value(shape, depth)

    def unary(self, shape: Shape, depth: int) -> str:
        text = self.value(shape, depth)
        name = self.pick("tanh", "sigmoid", "softplus", "sin", "abs", "relu", "sign", "floor", "-", "exp(tanh")
        return {"-": f"-({text})", "exp(tanh": f"exp(tanh({text}))"}.get(name, f"{name}({text})")

    def joined(self, shape: Shape, depth: int) -> str:
        text, other = self.value(shape, depth), self.value(self.random.choice((shape, ())), depth)
        return self.pick(f"max({text}, {other})", f"min({other}, {text})", f"clamp({text}, -1, {other})")

    def chosen(self, shape: Shape, depth: int) -> str:
        masks = [name for name, own in MASKS.items() if own == shape] or ["Z < 0.2"]
        condition = self.pick(
            *masks, f"{self.value(shape, depth)} > 0.1", f"not ({self.value(shape, 0)} < Z)", "X > 0 and A"
        )
        condition = condition if condition != "X > 0 and A" or shape == (3, 4) else masks[0]
        return f"where({condition}, {self.value(shape, depth)}, {self.value(self.random.choice((shape, ())), depth)})"

    def line(self, shape: Shape, depth: int) -> str:
        text = self.value(shape, depth)
        name = f"g{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        return self.pick(name, f"{name} * {name}", f"{name} - {name} / 3")

    def reduced(self, shape: Shape, depth: int) -> str:
        name = self.pick("sum", "mean", "max", "norm", "var", "logsumexp", "min")
        wider = {(): (3,), (3,): (3, 4), (3, 4): (3, 2, 4), (4,): (3, 4)}.get(shape)
        if wider is None:
            return (
                f"{name}({self.value((3, 4), depth)}, axis=1, keepdims=True)"
                if shape == (3, 1)
                else self.unary(shape, depth)
            )
        axis = {(3,): self.pick("1", "-1"), (3, 4): "1", (4,): "0", (): "0"}[shape]
        where = f", where={self.pick(*(mask for mask, own in MASKS.items() if own == wider), 'Z < 9')}"
        return f"{name}({self.value(wider, depth)}, axis={axis}{where if self.random.random() < 0.3 else ''})"

    def whole(self, _: Shape, depth: int) -> str:
        name = self.pick("sum", "mean", "norm", "var", "logsumexp", "max")
        return f"{name}({self.value(self.random.choice(SHAPES[2:]), depth)})"

    def along(self, shape: Shape, depth: int) -> str:
        axis = self.random.choice(["", f", axis={self.random.randrange(-len(shape), len(shape))}"])
        return f"{self.pick('softmax', 'log_softmax', 'unit')}({self.value(shape, depth)}{axis})"

    def centred(self, shape: Shape, depth: int) -> str:
        text = self.value(shape, depth)
        return (
            f"{text} {self.pick('-', '/', '+')} norm({text}, axis={self.random.randrange(len(shape))}, keepdims=True)"
        )

    def loss(self, _: Shape, depth: int) -> str:
        text = self.value((3, 4), depth)
        how = self.pick("", ", reduction='sum'", ", label_smoothing=0.1")
        return self.pick(f"mse({text}, X)", f"cross_entropy({text}, I{how})", f"cross_entropy({text}, softmax(P){how})")

    def arranged(self, shape: Shape, depth: int) -> str:
        text = self.value(shape, depth)
        if shape == (3, 4):
            other = self.value((3, 4), depth)
            more = (f"last({self.value((3, 2, 4), depth)})", f"take({text}, J, axis=0)", f"expand_as(Q, {text})")
            return self.pick(
                *more, f"take(concat({text}, {other}), I, axis=1)", f"last(stack({text}, {other}, axis=1))"
            )
        if shape == (3, 5):
            return f"{self.value((3, 4), depth)} @ E"
        if shape == (3,):
            pair = f"{self.value((3, 4), depth)}, {self.value((3, 4), depth)}"
            return self.pick(f"X @ {self.value((4,), depth)}", f"dot({pair})", f"cosine({pair})", f"distance({pair})")
        return f"{text} * 2"
