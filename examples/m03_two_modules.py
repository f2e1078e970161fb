"""Two modules on one input, joined by an operator.

`a(x) op b(x)`, weights of both trained.

A linear model and a small network both see the same patients and guess the progress of their diabetes. `Join.of`
writes the formula from the name of an operator; the formula can also be written by hand, and switched later.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_diabetes
from torch import Tensor, nn

import wye

OPERATORS = ("+", "-", "*", "/", "max", "min", "mean")


def modules(features: int = 10, width: int = 16) -> tuple[nn.Module, nn.Module]:
    """A linear model, and a network whose value is positive, so that one can divide by it."""
    wide = nn.Linear(features, 1)
    deep = nn.Sequential(nn.Linear(features, width), nn.Tanh(), nn.Linear(width, 1), nn.Softplus())
    return wide, deep


def two_modules(operator: str) -> wye.Join:
    """`a(x) op b(x)`, with fresh weights."""
    return wye.Join.of(operator, *modules())


def patients() -> tuple[Tensor, Tensor]:
    """442 patients with ten measurements each, and the progress of the disease; both standardised."""
    data = load_diabetes()
    x, y = (torch.tensor(values, dtype=torch.float32) for values in (data.data, data.target[:, None]))
    return (x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std()


def train(net: nn.Module, x: Tensor, y: Tensor, steps: int) -> float:
    """Some steps of Adam; the mean squared error before the last of them."""
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    error = torch.zeros(())
    for _ in range(steps):
        error = nn.functional.mse_loss(net(x), y)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    return error.item()


def moved(module: nn.Module, before: dict[str, Tensor]) -> float:
    """How far the weights of a module went from where they were."""
    return float(sum((value - before[name]).square().sum() for name, value in module.state_dict().items()) ** 0.5)


def main() -> None:
    x, y = patients()
    print("Two modules on one input, trained together for 150 steps (an error of 1 is that of the plain mean):")
    for operator in OPERATORS:
        torch.manual_seed(0)
        net = two_modules(operator)
        before = [{name: value.clone() for name, value in part.state_dict().items()} for part in (net.a, net.b)]
        error = train(net, x, y, steps=150)
        ways = [moved(part, was) for part, was in zip((net.a, net.b), before, strict=True)]
        print(f"  {net.formula!s:20} error {error:.3f}; weights moved by {ways[0]:.2f} in a, {ways[1]:.2f} in b")

    torch.manual_seed(0)
    linear, network = modules()
    net = wye.Join("a(x) + b(x)", a=linear, b=network)
    train(net, x, y, steps=75)
    net.formula = "a(x) * sigmoid(b(x)) + b(x)"
    print(f"\nSwitched after 75 steps to {net.formula}: error {train(net, x, y, steps=75):.3f}")

    print("\nAn unknown operator:")
    try:
        two_modules("plus")
    except wye.WyeError as error:
        print(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
