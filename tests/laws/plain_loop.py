"""What a nesting means, said by a plain Python loop over samples; no line of wye is used here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tests.laws.blocks import Gained, Pitched, each, first
from tests.laws.nestings import Drawn, Spec
from tests.laws.plain_dice import chosen

ROWS = ("control", "gain", "ticket", "column")
TOKENWISE = ("pitch", "offset", "mark")
Sample = tuple[Any, dict[str, Any]]


def split(x: Any, sides: dict[str, Any]) -> list[Sample]:
    """A batch in single samples, each a batch of one."""

    def own(name: str, value: Any, i: int) -> Any:
        return value[i : i + 1] if name in ROWS + TOKENWISE else value

    return [
        (each(lambda item, i=i: item[i : i + 1], x), {name: own(name, value, i) for name, value in sides.items()})
        for i in range(len(first(x)))
    ]


def tokens(sample: Sample) -> list[Sample]:
    """A sample in single tokens; what holds for the sample holds for each of them."""
    x, sides = sample
    if first(x).dim() == 2:
        return [sample]
    return [
        (
            each(lambda item, t=t: item[:, t], x),
            {name: value[:, t] if name in TOKENWISE else value for name, value in sides.items()},
        )
        for t in range(first(x).shape[1])
    ]


class Loop:
    """Runs a nesting one sample at a time.

    Args:
        drawn: the nesting.
        layers: its layers, or a copy of them.
        bits: 32 random bits for each die.
    """

    def __init__(self, drawn: Drawn, layers: nn.ModuleList, bits: Mapping[int, int]) -> None:
        self.drawn, self.layers, self.bits = drawn, layers, bits

    def __call__(self, x: Any, sides: dict[str, Any]) -> Any:
        done = self.run(self.drawn.spec, split(x, sides))
        return each(lambda *rows: torch.cat(rows), *done)

    def run(self, spec: Spec | None, samples: list[Sample]) -> list[Any]:
        """The samples that come to a node, each as it leaves it."""
        if spec is None or not samples:
            return [x for x, _ in samples]
        if spec.kind in ("layer", "formula"):
            return [self.leaf(spec, x, sides) for x, sides in samples]
        if spec.kind == "chain":
            for inner in spec.inner:
                samples = self.through(inner, samples)
            return [x for x, _ in samples]
        if spec.per == "token" and first(samples[0][0]).dim() == 3:
            texts = [tokens(sample) for sample in samples]
            done = iter(self.decided(spec, [token for text in texts for token in text]))
            return [each(lambda *rows: torch.stack(rows, 1), *(next(done) for _ in text)) for text in texts]
        return self.decided(spec, samples)

    def decided(self, spec: Spec, samples: list[Sample]) -> list[Any]:
        if spec.kind == "choice":
            weights = (1.0,) * len(spec.inner) if spec.weights is None else spec.weights
            return self.run(spec.inner[chosen(self.bits[spec.place], weights)], samples)
        if spec.kind == "exit":
            return self.leaving(spec, samples)
        if spec.kind == "while":
            return self.loop(spec, samples, lambda step, live, now: self.says(spec, now), spec.steps)
        said = self.says(spec, samples)
        if spec.kind.startswith("repeat"):
            return self.loop(spec, samples, lambda step, live, now: [said[i] > step for i in live], max(map(int, said)))
        places = [int(one) if spec.kind == "switch" else 1 - bool(one) for one in said]
        return self.branches(spec, samples, places)

    def through(self, spec: Spec | None, samples: list[Sample]) -> list[Sample]:
        return [(new, sides) for new, (_, sides) in zip(self.run(spec, samples), samples, strict=True)]

    def leaf(self, spec: Spec, x: Any, sides: dict[str, Any]) -> Any:
        if spec.kind == "formula":
            return torch.tanh(x) * sides["scale"] + sides["level"]
        layer = self.layers[spec.place]
        if isinstance(layer, Gained):
            return layer(x, sides["gain"], sides["table"], sides["scale"])
        return layer(x, sides["pitch"], sides["offset"]) if isinstance(layer, Pitched) else layer(x)

    def says(self, spec: Spec, samples: list[Sample]) -> list[Any]:
        """What decides, for each sample; where it is per batch, from all that came, for all alike."""
        rule = spec.rule
        assert rule is not None
        bits = {} if rule.place is None else {"bits": self.bits[spec.place]}
        with torch.no_grad():
            if rule.per == "sample":
                return [rule.plain(first(x), {**sides, **bits}) for x, sides in samples]
            whole = torch.cat([first(x) for x, _ in samples])
            sides = {
                name: torch.cat([own[name] for _, own in samples])
                if isinstance(value, Tensor) and value.dim()
                else value
                for name, value in samples[0][1].items()
                if name != "table"
            }
            return [rule.plain(whole, {**sides, **bits})] * len(samples)

    def branches(self, spec: Spec, samples: list[Sample], places: list[int]) -> list[Any]:
        """Each sample on its branch; where there is none it passes."""
        done = [x for x, _ in samples]
        for branch, inner in enumerate(spec.inner):
            taken = [i for i, place in enumerate(places) if place == branch]
            for i, new in zip(taken, self.run(inner, [samples[i] for i in taken]), strict=True):
                done[i] = new
        return done

    def loop(self, spec: Spec, samples: list[Sample], goes: Callable[..., list[Any]], most: int) -> list[Any]:
        samples, live = list(samples), list(range(len(samples)))
        for step in range(most):
            if not live:
                break
            going = goes(step, live, [samples[i] for i in live])
            live = [i for i, on in zip(live, going, strict=True) if on]
            block = spec.inner[step] if spec.kind == "repeat_list" else spec.inner[0]
            for i, new in zip(live, self.through(block, [samples[i] for i in live]), strict=True):
                samples[i] = new
        return [x for x, _ in samples]

    def leaving(self, spec: Spec, samples: list[Sample]) -> list[Any]:
        """Stages, and after each the samples leave that its exit is sure of."""
        done: list[Any] = [None] * len(samples)
        live = list(range(len(samples)))
        for place, (stage, out) in enumerate(zip(spec.inner, spec.exits, strict=True)):
            samples = self.through(stage, samples)
            said = self.through(out, samples)
            last = place == len(spec.inner) - 1
            sure = [True] * len(said) if last or not said else self.says(spec, said)
            for i, (outcome, _), leaves in zip(live, said, sure, strict=True):
                done[i] = outcome if leaves else done[i]
            live = [i for i, leaves in zip(live, sure, strict=True) if not leaves]
            samples = [sample for sample, leaves in zip(samples, sure, strict=True) if not leaves]
        return done
