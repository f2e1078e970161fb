"""A contrastive loss of pairs: two networks in one loss.

With s = Σ image·text along the features, one value per pair, and `label` 1 for pairs that belong together: the mean of
`1 - s` where label is 1, else `max(0, s + 0.1)`.

`pair` is a function of formulas, and `wye.losses.pair` one of Python. Here one network sees images of digits, the other
reads their names letter by letter, and both learn whether a name is that of the image; `unit` makes s a cosine.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import wye

NAMES = "zero one two three four five six seven eight nine".split()
LONGEST = max(map(len, NAMES))


def two_networks(features: int = 16) -> wye.Objective:
    """Both networks, and the loss of their pairs."""
    see = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, features))
    read = nn.Sequential(nn.Embedding(27, 8), nn.Flatten(), nn.Linear(8 * LONGEST, features))
    return wye.Objective("pair(unit(see(image)), unit(read(word)), label)", see=see, read=read)


def letters(name: str) -> list[int]:
    """The letters of a name from 1 to 26, and 0 behind it."""
    return [ord(letter) - ord("a") + 1 for letter in name] + [0] * (LONGEST - len(name))


def pairs() -> dict[str, Tensor]:
    """Every image beside its own name, label 1, and beside that of another digit, label 0."""
    digits = load_digits()
    image, digit = torch.tensor(digits.images, dtype=torch.float32) / 16, torch.tensor(digits.target)
    words = torch.tensor([letters(name) for name in NAMES])
    other = (digit + 1 + torch.arange(len(digit)) % 9) % 10
    return {
        "image": torch.cat([image, image]),
        "word": torch.cat([words[digit], words[other]]),
        "label": torch.tensor([1, 0]).repeat_interleave(len(digit)),
    }


def train(loss: wye.Objective, data: dict[str, Tensor], steps: int) -> None:
    """One optimizer for both networks."""
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.005)
    for _ in range(steps):
        rows = torch.randint(0, len(data["label"]), (128,))
        total, _ = loss(**{name: value[rows] for name, value in data.items()})
        optimizer.zero_grad()
        total.backward()
        optimizer.step()


def main() -> None:
    print("The loss of one pair, by s and label:")
    for s in (-0.5, -0.1, 0.0, 0.5, 1.0):
        image, text = torch.tensor([[2.0, 1.0]]), torch.tensor([[s / 2, 0.0]])
        losses = [wye.losses.pair(image, text, torch.tensor([label])).item() for label in (1, 0)]
        print(f"  s = {s:4}: {losses[0]:.2f} for label 1, {losses[1]:.2f} for label 0")

    torch.manual_seed(0)
    loss, data = two_networks(), pairs()
    before = loss(**data)[0].item()
    train(loss, data, steps=400)
    print(f"\nTwo networks trained together for 400 steps: loss {before:.3f} -> {loss(**data)[0].item():.3f}")
    s = wye.evaluate("cosine(image, text)", image=loss.see(data["image"]), text=loss.read(data["word"]))
    means = [s[data["label"] == label].mean().item() for label in (1, 0)]
    print(f"The mean cosine is {means[0]:.2f} for an image and its name, {means[1]:.2f} for others.")

    print("\nA label that is no whole number:")
    try:
        loss(**{**data, "label": data["label"].float()})
    except wye.WyeError as error:
        print(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
