"""A network that changes while it trains: handwritten digits, some of them dim.

Every image comes twice, as it was taken and dimmed with noise. Its own brightness decides whether it runs an extra
layer; a die of 0 to 3 decides at each step how many middle layers run. The loss has two terms: cross entropy, and
how far the answers for the two versions of an image are apart, which counts more and more as training goes on.
Afterwards the table tells which paths ran, on how many samples, and which weights learned.

Run: `make run`, or `python examples/digits.py --epochs 20`.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from sklearn.datasets import load_digits
from torch import Tensor, nn

import wye

WIDTH = 192
BATCH = 64
DIM = 0.25
BRIGHT = 0.2


@dataclass(frozen=True)
class Digits:
    """Images (N, 1, 8, 8) with pixels from 0 to 1, and their labels (N,)."""

    image: Tensor
    label: Tensor

    def shuffled(self) -> list[Digits]:
        """The images in batches, in a new order; the last, smaller batch is left out."""
        order = torch.randperm(len(self.label))
        rows = [order[start : start + BATCH] for start in range(0, len(order) - BATCH + 1, BATCH)]
        return [Digits(self.image[row], self.label[row]) for row in rows]


def load(held_out: float = 0.2) -> tuple[Digits, Digits]:
    """The 1,797 digits that ship with scikit-learn, split by image: for training, and held out."""
    data = load_digits()
    image = torch.tensor(data.images, dtype=torch.float32).div(16).unsqueeze(1)
    label = torch.tensor(data.target)
    order = torch.randperm(len(label), generator=torch.Generator().manual_seed(0))
    image, label = image[order], label[order]
    count = int(len(label) * held_out)
    return Digits(image[count:], label[count:]), Digits(image[:count], label[:count])


def shift(image: Tensor) -> Tensor:
    """The images moved by up to one pixel, each batch in one direction."""
    down, right = (int(torch.randint(-1, 2, ())) for _ in range(2))
    return torch.roll(image, (down, right), (2, 3))


def dimmed(image: Tensor) -> Tensor:
    """The images in poor light: darker, with noise."""
    return (DIM * image + 0.05 * torch.randn_like(image)).clamp(0, 1)


def network() -> wye.Chain:
    """Dim images run the layer `enhance` first; a die picks how many of three middle layers run."""
    return wye.Chain(
        nn.Flatten(),
        enhance=wye.When(f"mean(x) < {BRIGHT}", wye.Join("x + layer(x)", layer=nn.Linear(64, 64))),
        stem=nn.Sequential(nn.Linear(64, WIDTH), nn.ReLU()),
        deep=wye.Repeat([wye.Join("x + relu(layer(x))", layer=nn.Linear(WIDTH, WIDTH)) for _ in range(3)], "die(0, 3)"),
        head=nn.Linear(WIDTH, 10),
    )


def objective() -> wye.Objective:
    """Cross entropy, and more and more how far apart the answers for the two versions of an image are."""
    return wye.Objective(
        "ce + beta * apart",
        ce="cross_entropy(logits, label)",
        apart="mean((dim[b, k] - bright[b, k]) ** 2)",
        beta=wye.Schedule("0.05 * min(1, step / 500)"),
    )


def accuracy(net: nn.Module, image: Tensor, label: Tensor) -> float:
    """The share of images named right."""
    net.eval()
    with torch.no_grad():
        right = (net(image).argmax(1) == label).float().mean()
    net.train()
    return float(right)


def train(net: wye.Chain, loss: wye.Objective, digits: Digits, epochs: int, console: Console) -> wye.Watch:
    """The loop as anyone would write it; `follow` and `watch` are the only lines that know of wye."""
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=1e-2)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * len(digits.shuffled()))
    loss.follow(optimizer)
    seen = wye.watch(net, optimizer)
    columns = (
        TextColumn("epoch {task.completed}/{task.total}"),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[terms]}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("training", total=epochs, terms="")
        for epoch in range(epochs):
            for batch in digits.shuffled():
                image = shift(batch.image)
                logits = net(torch.cat([image, dimmed(image)]))
                bright, dim = logits.chunk(2)
                label = batch.label.repeat(2)
                total, terms = loss(logits=logits, label=label, dim=dim, bright=bright)
                optimizer.zero_grad()
                total.backward()
                optimizer.step()
                rate.step()
            shown = "  ".join(f"{name} {float(term):.3f}" for name, term in terms.items())
            bar.update(task, advance=1, terms=shown)
            if not console.is_terminal and (epoch + 1) % max(1, epochs // 10) == 0:
                console.print(f"epoch {epoch + 1}/{epochs}  {shown}", highlight=False)
    seen.stop()
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--epochs", type=int, default=400)
    epochs = parser.parse_args().epochs
    console = Console(width=None)
    torch.manual_seed(0)
    torch.set_num_threads(1)  # the layers are small: one thread is faster than two
    digits, held_out = load()
    net, loss = network(), objective()
    start = time.perf_counter()
    seen = train(net, loss, digits, epochs, console)
    seconds = time.perf_counter() - start
    bright, dim = accuracy(net, held_out.image, held_out.label), accuracy(net, dimmed(held_out.image), held_out.label)
    print(f"\ntrained {seen.steps} steps in {seconds:.0f} s")
    print(f"held-out accuracy {(bright + dim) / 2:.3f} (bright {bright:.3f}, dim {dim:.3f})\n")
    print(seen.table())


if __name__ == "__main__":
    main()
