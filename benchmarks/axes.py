"""Formulas with named axes against the fastest form written by hand, at the sizes where they are used.

For each formula several forms are written the ways the field writes them: broadcasting, einsum, matrix products, the
losses of `torch.nn.functional`. All are timed in turns with the formula, forward and backward; the fastest is the
peer, in time and in memory.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

import wye

from .losses import CASES, PRODUCT, Case
from .memory import peak_memory
from .table import Row, megabytes, milliseconds
from .timing import Run, interleaved

TIME, MEMORY, MEAN = 1.08, 1.0, 0.95


@dataclass(frozen=True)
class Measured:
    """A formula beside its forms by hand."""

    case: Case
    time: float
    memory: float
    peer: str
    note: str
    information: tuple[Row, ...] = ()


def rows() -> list[Row]:
    found = [measured(case) for case in CASES]
    table = [Row(f"{one.case.name}, time", one.time, TIME, one.note) for one in found]
    table += [Row("mean of the times", statistics.mean(one.time for one in found), MEAN)]
    table += [Row(f"{one.case.name}, peak memory", one.memory, MEMORY, f"peer: {one.peer}") for one in found]
    return table + [row for one in found for row in one.information]


def product_rows() -> list[Row]:
    one = measured(PRODUCT)
    return [
        Row("sum(a[i, d] * b[j, d], d), time", one.time, 1.05, one.note),
        Row("sum(a[i, d] * b[j, d], d), peak memory", one.memory, 1.05),
    ]


def measured(case: Case) -> Measured:
    join = wye.Join(case.formula, **case.parts)
    given = case.inputs()
    forms: dict[str, Callable[..., Tensor]] = {**case.forms, **case.shown}
    runs = {"wye": both(join, given), **{name: both(form, given) for name, form in forms.items()}}
    for name, run in runs.items():
        compare(name, run, runs["wye"], given)
    peer = interleaved(runs, seconds=case.seconds / 2).fastest(list(case.forms))
    chosen = {name: runs[name] for name in ("wye", peer, *case.shown)}
    samples = interleaved(chosen, seconds=case.seconds)
    memory = {name: peak_memory(run, partial(clear, given)) for name, run in chosen.items()}
    note = f"{milliseconds(samples.median('wye'))}, {megabytes(memory['wye'])}; {peer}: "
    note += f"{milliseconds(samples.median(peer))}, {megabytes(memory[peer])}"
    information = tuple(
        Row(
            f"{case.name} over {name}, time",
            samples.ratio("wye", name),
            None,
            f"{milliseconds(samples.median(name))}, {megabytes(memory[name])}",
        )
        for name in case.shown
    )
    return Measured(case, samples.ratio("wye", peer), memory["wye"] / memory[peer], peer, note, information)


def both(function: Callable[..., Tensor], given: dict[str, Tensor]) -> Run:
    """Forward and backward, to fresh gradients."""

    def run() -> Tensor:
        clear(given)
        value = function(**given)
        value.backward(None if value.dim() == 0 else torch.ones_like(value))
        return value.detach()

    return run


def clear(given: dict[str, Tensor]) -> None:
    for value in given.values():
        value.grad = None


def compare(name: str, run: Run, ours: Run, given: dict[str, Tensor]) -> None:
    """The forms give one value and one gradient, else comparing their times means nothing."""
    results = []
    for one in (run, ours):
        value = one()
        results.append([value, *(leaf.grad for leaf in given.values() if leaf.requires_grad)])
    torch.testing.assert_close(*results, rtol=1e-3, atol=1e-4, msg=lambda text: f"{name}: {text}")
