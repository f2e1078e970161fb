"""`Join` against the same module written by hand."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

import wye

from .table import Row, milliseconds
from .timing import Run, interleaved

LIMIT = 0.97


class Two(nn.Module):
    def __init__(self, a: nn.Module, b: nn.Module) -> None:
        super().__init__()
        self.a, self.b = a, b

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) + self.b(x)


class Four(nn.Module):
    def __init__(self, a: nn.Module, b: nn.Module, c: nn.Module, d: nn.Module) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = a, b, c, d

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) + self.b(x) + self.c(x) + self.d(x)


class Sixteen(nn.Module):
    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        (self.a, self.b, self.c, self.d, self.e, self.f, self.g, self.h) = parts[:8]
        (self.i, self.j, self.k, self.l, self.m, self.n, self.o, self.p) = parts[8:]

    def forward(self, x: Tensor) -> Tensor:
        first = self.a(x) + self.b(x) + self.c(x) + self.d(x) + self.e(x) + self.f(x) + self.g(x) + self.h(x)
        return first + self.i(x) + self.j(x) + self.k(x) + self.l(x) + self.m(x) + self.n(x) + self.o(x) + self.p(x)


class Same(nn.Module):
    """A part that costs nothing but its call."""

    def forward(self, x: Tensor) -> Tensor:
        return x


BY_HAND = {2: Two, 4: Four, 16: Sixteen}
PARTS = {
    "Linear(32, 32), batch 32": (lambda: nn.Linear(32, 32), (32, 32), False),
    "Linear(2, 2), batch 4": (lambda: nn.Linear(2, 2), (4, 2), False),
    "a part that returns x": (Same, (4, 2), True),  # without weights, x is what has a gradient
}


def rows() -> list[Row]:
    found: list[Row] = []
    for words, (part, shape, learned) in PARTS.items():
        for count, by_hand in BY_HAND.items():
            parts = [part() for _ in range(count)]
            formula = " + ".join(f"{letter}(x)" for letter in string.ascii_lowercase[:count])
            join = wye.Join(formula, **dict(zip(string.ascii_lowercase, parts, strict=False)))
            x = torch.randn(*shape, requires_grad=learned)
            found += measured(f"{count} of {words}", {"wye": join, "hand": by_hand(*parts), "bare": bare(parts)}, x)
    return found


def bare(parts: Sequence[nn.Module]) -> Callable[[Tensor], Tensor]:
    """The sum with no module around it and no check in it: what any join must cost at the least."""
    first, *others = parts

    def run(x: Tensor) -> Tensor:
        value = first(x)
        for other in others:
            value = value + other(x)
        return value

    return run


def measured(name: str, joins: Mapping[str, Callable[[Tensor], Tensor]], x: Tensor) -> list[Row]:
    """Forward alone, and forward with backward; for information the calls of the parts alone."""
    torch.testing.assert_close(joins["wye"](x), joins["hand"](x))
    grad = torch.ones_like(joins["hand"](x))

    def forward(join: Callable[[Tensor], Tensor]) -> Run:
        return lambda: join(x)

    def both(join: Callable[[Tensor], Tensor]) -> Run:
        return lambda: join(x).backward(grad)

    found = []
    for words, run in (("forward", forward), ("forward+backward", both)):
        runs = {key: run(join) for key, join in joins.items()}
        samples = interleaved(runs, seconds=2.5, rounds=1000, least=5e-4)
        note = f"{milliseconds(samples.median('wye'))} against {milliseconds(samples.median('hand'))}"
        note += f"; the parts alone {samples.ratio('bare', 'hand'):.3f}"
        found.append(Row(f"{name}, {words}", samples.ratio("wye", "hand"), LIMIT, note))
    return found
