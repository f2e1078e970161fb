"""Two losses joined by an operator.

`loss1 op loss2`, op in + - * / and more, chosen when built or switched later; gradients right for each; an unknown
operator is a clear error.

One small network looks at handwritten digits. It names the digit (loss1, cross-entropy) and draws it again (loss2,
mean squared error); how the two losses are joined is a formula, switched while the network trains.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import wye

OPERATORS = ("+", "-", "*", "/", "**", "max", "min", "mean")


def joined(operator: str) -> wye.Formula:
    """The formula `loss1 op loss2`; an operator that does not exist is an error here."""
    return wye.Formula("loss1 + loss2").swap("+", operator)


def two_losses(operator: str = "+") -> wye.Objective:
    """The two losses, joined by the operator chosen."""
    return wye.Objective(joined(operator), loss1="cross_entropy(logits, label)", loss2="mse(picture, image)")


def network(width: int = 32) -> wye.Join:
    """An image in; scores of the ten digits and the image drawn again out."""
    return wye.Join(
        "hidden = relu(see(image))\nclassify(hidden), draw(hidden)",
        see=nn.Linear(64, width),
        classify=nn.Linear(width, 10),
        draw=nn.Linear(width, 64),
    )


def train(
    net: wye.Join, loss: wye.Objective, optimizer: torch.optim.Optimizer, image: Tensor, label: Tensor, steps: int
) -> dict[str, float]:
    """Some optimizer steps; the two losses before the last of them."""
    terms: dict[str, Tensor] = {}
    for _ in range(steps):
        logits, picture = net(image)
        total, terms = loss(logits=logits, label=label, picture=picture, image=image)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    return {name: float(terms[name]) for name in ("loss1", "loss2")}


def main() -> None:
    torch.manual_seed(0)

    print("With loss1 = 3 and loss2 = 2:")
    print(f"  {'formula':28}{'value':>8}{'d/dloss1':>10}{'d/dloss2':>10}")
    for formula in [
        *map(joined, OPERATORS),
        wye.Formula("loss1 * (1 + loss2)"),
        wye.Formula("log(loss1) + 0.5 * loss2"),
    ]:
        loss1, loss2 = torch.tensor(3.0, requires_grad=True), torch.tensor(2.0, requires_grad=True)
        value = wye.evaluate(formula, loss1=loss1, loss2=loss2)
        first, second = torch.autograd.grad(value, [loss1, loss2], allow_unused=True, materialize_grads=True)
        print(f"  {formula!s:28}{value.item():8.3f}{first.item():10.3f}{second.item():10.3f}")

    digits = load_digits()
    image = torch.tensor(digits.data, dtype=torch.float32) / 16
    label = torch.tensor(digits.target)
    net, loss = network(), two_losses("+")
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    print("\nOne network and one Adam, trained while the operator is switched:")
    for operator in ("+", "*", "max"):
        loss.formula = joined(operator)
        after = train(net, loss, optimizer, image, label, steps=40)
        steps = int(optimizer.state[net.see.weight]["step"])
        losses = ", ".join(f"{name} {value:.3f}" for name, value in after.items())
        print(f"  {loss.formula!s:18} {losses}; Adam has counted {steps} steps")

    print("\nAn operator that does not exist is refused, and the old formula stays:")
    for attempt in ("loss1 plus loss2", "loss1 ^ loss2"):
        try:
            loss.formula = attempt
        except wye.WyeError as error:
            print(f"{type(error).__name__}: {error}")
    try:
        two_losses("plus")
    except wye.WyeError as error:
        print(f"{type(error).__name__}: {error}")
    print(f"The formula is still {loss.formula}.")


if __name__ == "__main__":
    main()
