"""M6: a layer under a condition, held against a loop over the samples."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import wye
from examples import m06_layer_under_a_condition as example
from tests.examples.training import OPTIMIZERS, assert_close, assert_same_gradients, assert_same_weights, step

FORMS: dict[str, Callable[[Tensor], float | Tensor]] = {
    "one number, on": lambda control: 0.9,
    "one number, off": lambda control: 0.5,
    "an integer": lambda control: 1,
    "a truth value": lambda control: False,
    "without axes, on": lambda control: torch.tensor(0.9),
    "without axes, off": lambda control: torch.tensor(0.1),
    "(B,)": lambda control: control,
    "(B, 1)": lambda control: control[:, None],
    "(B,), all on": lambda control: control + 1,
    "(B, 1), all off": lambda control: (control - 1)[:, None],
}


def plain(net: nn.Module, x: Tensor, control: float | Tensor) -> Tensor:
    """Sample by sample, as one would write it."""
    if not isinstance(control, Tensor) or control.dim() == 0:
        control = torch.full((len(x),), float(control))
    rows = []
    for sample, own in zip(x, control.reshape(len(x)), strict=True):
        hidden = torch.relu(net.first(sample))
        if own > 0.5:
            hidden = torch.relu(net.middle.then[0](hidden))
        rows.append(net.last(hidden))
    return torch.stack(rows)


def batch(size: int = 9) -> tuple[Tensor, Tensor, Tensor]:
    return torch.randn(size, 10, dtype=torch.float64), torch.rand(size), torch.randint(0, 2, (size,))


def test_the_widths_are_those_asked_for() -> None:
    layers = [
        (layer.in_features, layer.out_features) for layer in example.network().modules() if isinstance(layer, nn.Linear)
    ]
    assert layers == [(10, 5), (5, 5), (5, 2)]


@pytest.mark.parametrize("form", FORMS)
def test_values_and_gradients(form: str) -> None:
    net = example.network().double()
    twin, (x, control, _) = copy.deepcopy(net), batch()
    given = FORMS[form](control)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    got, wanted = net(ours, control=given), plain(twin, theirs, given)
    assert_close(got, wanted)
    got.square().sum().backward()
    wanted.square().sum().backward()
    assert_same_gradients(net.parameters(), twin.parameters())
    assert ours.grad is not None
    assert theirs.grad is not None
    assert_close(ours.grad, theirs.grad)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_weights_after_training(kind: str) -> None:
    net = example.network().double()
    twin = copy.deepcopy(net)
    ours, theirs = OPTIMIZERS[kind](net.parameters()), OPTIMIZERS[kind](twin.parameters())
    for place in range(20):
        x, control, label = batch()
        given = FORMS[list(FORMS)[place % len(FORMS)]](control)
        step(ours, F.cross_entropy(net(x, control=given), label))
        step(theirs, F.cross_entropy(plain(twin, x, given), label))
    assert_same_weights(net.parameters(), twin.parameters())


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_weights_that_no_sample_used_stay_as_they_are(kind: str) -> None:
    net = example.network().double()
    optimizer = OPTIMIZERS[kind](net.parameters())
    x, _, label = batch()
    step(optimizer, F.cross_entropy(net(x, control=1.0), label))  # momentum and moments are there
    before = copy.deepcopy(net.middle.then.state_dict())
    step(optimizer, F.cross_entropy(net(x, control=torch.zeros(len(x))), label))
    assert all(weight.grad is None for weight in net.middle.then.parameters())
    assert all(torch.equal(before[name], value) for name, value in net.middle.then.state_dict().items())


def test_exactly_the_samples_taken_are_computed() -> None:
    net = example.network().double()
    seen: list[Tensor] = []
    net.middle.then.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    x, control, _ = batch()
    net(x, control=control)
    assert torch.equal(seen[0], torch.relu(net.first(x))[control > 0.5])
    net(x, control=0.0)
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("sides", "kind"),
    [
        ({"control": torch.ones(9, 2)}, wye.FlowError),
        ({"control": torch.ones(8)}, wye.InputError),
        ({"control": torch.ones(1)}, wye.InputError),
        ({}, wye.WyeError),
        ({"contrl": 0.7}, wye.InputError),
    ],
)
def test_a_control_that_does_not_fit_is_an_error(sides: dict[str, Tensor], kind: type[wye.WyeError]) -> None:
    net, (x, _, _) = example.network().double(), batch()
    with pytest.raises(kind, match=r"contro?l"):
        net(x, **sides)


def test_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example.main()
    told = capsys.readouterr().out
    counted = {line[2:26].strip(): int(line.split()[-2]) for line in told.splitlines() if line.endswith("patients")}
    assert list(counted.values()) == [0, 442, 442, 195, 195]
    assert "step 4: the middle layer's weights are the same to the bit" in told
    assert "step 5: the middle layer's weights moved" in told
    assert "middle.then.0.weight" in told
    assert "no gradient on 25 of 100 steps: When control > 0.5 sent no sample" in told
    assert "FlowError: the condition has not one element for each sample." in told
