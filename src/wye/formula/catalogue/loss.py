"""What is known of a loss: its formula, and all that a reader and a caller of it need."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

Option = int | float | bool | str | tuple[float, ...] | None
Lines = str | Callable[[Mapping[str, Option], Collection[str]], str]
"""The lines of a formula that bind `entry`; or what writes them, from the settings and the names of what is given."""


@dataclass(frozen=True)
class Argument:
    """A value that a loss takes.

    Args:
        told: what it is, for readers.
        axes: `...` for those that the entries of the loss have, `..., k` with one more behind them, `k` for that alone.
        role: `floats`; `ids` are whole numbers that pick; `signs` are 1 or -1; `labels` are 1 or 0;
            a `scale` is above 0.
    """

    told: str
    axes: str = "..."
    role: str = "floats"


@dataclass(frozen=True)
class Setting:
    """A keyword that takes a constant."""

    default: Option
    told: str


REDUCTION = Setting("mean", '"mean", "sum", or "none".')


@dataclass(frozen=True)
class Loss:
    """A loss of the catalogue.

    Args:
        name: the name in formulas and in `wye.losses`.
        title: what it is, in a sentence.
        mathematics: of an entry, and what the mean is over.
        source: where it comes from.
        values: what it takes.
        lines: its formula up to the reduction, see `Lines`; empty where no formula says it.
        example: a call of it, and what that prints.
        extra: further values, which may be left out.
        settings: keywords that take a constant.
        mean: the last line under `reduction="mean"`; or what writes it.
        over: which axes `k` stands for: of undeclared values the `last` one, or `all` unless `dims` counts them; of
            declared ones those named behind the values. None are named where a value lacks them (`lacked`), and where
            the loss sums over none.
        kernel: whether each front has a kernel for it; the formula then says what that must equal, where there is one.
        reduction: what `reduction` may be, and is.
        probabilities: the same lines where `target` holds probabilities instead of ids.
        variants: of the further values those that change the formula; each group of them is shown with its own.
    """

    name: str
    title: str
    mathematics: str
    source: str
    values: Mapping[str, Argument]
    lines: Lines
    example: tuple[str, str]
    extra: Mapping[str, Argument] = field(default_factory=dict[str, Argument])
    settings: Mapping[str, Setting] = field(default_factory=dict[str, Setting])
    mean: Lines = "mean(entry)"
    over: str = ""
    kernel: bool = False
    reduction: Setting = REDUCTION
    probabilities: Lines = ""
    variants: tuple[tuple[str, ...], ...] = ()

    @property
    def named(self) -> bool:
        """Whether names of axes may stand behind the values."""
        return self.over in ("last", "all")

    @property
    def options(self) -> dict[str, Option]:
        """All keywords that take a constant, with their defaults."""
        return {name: one.default for name, one in {**self.settings, "reduction": self.reduction}.items()}

    @property
    def arguments(self) -> dict[str, Argument]:
        return {**self.values, **self.extra}

    def text(
        self, options: Mapping[str, Option] | None = None, given: Collection[str] = (), probabilities: bool = False
    ) -> str:
        """The whole formula under these settings, where of the further values those in `given` are there."""
        settings = {**self.options, **(options or {})}
        lines = _written(self.probabilities if probabilities else self.lines, settings, given)
        mean = "mean(entry)" if probabilities else _written(self.mean, settings, given)
        last = {"none": "entry", "sum": "sum(entry)", "mean": mean}[str(settings["reduction"])]
        return f"{lines.strip()}\n{last}"


def _written(lines: Lines, settings: Mapping[str, Option], given: Collection[str]) -> str:
    return lines if isinstance(lines, str) else lines(settings, given)
