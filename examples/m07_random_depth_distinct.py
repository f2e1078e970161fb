"""Random depth over distinct layers.

A die 0..3 per step picks how many of three different middle layers (of equal widths; others are refused when built)
run; log-softmax out.

The die has one value per optimizer step, and the layers beyond it do not exist for that step: no computation, no
gradient, no movement of their weights. In eval nothing is drawn, and all three run.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

import wye


def layer(inputs: int, outputs: int) -> wye.Chain:
    return wye.Chain(nn.Linear(inputs, outputs), nn.ReLU())


def network(width: int = 32) -> wye.Chain:
    """64 -> width, then 0 to 3 of three layers, then the log-probabilities of ten digits."""
    return wye.Chain(
        first=layer(64, width),
        middle=wye.Repeat([layer(width, width), layer(width, width), layer(width, width)], "die(0, 3)"),
        last=nn.Linear(width, 10),
        output="log_softmax(x)",
    )


def objective() -> wye.Objective:
    """The negative log-likelihood."""
    return wye.Objective("-mean(log_p[b, label[b]])")


def main() -> None:
    torch.manual_seed(0)
    digits = load_digits()
    image, label = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)
    train, test = slice(0, 1400), slice(1400, None)
    net, loss = network(), objective()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.005)

    with wye.watch(net, optimizer) as seen:
        for _ in range(160):
            total, _ = loss(net(image[train]), label[train])
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
    print("160 steps, each with a die of its own. Which depths ran, and which weights learned:\n")
    print(seen.table())

    net.eval()
    log_p = net(image[test])
    print(f"\nThe probabilities of a new image sum to {log_p[0].exp().sum().item():.4f}.")
    print("In eval nothing is drawn. Right on new images, at the greatest depth and at each one set by hand:")
    print(f"  {net.middle.times}: {float((log_p.argmax(1) == label[test]).float().mean()):.0%}")
    for depth in range(4):
        net.middle.times = depth
        print(f"  {depth} layers: {float((net(image[test]).argmax(1) == label[test]).float().mean()):.0%}")

    print("\nLayers of unequal widths are refused when built:")
    try:
        wye.Repeat([layer(32, 32), layer(32, 16), layer(16, 32)], "die(0, 3)")
    except wye.WyeError as error:
        print(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
