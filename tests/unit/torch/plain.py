"""One Join with a part of every kind, the same module written by hand, and how the two are compared."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.testing import assert_close

import wye

FORMULA = "y + gain * b(x) * scale - bend(shift) * warm"
GAIN = 0.30000000000000004  # not a number of 32 bits


def bend(x: Tensor) -> Tensor:
    return x**3 + x


class Plain(nn.Module):
    """What `FORMULA` says, by hand; `gain` and `warm` are plain Python numbers."""

    def __init__(self, a: nn.Module, b: nn.Module, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.a, self.b = a, b
        self.scale = nn.Parameter(scale.detach().clone())
        self.shift: Tensor
        self.register_buffer("shift", shift.clone())
        self.gain, self.warm = GAIN, 0.0

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) * 2 + self.gain * self.b(x) * self.scale - bend(self.shift) * self.warm


def linear(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Linear(4, 3).double()


def tensor(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def built() -> wye.Join:
    """A Join with two modules, a Parameter, a buffer, a number, a schedule, a named formula and a callable."""
    return wye.Join(
        FORMULA,
        y="a(x) * 2",
        a=linear(1),
        b=linear(2),
        scale=nn.Parameter(tensor(3, 3)),
        shift=tensor(4, 3),
        gain=GAIN,
        warm=wye.Schedule("min(1, step / 4)"),
        bend=bend,
    )


def by_hand() -> Plain:
    """The same, by hand, with weights of its own that are equal."""
    return Plain(linear(1), linear(2), tensor(3, 3), tensor(4, 3))


def data(seed: int = 5, rows: int = 6) -> Tensor:
    return tensor(seed, rows, 4)


def gradients(module: nn.Module, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """The value, and the gradient of a bent sum of it for the input and every Parameter."""
    x = x.detach().requires_grad_()
    module.zero_grad()
    value = module(x)
    torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype).reshape(value.shape).mul(value).sum().backward()
    assert x.grad is not None
    found = {name: weight.grad for name, weight in module.named_parameters() if weight.grad is not None}
    return value.detach(), {"x": x.grad, **found}


def assert_same(join: nn.Module, plain: nn.Module, x: Tensor | None = None, **tolerances: float) -> None:
    """Equal values, and equal gradients for equal names."""
    x = data() if x is None else x
    (value, found), (wanted_value, wanted) = gradients(join, x), gradients(plain, x)
    assert value.dtype == wanted_value.dtype
    assert_close(value, wanted_value, **tolerances)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert_close(found[name], wanted[name], msg=lambda text, name=name: f"gradient of {name}: {text}", **tolerances)
