"""Intermediate values of a network, named and used again.

Name a value on the way, use it twice, join it with a later one, stop its gradient.

The lines of a formula name values. Here `early` is made once, goes on into the next layer, is added to what comes out
there, and is also read by a probe that guesses the digit from it. `stop` keeps the probe from changing what it reads.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

import wye

FORMULA = """\
early = relu(encode(image))
late = relu(deepen(early))
classify(early + late), probe(stop(early))"""


def network(width: int = 32, dropout: float = 0.0) -> wye.Join:
    """Scores of the ten digits, and the guess of the probe."""
    return wye.Join(
        FORMULA,
        encode=nn.Sequential(nn.Linear(64, width), nn.Dropout(dropout)),
        deepen=nn.Linear(width, width),
        classify=nn.Linear(width, 10),
        probe=nn.Linear(width, 10),
    )


def objective() -> wye.Objective:
    """Both guesses learn; the total is the sum."""
    return wye.Objective("final + early", final="cross_entropy(logits, label)", early="cross_entropy(guess, label)")


def main() -> None:
    torch.manual_seed(0)
    digits = load_digits()
    image, label = torch.tensor(digits.data, dtype=torch.float32) / 16, torch.tensor(digits.target)
    train, test = slice(0, 1400), slice(1400, None)
    net, loss = network(), objective()
    print(f"The network is this formula:\n{net.formula}\n")

    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for step in range(101):
        logits, guess = net(image[train])
        total, terms = loss(logits=logits, guess=guess, label=label[train])
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        if step % 50 == 0:
            print(f"step {step:3}: final {float(terms['final']):.3f} + early {float(terms['early']):.3f}")

    with torch.no_grad():
        hits = [float((scores.argmax(1) == label[test]).float().mean()) for scores in net(image[test])]
    print(f"Right on new images: {hits[0]:.0%} in the end, {hits[1]:.0%} already from `early`.\n")

    for text in (FORMULA, FORMULA.replace("stop(early)", "early")):
        net.formula = text
        net.zero_grad()
        _, guess = net(image[train])
        nn.functional.cross_entropy(guess, label[train]).backward()
        reaches = net.encode[0].weight.grad is not None
        last = text.splitlines()[-1]
        print(f"{last}\n  the probe's own loss {'reaches' if reaches else 'does not reach'} the encoder")

    print("\nThe same call written twice is one value, dropout included; two draws are asked for by number:")
    noisy = network(dropout=0.5)
    for text in ("encode(image) - encode(image)", "encode(image, draw=1) - encode(image, draw=2)"):
        noisy.formula = text
        print(f"  {text} {'is zero' if bool((noisy(image) == 0).all()) else 'is not zero'}")


if __name__ == "__main__":
    main()
