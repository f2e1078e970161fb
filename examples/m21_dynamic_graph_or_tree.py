"""A dynamic graph, or a tree of branches?

On the networks of random depth: the paths that ran, how often, on how many samples.

A forward may be written as a loop and still be a tree: everything is computed, and one result is picked. Which of the
two it is, one sees by what ran. `ways` tells, for any module, which layers each call of it ran, in which order; `paths`
tells the same of a wye network by the names of its nodes. Here are three middle layers of which a die takes the first
0 to 3, one layer that runs 0 to 3 times, and, for comparison, a tree that computes all four depths and picks one.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import wye

STEPS, BATCH = 200, 64


class Plain(nn.Module):
    """64 -> width, then three layers of which a die takes the first 0 to 3, or one that runs as often, then ten."""

    def __init__(self, shared: bool = False, width: int = 32) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(64, width), nn.Linear(width, 10)
        self.middle = nn.ModuleList(nn.Linear(width, width) for _ in range(1 if shared else 3))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        for place in range(random.randint(0, 3)):
            x = torch.relu(self.middle[place % len(self.middle)](x))
        return torch.log_softmax(self.last(x), dim=-1)


class Tree(Plain):
    """The same values, but every depth is computed, and one is picked."""

    def forward(self, x: Tensor) -> Tensor:
        depths = [torch.relu(self.first(x))]
        for layer in self.middle:
            depths.append(torch.relu(layer(depths[-1])))
        return torch.log_softmax(self.last(torch.stack(depths)[random.randint(0, 3)]), dim=-1)


def network(shared: bool = False, width: int = 32) -> wye.Chain:
    """The same as wye."""
    blocks = [wye.Chain(nn.Linear(width, width), nn.ReLU()) for _ in range(1 if shared else 3)]
    first = wye.Chain(nn.Linear(64, width), nn.ReLU())
    middle = wye.Repeat(blocks[0] if shared else blocks, "die(0, 3)")
    return wye.Chain(first, middle=middle, last=nn.Linear(width, 10), output="log_softmax(x)")


def train(net: nn.Module, image: Tensor, label: Tensor, steps: int = STEPS) -> wye.Watch:
    """Some steps of Adam, watched."""
    optimizer = torch.optim.Adam(net.parameters(), lr=0.005)
    with wye.watch(net, optimizer) as seen:
        for _ in range(steps):
            rows = torch.randperm(len(image))[:BATCH]
            optimizer.zero_grad()
            nn.functional.nll_loss(net(image[rows]), label[rows]).backward()
            optimizer.step()
    return seen


def answer(seen: wye.Watch) -> str:
    """From how many middle layers each way runs, and how often they ran in all."""
    if seen.paths:  # of a wye network
        ran = [depth for depth in range(4) if seen.paths[f"middle.times {depth}"].calls]
        calls = sum(path.calls for name, path in seen.paths.items() if "times" not in name)
    else:
        ran = sorted(sum(name.startswith("middle") for name in way) for way in seen.ways)
        calls = sum(path.calls for name, path in seen.modules.items() if name.startswith("middle"))
    if len(ran) == 1:
        return f"A tree of branches: every call ran the middle layers {ran[0]} times, {calls} in all, whatever the die."
    return (
        f"A dynamic graph: {len(ran)} different graphs, with {', '.join(map(str, ran))} middle layers.\n"
        f"They ran {calls} times in all, as the die fell; a tree would have run them {3 * STEPS} times."
    )


def main() -> None:
    random.seed(0)
    digits = load_digits()
    image, label = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)
    nets: dict[str, Callable[[], nn.Module]] = {
        "three layers, plain": Plain,
        "three layers, wye": network,
        "one layer, plain": lambda: Plain(shared=True),
        "one layer, wye": lambda: network(shared=True),
        "three layers, all computed and one picked": Tree,
    }
    for name, make in nets.items():
        torch.manual_seed(0)
        seen = train(make(), image, label)
        print(f"{name}\n{answer(seen)}")
        ways = seen.paths or {" > ".join(way): seen.ways[way] for way in sorted(seen.ways, key=len)}
        for way, path in ways.items():
            print(f"  {way:48}{path.calls:5} calls{path.samples:7} samples")
        print()


if __name__ == "__main__":
    main()
