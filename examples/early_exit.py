"""Early exit.

A deep network has an exit after each stage, and a sample leaves at the first exit that is sure of it.

Easy digits are known after one stage, hard ones need all four. The stages and exits are trained together, with the sum
of the losses of all exits. Afterwards `until` decides, sample by sample, and its threshold, an input like any other,
trades accuracy for depth with not a weight changed. `paths` counts how many samples each stage truly ran on: their sum
over the number of samples is the mean depth. The curve of the one over the other is drawn into a file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from torch import Tensor, nn

import wye

DEPTH = 4
THRESHOLDS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0)


def network(width: int = 12) -> wye.EarlyExit:
    """Four convolutions with an exit each; a sample leaves where its likeliest digit is likelier than `threshold`."""
    stages = [
        nn.Sequential(nn.Conv2d(1 if place == 0 else width, width, 3, padding=1), nn.ReLU()) for place in range(DEPTH)
    ]
    exits = [nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(4 * width, 10)) for _ in range(DEPTH)]
    return wye.EarlyExit(stages, exits, until="max(softmax(x)) > threshold")


def objective() -> wye.Objective:
    """The sum of the cross entropies of all exits, each of which is a term of its own."""
    terms = [f"cross_entropy(logits[{place}], label)" for place in range(DEPTH)]
    return wye.Objective(" + ".join(terms))


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images (N, 1, 8, 8) and labels (N,) to learn from, and held out."""
    data = load_digits()
    order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
    image = torch.tensor(data.images, dtype=torch.float32)[order, None] / 16
    label = torch.tensor(data.target)[order]
    return image[360:], label[360:], image[:360], label[:360]


def train(net: wye.EarlyExit, image: Tensor, label: Tensor, epochs: int = 40) -> None:
    """Every sample runs everything, for all exits to learn from it."""
    loss, optimizer = objective(), torch.optim.AdamW(net.parameters(), lr=6e-3, weight_decay=0.01)
    net.all_exits = True
    for _ in range(epochs):
        for rows in torch.randperm(len(label)).split(64):
            total, _ = loss(net(image[rows]), label[rows])
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
    net.all_exits = False


@torch.no_grad()
def sweep(net: wye.EarlyExit, image: Tensor, label: Tensor) -> list[tuple[float, float, float]]:
    """For each threshold the mean depth, counted by `paths`, and the accuracy."""
    net.eval()
    found = []
    stages = [net.paths[f"stage{place}"] for place in range(DEPTH)]
    for threshold in THRESHOLDS:
        before = sum(stage.samples for stage in stages)
        right = net(image, threshold=threshold).argmax(1) == label
        depth = (sum(stage.samples for stage in stages) - before) / len(label)
        found.append((threshold, depth, float(right.float().mean())))
    return found


def draw(found: list[tuple[float, float, float]], path: Path) -> None:
    """Accuracy against mean depth, each point with its threshold; no screen is needed."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([depth for _, depth, _ in found], [100 * right for *_, right in found], "o-")
    for threshold, depth, right in found:
        axes.annotate(f"{threshold:g}", (depth, 100 * right), textcoords="offset points", xytext=(4, -12), fontsize=8)
    axes.set(xlabel="mean depth, in stages", ylabel="right on new digits, in %", title="Leave when sure: thresholds")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def main(path: Path = Path("build/early_exit.png")) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)  # the layers are small: one thread is as fast as two
    image, label, new_image, new_label = digits()
    net = network()
    train(net, image, label)
    found = sweep(net, new_image, new_label)
    print(f"{len(new_label)} new digits, each leaves where the likeliest answer is above a threshold:\n")
    print("threshold  mean depth  of full  right")
    for threshold, depth, right in found:
        print(f"{threshold:9g}  {depth:10.2f}  {depth / DEPTH:7.0%}  {right:5.1%}")

    before = [net.paths[f"exit{place}"].samples for place in range(DEPTH)]
    with torch.no_grad():
        net(new_image, threshold=0.9)
    left = [net.paths[f"exit{place}"].samples - count for place, count in enumerate(before)]
    print(f"\nAt 0.9, by the stage after which they left: {', '.join(map(str, left))} digits.")
    draw(found, path)
    print(f"The curve is drawn in {path}.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Samples leave a deep network as soon as an exit is sure of them.")
    parser.add_argument("--plot", type=Path, default=Path("build/early_exit.png"), help="where the curve is drawn")
    main(parser.parse_args().plot)
