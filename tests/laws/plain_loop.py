"""What a nesting means, said by a plain Python loop over samples; no line of wye is used here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tests.laws.nestings import Drawn, Gained, Rule, Spec

ROWS = ("control", "gain", "ticket", "column")


def first(value: Any) -> Tensor:
    """The item that conditions read."""
    return value["a"] if isinstance(value, dict) else value[0] if isinstance(value, tuple) else value


def each(function: Callable[..., Tensor], *values: Any) -> Any:
    """A function of the tensors of values, in their nest."""
    if isinstance(values[0], dict):
        return {key: function(*(value[key] for value in values)) for key in values[0]}
    if isinstance(values[0], tuple):
        return tuple(function(*items) for items in zip(*values, strict=True))
    return function(*values)


class Loop:
    """Runs a nesting one sample at a time.

    Args:
        drawn: the nesting.
        layers: its layers, or a copy of them.
        falls: what each die shows.
    """

    def __init__(self, drawn: Drawn, layers: nn.ModuleList, falls: Mapping[int, int]) -> None:
        self.drawn, self.layers, self.falls = drawn, layers, falls

    def __call__(self, x: Any, sides: dict[str, Any]) -> Any:
        size = len(first(x))
        samples = []
        for i in range(size):
            own = {name: value[i : i + 1] if name in ROWS else value for name, value in sides.items()}
            samples.append((each(lambda item, i=i: item[i : i + 1], x), own))
        done = self.run(self.drawn.spec, samples)
        return each(lambda *rows: torch.cat(rows), *done)

    def run(self, spec: Spec, samples: list[tuple[Any, dict[str, Any]]]) -> list[Any]:
        """The samples that come to a node, each as it leaves it."""
        if not samples:
            return []
        if spec.kind in ("layer", "formula"):
            return [self.leaf(spec, x, sides) for x, sides in samples]
        if spec.kind == "chain":
            for inner in spec.inner:
                samples = self.through(inner, samples)
            return [x for x, _ in samples]
        assert spec.rule is not None
        if spec.kind == "when":
            return self.when(spec, samples)
        if spec.kind == "while":
            return self.loop(spec, samples, lambda step, counts, now: self.says(spec.rule, now), spec.steps)
        times = [self.falls[spec.place]] * len(samples) if spec.rule.die else self.says(spec.rule, samples)
        return self.loop(spec, samples, lambda step, live, now: [times[i] > step for i in live], max(map(int, times)))

    def through(self, spec: Spec, samples: list[tuple[Any, dict[str, Any]]]) -> list[tuple[Any, dict[str, Any]]]:
        return [(new, sides) for new, (_, sides) in zip(self.run(spec, samples), samples, strict=True)]

    def leaf(self, spec: Spec, x: Any, sides: dict[str, Any]) -> Any:
        if spec.kind == "formula":
            return torch.tanh(x) * sides["scale"] + sides["level"]
        layer = self.layers[spec.place]
        if isinstance(layer, Gained):
            return layer(x, sides["gain"], sides["table"], sides["scale"])
        return layer(x)

    def says(self, rule: Rule | None, samples: list[tuple[Any, dict[str, Any]]]) -> list[Any]:
        """What decides, for each sample; where it is per batch, from all that came, for all alike."""
        assert rule is not None
        with torch.no_grad():
            if rule.per == "sample":
                return [rule.plain(first(x), sides) for x, sides in samples]
            whole = torch.cat([first(x) for x, _ in samples])
            sides = {
                name: torch.cat([own[name] for _, own in samples]) if name in ROWS else value
                for name, value in samples[0][1].items()
            }
            return [rule.plain(whole, sides)] * len(samples)

    def when(self, spec: Spec, samples: list[tuple[Any, dict[str, Any]]]) -> list[Any]:
        taken = self.says(spec.rule, samples)
        done = [x for x, _ in samples]
        for branch, truth in zip(spec.inner, (True, False), strict=False):
            places = [i for i, one in enumerate(taken) if bool(one) is truth]
            for i, new in zip(places, self.run(branch, [samples[i] for i in places]), strict=True):
                done[i] = new
        return done

    def loop(
        self, spec: Spec, samples: list[tuple[Any, dict[str, Any]]], goes: Callable[..., list[Any]], most: int
    ) -> list[Any]:
        samples = list(samples)
        live = list(range(len(samples)))
        for step in range(most):
            if not live:
                break
            going = goes(step, live, [samples[i] for i in live])
            live = [i for i, on in zip(live, going, strict=True) if on]
            block = spec.inner[step] if spec.kind == "repeat list" else spec.inner[0]
            for i, new in zip(live, self.through(block, [samples[i] for i in live]), strict=True):
                samples[i] = new
        return [x for x, _ in samples]
