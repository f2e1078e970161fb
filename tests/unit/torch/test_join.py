"""A Join: its inputs, its formula that can be switched, its parts of every kind, and what it shows of itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import wye
from tests.unit.torch.plain import linear, tensor


def x(rows: int = 5) -> Tensor:
    return tensor(1, rows, 4)


# inputs


def test_inputs_stand_in_the_order_of_first_reading() -> None:
    assert wye.Join("c + a * b - c").inputs == ("c", "a", "b")
    assert wye.Join("net(z, key=y) + x[b, k] * w[b]", net=linear(1)).inputs == ("z", "y", "x", "w")
    assert wye.Join("u = q * p\np + u + r").inputs == ("q", "p", "r")


def test_named_formulas_are_entered_where_they_stand() -> None:
    join = wye.Join("p + late + q + late", late="r * inner + p", inner="s - q", unused="t * 2")
    assert join.inputs == ("p", "r", "s", "q")
    values = {name: torch.tensor(float(place + 2)) for place, name in enumerate("prsq")}
    late = values["r"] * (values["s"] - values["q"]) + values["p"]
    assert_close(join(**values), values["p"] + late + values["q"] + late)


def test_inputs_by_position_and_by_name() -> None:
    join = wye.Join("x - 2 * y + 3 * z")
    a, b, c = torch.tensor([[1.0], [10.0], [100.0]])
    for value in (join(a, b, c), join(a, b, z=c), join(a, z=c, y=b), join(z=c, x=a, y=b)):
        assert value.item() == 281


def test_a_switched_formula_may_read_less() -> None:
    join = wye.Join("x * y + z")
    a, b, c = torch.tensor([2.0, 3.0, 5.0])
    join.formula = "x + z"
    assert join.inputs == ("x", "y", "z")
    for value in (join(a, b, c), join(a, z=c), join(x=a, z=c), join(a, y=b, z=c), join(x=a, y=None, z=c)):
        assert value.item() == 7
    join.formula = "y * 2"
    assert join(y=b).item() == join(a, b).item() == join(a, b, c).item() == 6
    join.formula = "3 * 4"
    assert join() == join(a, b, c) == 12
    join.formula = "x * y + z"
    assert join(a, b, c).item() == 11


@pytest.mark.parametrize("text", ["x +", "x + w", "sofmax(x)", "x[b] * y[c]", "a", "gain[k]", "x + later", ""])
def test_a_failed_assignment_keeps_the_formula(text: str) -> None:
    join = wye.Join("a(x) * gain + y", a=linear(1), gain=2.0)
    before = join(x(), tensor(2, 5, 3))
    with pytest.raises(wye.WyeError):
        join.formula = text
    assert str(join.formula) == "a(x) * gain + y"
    assert join.inputs == ("x", "y")
    assert_close(join(x(), tensor(2, 5, 3)), before)


def test_a_failed_named_formula_keeps_the_old_one() -> None:
    join = wye.Join("part * 2", part="x + 1")
    for text in ("x + w", "x +", "part + x"):
        with pytest.raises(wye.WyeError):
            join.part = text
        assert join(torch.tensor(1.0)).item() == 4
    join.part = "x + 2"
    assert join(torch.tensor(1.0)).item() == 6
    assert "part='x + 2'" in repr(join)


# kinds of values


def test_numbers_and_tensors_without_axes_are_inputs() -> None:
    join = wye.Join("x * w + 1")
    assert join(x=3.0, w=2) == 7
    assert join(3, True) == 4
    assert_close(join(x(), 2), x() * 2 + 1)
    assert_close(join(2.0, x()), x() * 2 + 1)
    assert_close(join(torch.tensor(2.0), x()), x() * 2 + 1)
    assert join(torch.tensor(2), torch.tensor(3)).dtype == torch.int64
    assert join(torch.tensor(2.0, dtype=torch.float16), 3.0).dtype == torch.float16


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8, torch.bool])
def test_whole_numbers_and_masks_are_inputs(dtype: torch.dtype) -> None:
    value, label = tensor(1, 5, 3), torch.tensor([[0, 1, 1]] * 5).to(dtype)
    value.requires_grad_()
    for join, wanted in (
        (wye.Join("mean(x * m)"), (value * label.double()).mean()),
        (wye.Join("sum(x, where=m == 1)"), (value * (label == 1)).sum()),
        (wye.Join("mean(where(m, x, -x))"), torch.where(label != 0, value, -value).mean()),
        (wye.Join("mean(x / (m + 1))"), (value / (label.double() + 1)).mean()),
    ):
        found = join(value, label) if join.inputs == ("x", "m") else join(m=label, x=value)
        assert found.dtype == torch.float64
        assert_close(found, wanted)
        assert_close(torch.autograd.grad(found, value), torch.autograd.grad(wanted, value))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_integer_labels(dtype: torch.dtype) -> None:
    logits, label = tensor(3, 5, 3), torch.tensor([0, 2, 1, 1, 0], dtype=dtype)
    join = wye.Join("cross_entropy(a(logits), label)", a=nn.Identity())
    assert_close(join(logits, label), nn.functional.cross_entropy(logits, label.long()))
    assert_close(wye.Join("sum(p[b, label[b]], b)")(logits, label), logits[range(5), label.long()].sum())


def test_an_empty_batch_is_a_batch() -> None:
    join = wye.Join("a(x) * scale + gain * b(x)", a=linear(1), b=linear(2), scale=tensor(1, 3), gain=0.5)
    value = join(x(0))
    assert value.shape == (0, 3)
    value.sum().backward()
    assert_close(join.a.weight.grad, torch.zeros(3, 4, dtype=torch.float64))


def test_values_are_not_changed_in_place() -> None:
    given, weight = x(), tensor(2, 4)
    kept = given.clone(), weight.clone()
    wye.Join("softmax(x * w) + max(x, 0) - norm(x) * where(x > 0, x, w)", w=weight)(given)
    assert_close((given, weight), kept, rtol=0, atol=0)


# parts


def test_numbers_are_set_and_read() -> None:
    join = wye.Join("gain * x + shift", gain=2, shift=0.5)
    assert (join.gain, join.shift, type(join.gain)) == (2, 0.5, int)
    join.gain, join.shift = 0.25, True
    assert join(torch.tensor(8.0)).item() == 3
    assert join.gain == 0.25


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("net", 3.0), ("net", torch.sin), ("net", "x + 1"), ("net", torch.ones(1)), ("net", None),
        ("gain", torch.tensor(1.0)), ("gain", linear(1)), ("gain", wye.Schedule("step")), ("gain", "x"),
        ("scale", 2.0), ("scale", linear(1)), ("named", 2.0), ("named", linear(1)), ("plan", 2.0), ("bend", 2.0),
        ("bend", linear(1)), ("bend", None),
    ],
)  # fmt: skip
def test_a_part_keeps_its_kind(name: str, wrong: Any) -> None:
    parts: dict[str, Any] = {"net": linear(1), "gain": 1.0, "scale": torch.ones(3), "bend": torch.tanh}
    join = wye.Join("named * gain * scale * plan", named="bend(net(x))", plan=wye.Schedule("1 + step"), **parts)
    before = join(x())
    with pytest.raises(wye.PartError, match=name):
        setattr(join, name, wrong)
    assert_close(join(x()), before)
    assert_close(before, torch.tanh(parts["net"](x())))


def test_callables_are_parts() -> None:
    calls: list[int] = []

    def bend(value: Tensor, power: int = 1) -> Tensor:
        calls.append(power)
        return value**power

    join = wye.Join("bend(x) + bend(x, power=3) * bend(x)", bend=bend)
    assert_close(join(x()), x() + x() ** 4)
    assert sorted(calls) == [1, 3]
    join.bend = lambda value, power=1: value * power
    assert_close(join(x()), x() + 3 * x() * x())


def test_a_callable_in_the_place_of_the_formula() -> None:
    def mix(x: Tensor, net: nn.Module, gain: float, y: Tensor) -> Tensor:
        return net(x) * gain + y

    join = wye.Join(mix, net=linear(1), gain=0.5)
    assert join.inputs == ("x", "y")
    assert join.formula is mix
    wanted = linear(1)(x()) * 0.5 + 1
    one = torch.ones(5, 3, dtype=torch.float64)
    assert_close(join(x(), one), wanted)
    assert_close(join(y=one, x=x()), wanted)
    assert [name for name, _ in join.named_parameters()] == ["net.weight", "net.bias"]
    with pytest.raises(wye.InputError, match="the input `y` is missing"):
        join(x())
    join.formula = "net(x) - y"
    assert_close(join(x(), one), linear(1)(x()) - 1)
    join.formula = mix
    assert_close(join(x(), one), wanted)


OPERATORS = {
    "+": lambda a, b, c: a + b + c,
    "-": lambda a, b, c: a - b - c,
    "*": lambda a, b, c: a * b * c,
    "/": lambda a, b, c: a / b / c,
    "max": lambda a, b, c: torch.maximum(torch.maximum(a, b), c),
    "min": lambda a, b, c: torch.minimum(torch.minimum(a, b), c),
    "mean": lambda a, b, c: (a + b + c) / 3,
    "concat": lambda a, b, c: torch.cat([a, b, c], -1),
}


@pytest.mark.parametrize("operator", OPERATORS)
def test_modules_joined_by_the_name_of_an_operator(operator: str) -> None:
    parts = [linear(seed) for seed in (1, 2, 3)]
    join = wye.Join.of(operator, *parts)
    assert join.inputs == ("x",)
    assert [name for name, _ in join.named_children()] == ["a", "b", "c"]
    assert_close(join(x()), OPERATORS[operator](*(part(x()) for part in parts)))


def test_many_modules_joined_skip_the_name_of_the_input() -> None:
    join = wye.Join.of("+", *[nn.Identity() for _ in range(25)])
    assert "x" not in dict(join.named_children())
    assert_close(join(x()), x() * 25)


def test_frozen_weights_pass_gradients_and_take_none() -> None:
    net = nn.Sequential(linear(1), nn.Tanh())
    join = wye.Join("net(x) * held(x)", net=net, held=wye.frozen(net))
    given = x().requires_grad_()
    join(given).sum().backward()
    twin = nn.Sequential(linear(1), nn.Tanh())
    again = x().requires_grad_()
    weights = [weight.detach() for weight in twin.parameters()]
    held = torch.tanh(nn.functional.linear(again, *weights))
    (twin(again) * held).sum().backward()
    assert_close(given.grad, again.grad)
    for weight, wanted in zip(net.parameters(), twin.parameters(), strict=True):
        assert_close(weight.grad, wanted.grad)
    assert len(list(join.parameters())) == 2


def test_frozen_alone_leaves_gradients_none() -> None:
    held = wye.frozen(nn.Sequential(linear(1), nn.BatchNorm1d(3).double()))
    given = x().requires_grad_()
    wye.Join("held(x) ** 2", held=held)(given).sum().backward()
    assert given.grad is not None
    assert all(weight.grad is None and weight.requires_grad for weight in held.parameters())


def test_without_strictness_values_broadcast_as_torch_does() -> None:
    a, b = tensor(1, 5, 1), tensor(2, 4)
    with pytest.raises(wye.ShapeError):
        wye.Join("x - y")(a, b)
    assert_close(wye.Join("x - y", strict=False)(a, b), a - b)
    with pytest.raises(wye.WyeError):
        wye.Join("x[b, k] - y[b, k]", strict=False)(a, tensor(1, 5, 4))
