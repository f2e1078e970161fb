"""Random depth over one shared layer.

The same layer applied 0..3 times.

A die 0..3 falls once per optimizer step. The layer's weights get the sum of the gradients of all its rounds; on a step
with no round they get none, and stay as they are.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

import wye


def network(width: int = 32) -> wye.Chain:
    """64 -> width, then one layer 0 to 3 times, then the scores of ten digits."""
    return wye.Chain(
        first=nn.Linear(64, width),
        active=nn.ReLU(),
        middle=wye.Repeat(wye.Chain(nn.Linear(width, width), nn.ReLU()), "die(0, 3)"),
        last=nn.Linear(width, 10),
    )


def main() -> None:
    torch.manual_seed(0)
    digits = load_digits()
    image, label = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)
    train, test = slice(0, 1400), slice(1400, None)
    net = network()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.005)

    with wye.watch(net, optimizer) as seen:
        for _ in range(160):
            total = nn.functional.cross_entropy(net(image[train]), label[train])
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
    print("160 steps, each with a die of its own. How often the layer ran, and which weights learned:\n")
    print(seen.table())
    print(f"\nThe layer is owned and saved once: {', '.join(key for key in net.state_dict() if 'block' in key)}")

    net.eval()
    print("\nRight on new images, by how often the layer runs (five times was never trained):")
    for depth in (0, 1, 2, 3, 5):
        net.middle.times = depth
        print(f"  {depth} times: {float((net(image[test]).argmax(1) == label[test]).float().mean()):.0%}")


if __name__ == "__main__":
    main()
