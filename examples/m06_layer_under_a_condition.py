"""A layer under a condition.

10→5 and relu, then 5→5 and relu only where `control > 0.5`, then →2; control one number for the batch, or one per
sample.

Patients with ten measurements each are sorted into two groups, by how fast their diabetes progresses. The middle
layer runs only for those whose control is above one half; the others pass it unchanged, and nothing is computed for
them. The control may be a number, a tensor without axes, (B,) or (B, 1).
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_diabetes
from torch import Tensor, nn

import wye


def network() -> wye.Chain:
    """10 -> 5 -> (5, where `control > 0.5`) -> 2."""
    return wye.Chain(
        first=nn.Linear(10, 5),
        active=nn.ReLU(),
        middle=wye.When("control > 0.5", wye.Chain(nn.Linear(5, 5), nn.ReLU())),
        last=nn.Linear(5, 2),
    )


def patients() -> tuple[Tensor, Tensor, Tensor]:
    """Measurements, the slow and the fast group, and the control: above one half where the body mass index is high."""
    data = load_diabetes()
    x = torch.tensor(data.data, dtype=torch.float32) * len(data.data) ** 0.5
    y = torch.tensor(data.target)
    return x, (y > y.median()).long(), torch.sigmoid(x[:, 2])


def main() -> None:
    torch.manual_seed(0)
    x, group, control = patients()
    net = network()
    taken = net.middle.paths["then"]

    print(
        f"Of {len(x)} patients, {int((control > 0.5).sum())} have a control above one half. The middle layer runs for:"
    )
    forms: dict[str, float | Tensor] = {
        "control=0.2": 0.2,
        "control=0.9": 0.9,
        "control=tensor(0.9)": torch.tensor(0.9),
        "control of shape (B,)": control,
        "control of shape (B, 1)": control[:, None],
    }
    for name, form in forms.items():
        before = taken.samples
        net(x, control=form)
        print(f"  {name:24} {taken.samples - before:4} patients")

    print("\nTraining: on every fourth step the control is 0 for the whole batch, else each patient has their own.")
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    with wye.watch(net, optimizer) as seen:
        for step in range(100):
            weight = net.middle.then[0].weight.clone()
            scores = net(x, control=0.0 if step % 4 == 0 else control)
            optimizer.zero_grad()
            nn.functional.cross_entropy(scores, group).backward()
            optimizer.step()
            if step in (4, 5):
                same = torch.equal(weight, net.middle.then[0].weight)
                print(f"  step {step}: the middle layer's weights {'are the same to the bit' if same else 'moved'}")
    right = (net(x, control=control).argmax(1) == group).float().mean()
    print(f"  right in the end: {float(right):.0%}\n")
    print(seen.table())

    print("\nA control with more than one element for each patient:")
    try:
        net(x, control=torch.ones(len(x), 2))
    except wye.WyeError as error:
        print(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
