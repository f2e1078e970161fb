"""A loop on the data.

`while norm(x) < 10: x = relu(mid(x))`, for the batch or for each sample; bounded; a sample that never enters passes
unchanged; the same weights under another forward at test time.

Digits come in all brightnesses. A dim one goes round the loop until its features are large enough, a bright one never
enters. Each sample leaves when it is done; `max_steps` bounds the loop, and those it stops are counted.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import wye


def network(per: str = "sample", width: int = 32, max_steps: int = 20) -> wye.Chain:
    """64 -> width, the loop, then the scores of ten digits."""
    mid = nn.Linear(width, width)
    with torch.no_grad():
        mid.weight.copy_(1.5 * torch.eye(width))  # a round begins as a growth by one half, and learns from there
    return wye.Chain(
        first=nn.Linear(64, width),
        loop=wye.While("norm(x) < 10", wye.Join("relu(mid(x))", mid=mid), max_steps=max_steps, per=per),
        last=nn.Linear(width, 10),
    )


def fixed_rounds(net: wye.Chain, rounds: int) -> wye.Chain:
    """Another forward over the same weights: as many rounds for every sample."""
    return wye.Chain(first=net.first, loop=wye.Repeat(net.loop.block, rounds), last=net.last)


def from_file(path: Path, rounds: int, width: int = 32) -> wye.Chain:
    """The same for a program that has only the file: a network of its own, with the weights that are in there."""
    block = wye.Join("relu(mid(x))", mid=nn.Linear(width, width))
    net = wye.Chain(first=nn.Linear(64, width), loop=wye.Repeat(block, rounds), last=nn.Linear(width, 10))
    wye.load_weights(net, path)
    return net


def digits_in_all_lights() -> tuple[Tensor, Tensor]:
    """Images of 64 pixels, each brightened by a factor from 0.5 to 8, and the digits they show."""
    digits = load_digits()
    image = torch.tensor(digits.data, dtype=torch.float32) / 16
    return image * torch.linspace(0.5, 8.0, len(image))[torch.randperm(len(image)), None], torch.tensor(digits.target)


def right(net: nn.Module, image: Tensor, label: Tensor) -> str:
    with torch.no_grad():
        return f"{float((net(image).argmax(1) == label).float().mean()):.0%}"


def main() -> None:
    torch.manual_seed(0)
    image, label = digits_in_all_lights()
    train, test = slice(0, 1400), slice(1400, None)

    net = network()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.005)
    with wye.watch(net, optimizer) as seen:
        for _ in range(60):
            loss = nn.functional.cross_entropy(net(image[train]), label[train])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    print("60 training steps, each sample with a loop of its own:\n")
    print(seen.table())

    large = torch.full((1, 32), 5.0)
    same = torch.equal(net.loop(large), large)
    print(f"\nA value of norm {float(large.norm()):.1f} never enters, and is unchanged: {same}")
    few = network("batch")
    few(image[:4] / 8)
    rounds = few.loop.paths["block"].calls
    print(f"With per='batch' the norm is that of the whole batch: 4 dim images went {rounds} rounds, all together.")

    print("\nThe same weights under other forwards, right on new images:")
    print(f"  as trained, {net.loop.condition}: {right(net, image[test], label[test])}")
    net.loop.condition = "norm(x) < 20"
    print(f"  with {net.loop.condition}: {right(net, image[test], label[test])}")
    for rounds in (0, 2, 4):
        print(f"  {rounds} rounds for every sample: {right(fixed_rounds(net, rounds), image[test], label[test])}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "loop.safetensors")
        wye.save(net, path)
        print(f"  4 rounds, from a file alone: {right(from_file(path, 4), image[test], label[test])}")
        print(
            f"  the file as it is, {wye.load(path).loop.condition}: {right(wye.load(path), image[test], label[test])}"
        )

    bounded = wye.While("norm(x) < 10", net.loop.block, max_steps=2)
    bounded(torch.zeros(3, 32))
    print(f"\nOf 3 samples of zeros, {bounded.paths['stopped'].samples} were stopped after 2 rounds.")
    try:
        wye.While("norm(x) < 10", net.loop.block, max_steps=2, on_limit="error")(torch.zeros(3, 32))
    except wye.WyeError as error:
        print(f"Or, asked to be strict:\n{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
