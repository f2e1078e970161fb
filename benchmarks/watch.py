"""What it costs to be watched: a training step with a watch over one without, and the memory of a long run."""

from __future__ import annotations

import gc
import resource
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

import wye

from .table import Row, milliseconds
from .timing import interleaved

MANY = 100_000


class Block(nn.Module):
    """A residual block of two convolutions."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shorter = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(self.second_norm(self.second(h)) + self.shorter(x))


def mlp() -> tuple[nn.Module, Tensor]:
    layers = [layer for _ in range(6) for layer in (nn.Linear(512, 512), nn.ReLU())]
    return nn.Sequential(*layers[:-1]), torch.randn(256, 512)


def resnet() -> tuple[nn.Module, Tensor]:
    """ResNet-20 as for CIFAR: three stages of three blocks, 16 to 64 channels."""
    widths = (16, 16, 16, 16, 32, 32, 32, 64, 64, 64)
    blocks = [Block(widths[i], widths[i + 1], 2 if widths[i] < widths[i + 1] else 1) for i in range(len(widths) - 1)]
    stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    return nn.Sequential(stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)), torch.randn(
        32, 3, 32, 32
    )


def rows() -> list[Row]:
    return [measured("a step of a 6-layer MLP 512 wide", mlp), measured("a step of a ResNet-20, 32 images", resnet)]


def measured(what: str, make: Callable[[], tuple[nn.Module, Tensor]]) -> Row:
    """Twins that take turns: one is watched, over so many steps that the sampled ones count as they come."""
    runs = {name: stepping(*make(), watched=name == "with") for name in ("with", "without")}
    samples = interleaved(runs, seconds=45.0, rounds=2000, least=0.2)
    note = f"{milliseconds(samples.median('with'))} against {milliseconds(samples.median('without'))}"
    return Row(what, samples.ratio("with", "without"), 1.02, note)


def stepping(net: nn.Module, x: Tensor, watched: bool) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)
    if watched:
        wye.watch(net, optimizer)  # the hooks keep it for as long as the net lives
    target = torch.randn_like(net(x))

    def step() -> None:
        optimizer.zero_grad()
        (net(x) - target).square().mean().backward()
        optimizer.step()

    return step


class Forked(nn.Module):
    """A plain net with a Python `if`: ways, reasons, and a gradient of zeros now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.deep, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.first(x))
        return self.last(self.deep(h) if x[0, 0] > 0 else h)


def memory() -> list[Row]:
    """The account of a run is as large after 100,000 steps as after a few: what the process has grown by, in MB."""
    torch.manual_seed(0)
    net, objective = Forked(), wye.Objective("fit + 0.01 * size", fit="mse(y, target)", size="mean(y ** 2)")
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    batches = [(torch.randn(4, 4), torch.randn(4, 1)) for _ in range(8)]
    seen = wye.watch(net, optimizer, objective, every=10)

    def steps(count: int) -> float:
        for turn in range(count):
            x, target = batches[turn % len(batches)]
            optimizer.zero_grad()
            objective(y=net(x), target=target)[0].backward()
            optimizer.step()
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])  # Linux: what is resident now, no peak
        return pages * resource.getpagesize() / 1e6

    before = steps(1000)
    after = steps(MANY)
    entries = len(seen.terms["fit"].value) + len(seen.weights["last.weight"].movement)
    note = f"{after:.0f} MB in all; {entries} entries in the series of a term and of a weight"
    seen.stop()
    return [Row(f"{MANY:,} steps, a net with `if`, two terms, every 10th looked at", after - before, 50.0, note)]
