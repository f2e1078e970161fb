"""What does the saved model look like?

On random depth over distinct layers (M7) and over one shared layer (M8): every saved key and which path reads it; loads
into another forward over the same parts.

Both networks are trained on digits for a while, saved, and their files asked what they hold. Then the weights go into
networks that run them otherwise: two layers for every sample, and samples that decide for themselves when to stop. In a
program that knows nothing of them a file builds its network again. One flipped bit is refused.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import wye

WIDTH = 32


def layer(inputs: int, outputs: int) -> wye.Chain:
    return wye.Chain(nn.Linear(inputs, outputs), nn.ReLU())


def network(middle: nn.Module) -> wye.Chain:
    """64 -> width, what stands in the middle, and the log-probabilities of ten digits."""
    return wye.Chain(first=layer(64, WIDTH), middle=middle, last=nn.Linear(WIDTH, 10), output="log_softmax(x)")


def distinct() -> wye.Chain:
    return network(wye.Repeat([layer(WIDTH, WIDTH) for _ in range(3)], "die(0, 3)"))


def shared() -> wye.Chain:
    return network(wye.Repeat(layer(WIDTH, WIDTH), "die(0, 3)"))


def first_two() -> wye.Chain:
    """Another forward over the parts of `distinct`: the first two layers, for every sample."""
    return network(nn.Sequential(layer(WIDTH, WIDTH), layer(WIDTH, WIDTH)))


def deciding() -> wye.Chain:
    """Another forward over the parts of `shared`: a sample goes on while no feature of it is large."""
    return network(wye.While("max(x) < 4", layer(WIDTH, WIDTH), max_steps=3))


def digits() -> tuple[Tensor, Tensor]:
    data = load_digits()
    return torch.tensor(data.data, dtype=torch.float32) / 16, torch.tensor(data.target)


def train(net: wye.Chain, image: Tensor, label: Tensor, steps: int = 160) -> None:
    optimizer = torch.optim.Adam(net.parameters(), lr=0.005)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.nll_loss(net(image), label).backward()
        optimizer.step()


def right(net: nn.Module, image: Tensor, label: Tensor) -> str:
    with torch.no_grad():
        return f"{float((net.eval()(image).argmax(1) == label).float().mean()):.0%}"


def title(middle: nn.Module) -> str:
    """What stands in the middle, in one line."""
    return middle.line if isinstance(middle, wye.While) else f"{len(list(middle.children()))} layers for every sample"


ELSEWHERE = """
import sys, torch, wye
net = wye.load(sys.argv[1])
image, label = torch.load(sys.argv[2], weights_only=True)
print(f"  {float((net(image).argmax(1) == label).float().mean()):.0%}, through {net.middle.line}")
"""


def main() -> None:
    torch.manual_seed(0)
    image, label = digits()
    training, test = slice(0, 1400), slice(1400, None)
    nets = {"distinct": distinct(), "shared": shared()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {key: folder / f"{key}.safetensors" for key in nets}
        for key, net in nets.items():
            train(net, image[training], label[training])
            wye.save(net.eval(), files[key])
            print(str(wye.inspect(files[key])).replace(f"{folder}/", ""), end="\n\n")

        print("The same weights under other forwards, right on new images:")
        for key, other in (("distinct", first_two()), ("shared", deciding())):
            report = wye.load_weights(other, files[key], strict=False)
            print(f"\n  {nets[key].middle.line}: {right(nets[key], image[test], label[test])}")
            print(f"  {title(other.middle)}: {right(other, image[test], label[test])}")
            print("    " + str(report).replace("\n", "\n    "))

        print("\nIn a program that knows nothing of it, the file alone:")
        torch.save((image[test], label[test]), folder / "digits.pt")
        command = [sys.executable, "-c", ELSEWHERE, str(files["distinct"]), str(folder / "digits.pt")]
        print(subprocess.run(command, capture_output=True, text=True, check=True).stdout, end="")

        print("\nWith one bit flipped:")
        data = bytearray(files["distinct"].read_bytes())
        data[-100] ^= 1
        files["distinct"].write_bytes(data)
        try:
            wye.load(files["distinct"])
        except wye.WyeError as error:
            print(f"{type(error).__name__}: {error}".replace(f"{folder}/", ""))


if __name__ == "__main__":
    main()
