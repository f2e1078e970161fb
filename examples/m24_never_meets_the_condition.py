"""What if a sample never meets the condition?

On the loop over the data, `while norm(x) < 10: x = relu(mid(x))`: it passes through; counted and shown; weights it did
not use stay bit-identical.

Digits come in all brightnesses, and batches take turns: dim ones, mixed ones, and glaring ones, of which no sample
enters. Plain torch loops for the batch, wye for each sample. On steps on which nobody enters, the layer in the loop has
no gradient, so that AdamW, which would move it by momentum and by decay, leaves it as it is.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import wye

STEPS, BATCH, MOST = 60, 64, 4


class Plain(nn.Module):
    """64 -> width, the loop for the whole batch, ten scores; in plain torch."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.first, self.mid, self.last = nn.Linear(64, width), growing(width), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for _ in range(MOST):
            if x.norm() >= 10:
                break
            x = torch.relu(self.mid(x))
        return self.last(x)


def growing(width: int) -> nn.Linear:
    """A layer whose round begins as a growth by one half, and learns from there."""
    mid = nn.Linear(width, width)
    with torch.no_grad():
        mid.weight.copy_(1.5 * torch.eye(width))
    return mid


def network(width: int = 32) -> wye.Chain:
    """The loop for each sample."""
    loop = wye.While("norm(x) < 10", wye.Join("relu(mid(x))", mid=growing(width)), max_steps=MOST)
    return wye.Chain(first=nn.Linear(64, width), loop=loop, last=nn.Linear(width, 10))


def batches(steps: int = STEPS) -> list[tuple[Tensor, Tensor]]:
    """In turn: all dim; from dim to bright; so bright that no sample enters a loop."""
    digits = load_digits()
    image, label = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)
    made = []
    for step in range(steps):
        rows = torch.randperm(len(image))[:BATCH]
        low, high = ((0.0, 0.1), (0.0, 20.0), (200.0, 400.0))[step % 3]
        made.append((image[rows] * torch.linspace(low, high, BATCH)[:, None], label[rows]))
    return made


def train(net: nn.Module, block: str, given: list[tuple[Tensor, Tensor]]) -> wye.Watch:
    """Steps of AdamW; how often the loop's block did not run, and whether its weights moved all the same."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.003, weight_decay=0.1)
    weights = list(net.get_submodule(block).parameters())
    still = moved = 0
    with wye.watch(net, optimizer) as seen:
        for x, label in given:
            ran, before = seen.modules[block].calls, [weight.detach().clone() for weight in weights]
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x), label).backward()
            optimizer.step()
            if seen.modules[block].calls == ran:
                still += 1
                moved += not all(map(torch.equal, before, weights))
    print(f"On {still} of {len(given)} steps nobody entered; on {moved} of these its weights moved by a bit.")
    print("\n".join(line for line in seen.table().splitlines() if "no gradient" in line))
    return seen


def main() -> None:
    torch.manual_seed(0)
    given = batches()

    print("Plain torch, a loop for the whole batch")
    seen = train(Plain(), "mid", given)
    for way in sorted(seen.ways, key=len):
        print(f"  {' > '.join(way):40}{seen.ways[way].calls:4} calls{seen.ways[way].samples:6} samples")

    print("\nwye, a loop for each sample")
    net = network()
    seen = train(net, "loop.block", given)
    for name, path in seen.paths.items():
        print(f"  {name:40}{path.calls:4} calls{path.samples:6} samples")

    large = torch.full((3, 32), 5.0, requires_grad=True)
    out = net.loop(large)
    (slope,) = torch.autograd.grad(out.sum(), large)
    print(f"\nThree values of norm {float(large[0].norm().detach()):.1f} never enter: ", end="")
    print(f"unchanged {torch.equal(out, large)}, gradient one {torch.equal(slope, torch.ones_like(slope))}.")


if __name__ == "__main__":
    main()
