"""What one piece of the gallery is: a formula, its plain-torch twin, its source, and seeded inputs."""

import inspect
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

Value = Tensor | float
Make = Callable[[torch.Generator], Tensor]
Plain = Callable[..., Tensor | tuple[Tensor, ...]]
P = TypeVar("P", bound=Plain)


@dataclass(frozen=True)
class Entry:
    """A formula of the language beside the function its users write by hand."""

    name: str
    source: str
    text: str
    plain: Plain
    recipe: dict[str, Make | float]

    def inputs(self) -> dict[str, Value]:
        """Draw the inputs afresh: the same values every time, and new leaves for the gradients."""
        generator = torch.Generator().manual_seed(zlib.crc32(self.name.encode()))
        return {name: make(generator) if callable(make) else make for name, make in self.recipe.items()}


GALLERY: list[Entry] = []


def as_tuple(result: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The values of a result, be they one or several."""
    return result if isinstance(result, tuple) else (result,)


def shown(source: str, text: str, /, **recipe: Make | float) -> Callable[[P], P]:
    """Hang a plain function into the gallery beside its formula; the keywords make its inputs."""

    def hang(plain: P) -> P:
        GALLERY.append(Entry(plain.__name__, source, inspect.cleandoc(text), plain, recipe))
        return plain

    return hang


def normal(*shape: int, learn: bool = False, scale: float = 1.0) -> Make:
    """Standard normal float64 values; `learn` marks a tensor whose gradient is compared."""

    def make(generator: torch.Generator) -> Tensor:
        return (scale * torch.randn(shape, generator=generator, dtype=torch.float64)).requires_grad_(learn)

    return make


def uniform(low: float, high: float, *shape: int, learn: bool = False) -> Make:
    """Uniform float64 values between `low` and `high`."""

    def make(generator: torch.Generator) -> Tensor:
        draw = torch.rand(shape, generator=generator, dtype=torch.float64)
        return (low + (high - low) * draw).requires_grad_(learn)

    return make


def learned(*shape: int) -> Make:
    """Standard normal values whose gradient is compared."""
    return normal(*shape, learn=True)


def classes(count: int, *shape: int) -> Make:
    """Class ids, int64, 0 to count - 1."""

    def make(generator: torch.Generator) -> Tensor:
        return torch.randint(count, shape, generator=generator)

    return make


def given(*values: int) -> Make:
    """These ids, int64: for losses that need several samples of a class."""

    def make(generator: torch.Generator) -> Tensor:
        return torch.tensor(values)

    return make


def signs(*shape: int) -> Make:
    """Labels of -1 and 1 as float64."""

    def make(generator: torch.Generator) -> Tensor:
        return torch.randint(2, shape, generator=generator).double() * 2 - 1

    return make


def mask(*shape: int) -> Make:
    """A boolean mask, true for two thirds and always for the first entry of the last axis."""

    def make(generator: torch.Generator) -> Tensor:
        chosen = torch.rand(shape, generator=generator) < 0.67
        chosen[..., 0] = True
        return chosen

    return make


def number(value: float) -> Make:
    """A learned 0-dim tensor."""

    def make(generator: torch.Generator) -> Tensor:
        return torch.tensor(value, dtype=torch.float64, requires_grad=True)

    return make
