"""How are the weights updated?

On the networks of random depth, and on a net that sends its input through one Linear(4, 1) or another by a fair coin:
for every weight and step, gradient None, zero or not, and how it moved: by gradient, by momentum, by decay.

A weight without a gradient is left alone by its optimizer. One whose gradient is zero is not: momentum and decay move
it. In plain torch the side that the coin did not choose has no gradient, as long as gradients are cleared to None; with
`zero_grad(set_to_none=False)` it has zeros, and drifts. A wye network stays still either way.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
from sklearn.datasets import load_digits, load_iris
from torch import Tensor, nn
from torch.nn import functional as F

import wye


class Depth(nn.Module):
    """64 -> width, then three layers of which a die takes the first 0 to 3, or one that runs as often, then ten."""

    def __init__(self, shared: bool = False, width: int = 16) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(64, width), nn.Linear(width, 10)
        self.middle = nn.ModuleList(nn.Linear(width, width) for _ in range(1 if shared else 3))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        for place in range(random.randint(0, 3)):
            x = torch.relu(self.middle[place % len(self.middle)](x))
        return torch.log_softmax(self.last(x), dim=-1)


class Coin(nn.Module):
    """One Linear(4, 1) or another."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.tails = nn.Linear(4, 1), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.heads(x) if random.random() < 0.5 else self.tails(x)


def depth_network(shared: bool = False, width: int = 16) -> wye.Chain:
    """`Depth` as wye."""
    blocks = [wye.Join("relu(layer(x))", layer=nn.Linear(width, width)) for _ in range(1 if shared else 3)]
    middle = wye.Repeat(blocks[0] if shared else blocks, "die(0, 3)")
    first, last = wye.Chain(nn.Linear(64, width), nn.ReLU()), nn.Linear(width, 10)
    return wye.Chain(first=first, middle=middle, last=last, output="log_softmax(x)")


def coin_network() -> wye.Chain:
    """`Coin` as wye."""
    return wye.Chain(side=wye.RandomChoice(nn.Linear(4, 1), nn.Linear(4, 1)))


def train(net: nn.Module, x: Tensor, y: Tensor, to_none: bool, steps: int = 60) -> wye.Watch:
    """Steps of SGD with momentum and decay; every element of every weight is looked at on every step."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=0.01)
    with wye.watch(net, optimizer, every=1, elements=None) as seen:
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=to_none)
            loss = F.mse_loss(net(x), y) if y.is_floating_point() else F.nll_loss(net(x), y)
            loss.backward()
            optimizer.step()
    return seen


def show(seen: wye.Watch) -> None:
    """The steps by the state of the gradient, and how far each cause alone moved the weight over all steps."""
    print(f"  {'':26}{'non-zero':>9}{'zero':>6}{'none':>6}{'by gradient':>13}{'by momentum':>13}{'by decay':>10}")
    for name, one in seen.weights.items():
        parts = f"{one.by_gradient:13.4f}{one.by_momentum:13.4f}{one.by_decay:10.4f}"
        print(f"  {name:26}{one.nonzero:9}{one.zero:6}{one.none:6}{parts}")
    told = [f"  {line}" for line in seen.table().splitlines() if "moved on" in line]
    print("\n".join(told or ["  none moved without a gradient"]))


def show_steps(seen: wye.Watch, name: str, count: int = 6) -> None:
    """The first steps of one weight."""
    print(f"  {name}, step by step:")
    moves = dict(seen.weights[name].movement)
    for step in range(count):
        gradient, momentum, decay = moves.get(step, (0.0, 0.0, 0.0))
        state = ("non-zero" if gradient else "zero") if step in moves else "none"
        print(f"    {step} {state:10}by gradient {gradient:.4f}, by momentum {momentum:.4f}, by decay {decay:.4f}")


def main() -> None:
    digits, iris = load_digits(), load_iris()
    images = torch.tensor(digits.data[:200] / 16).float(), torch.tensor(digits.target[:200])
    flowers = torch.tensor(iris.data).float(), torch.tensor(iris.target[:, None]).float()
    nets: dict[str, Callable[[], nn.Module]] = {
        "three layers, plain": Depth,
        "three layers, wye": depth_network,
        "one layer, plain": lambda: Depth(shared=True),
        "one layer, wye": lambda: depth_network(shared=True),
        "a coin, plain": Coin,
        "a coin, wye": coin_network,
    }
    for name, make in nets.items():
        for to_none in (True, False):
            random.seed(0)
            torch.manual_seed(0)
            seen = train(make(), *(flowers if "coin" in name else images), to_none)
            print(f"{name}, zero_grad({'' if to_none else 'set_to_none=False'})")
            show(seen)
            if "coin" in name:
                show_steps(seen, next(iter(seen.weights)))
            print()


if __name__ == "__main__":
    main()
