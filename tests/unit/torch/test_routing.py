"""The routing kernels against NumPy in float64: values, derivatives of both orders, torch.func, every kind of tensor.

That their backward writes into nobody's gradient is in `test_routing_in_place.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.testing import assert_close

from wye.torch import routing
from wye.torch.flow import values

# torch's own forward mode scripts its decompositions when it is first used
pytestmark = pytest.mark.filterwarnings(r"ignore:`torch\.jit\.script` is deprecated:DeprecationWarning")

INDICES = {"some": [4, 0, 3], "none": [], "all": [0, 1, 2, 3, 4], "all, out of order": [3, 1, 4, 0, 2], "one": [2]}
PARTITIONS = {
    "two": ([1, 3], [0, 2, 4]),
    "three": ([4], [2, 0], [1, 3]),
    "one empty": ([], [1, 0, 3, 2, 4]),
    "the last empty": ([0, 1], [2, 3, 4], []),
    "alone": ([2, 1, 0, 4, 3],),
    "each": ([0], [1], [2], [3], [4]),
}
DTYPES = (torch.int64, torch.uint8, torch.bool, torch.complex128, torch.bfloat16, torch.float16)
Rows = list[int]


def index(rows: Rows) -> Tensor:
    return torch.tensor(rows, dtype=torch.int64)


def data(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 4
    return torch.complex(drawn, drawn.flip(0)).to(dtype) if dtype.is_complex else drawn.to(dtype)


def scaled(x: Tensor, rows: Rows) -> Tensor:
    """Some rows are squared: through `part` and `splice`."""
    taken, rest = routing.part(x, index(rows))
    return routing.splice(rest, index(rows), taken * taken)


def branched(x: Tensor, parts: tuple[Rows, ...]) -> Tensor:
    """Each piece to another power: through `split` and `merge`."""
    indices = [index(rows) for rows in parts]
    pieces = [piece ** (power + 1) for power, piece in enumerate(routing.split(x, indices))]
    return routing.merge(indices, pieces)


def powers(parts: tuple[Rows, ...]) -> np.ndarray:
    """The power of each row."""
    out = np.zeros(5)
    for power, rows in enumerate(parts):
        out[rows] = power + 1
    return out


CALLS: dict[str, tuple[Callable[[Tensor], Tensor], np.ndarray]] = {
    **{f"splice {k}": (lambda x, r=r: scaled(x, r), 1.0 + np.isin(np.arange(5), r)) for k, r in INDICES.items()},
    **{f"merge {k}": (lambda x, p=p: branched(x, p), powers(p)) for k, p in PARTITIONS.items()},
}
every_call = pytest.mark.parametrize(("call", "power"), CALLS.values(), ids=CALLS)


# values and first derivatives


@pytest.mark.parametrize("rows", INDICES.values(), ids=INDICES)
@pytest.mark.parametrize("learns", [False, True])
def test_take_and_part(rows: Rows, learns: bool) -> None:
    x = data(5, 3).requires_grad_(learns)
    picked = x.detach().numpy()[rows]
    taken, rest = routing.part(x, index(rows))
    for got in (routing.take(x, index(rows)), taken):
        np.testing.assert_array_equal(got.detach().numpy(), picked)
        assert got.requires_grad is learns
    np.testing.assert_array_equal(rest.detach().numpy(), x.detach().numpy())
    if learns:
        weight = data(len(rows), 3, seed=1)
        (routing.take(x, index(rows)) * weight).sum().backward()
        wanted = np.zeros((5, 3))
        wanted[rows] = weight.numpy()
        assert x.grad is not None
        np.testing.assert_array_equal(x.grad.numpy(), wanted)


@every_call
@pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 2, 1, 3)], ids=str)
def test_the_value_and_its_gradient(
    call: Callable[[Tensor], Tensor], power: np.ndarray, shape: tuple[int, ...]
) -> None:
    x, weight = data(*shape).requires_grad_(), data(*shape, seed=1)
    y = call(x)
    (y * weight).sum().backward()
    number, exponent = x.detach().numpy(), power.reshape(-1, *(1 for _ in shape[1:]))
    np.testing.assert_allclose(y.detach().numpy(), number**exponent, rtol=1e-14)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), exponent * number ** (exponent - 1) * weight.numpy(), rtol=1e-13)
    with torch.no_grad():
        np.testing.assert_allclose(call(x).numpy(), number**exponent, rtol=1e-14)
        assert not call(x).requires_grad


@pytest.mark.parametrize("which", ["rows", "rest", "both"])
def test_one_of_the_two_ways_back_may_be_unused(which: str) -> None:
    x, rows = data(5, 3).requires_grad_(), index([4, 0])
    taken, rest = routing.part(x * 1, rows)
    (0 + (taken.sum() if which != "rest" else 0) + (2 * rest.sum() if which != "rows" else 0)).backward()  # type: ignore[union-attr]
    wanted = np.full((5, 3), 0.0 if which == "rows" else 2.0)
    # A gradient that comes through the rest is that of the splice, which has none for the rows taken.
    wanted[[4, 0]] = 0.0 if which == "rest" else 1.0
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), wanted)


@pytest.mark.parametrize("learns", ["x", "rows", "both", "none"])
def test_gradients_go_where_they_are_wanted(learns: str) -> None:
    x = data(5, 3).requires_grad_(learns in ("x", "both"))
    new = data(2, 3, seed=1).requires_grad_(learns in ("rows", "both"))
    taken, rest = routing.part(x, index([4, 0]))
    y = routing.splice(rest, index([4, 0]), taken.detach() + new)
    assert y.requires_grad is (learns != "none")
    if learns == "none":
        return
    y.backward(torch.ones(5, 3, dtype=torch.float64))
    outside = torch.ones(5, 3, dtype=torch.float64)
    outside[[4, 0]] = 0
    assert x.grad is None if learns == "rows" else torch.equal(x.grad, outside)  # type: ignore[arg-type]
    assert new.grad is None if learns == "x" else torch.equal(new.grad, torch.ones(2, 3, dtype=torch.float64))  # type: ignore[arg-type]


# derivatives of any kind


@every_call
def test_derivatives_of_both_orders(call: Callable[[Tensor], Tensor], power: np.ndarray) -> None:
    x = data(5, 2).requires_grad_()
    assert gradcheck(call, x, check_forward_ad=True, check_backward_ad=True, check_batched_grad=True)
    assert gradgradcheck(call, x, check_fwd_over_rev=False)


def test_derivatives_of_take_of_both_orders() -> None:
    for rows in INDICES.values():
        x = data(5, 2).requires_grad_()
        assert gradcheck(lambda x, rows=rows: routing.take(x, index(rows)) ** 2, x, check_forward_ad=True)
        assert gradgradcheck(lambda x, rows=rows: routing.take(x, index(rows)) ** 3, x)


def test_a_third_derivative_and_new_rows_of_another_leaf() -> None:
    x, w = data(5, 2).requires_grad_(), data(2, seed=3).requires_grad_()

    def call(x: Tensor, w: Tensor) -> Tensor:
        taken, rest = routing.part(x, index([3, 1]))
        return routing.splice(rest, index([3, 1]), (taken * w) ** 3) * x

    assert gradcheck(call, (x, w))
    assert gradgradcheck(call, (x, w))
    (first,) = torch.autograd.grad(call(x, w).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x, create_graph=True)
    (third,) = torch.autograd.grad(second.sum(), x)
    rows = [3, 1]  # x·(x·w)³ has the third derivative 24·x·w³
    wanted = np.zeros((5, 2))
    wanted[rows] = 24 * x.detach().numpy()[rows] * w.detach().numpy() ** 3
    np.testing.assert_allclose(third.numpy(), wanted, rtol=1e-10)


@every_call
def test_torch_func(call: Callable[[Tensor], Tensor], power: np.ndarray) -> None:
    x = data(5, 2)
    number, exponent = x.numpy(), power[:, None]
    slope = exponent * number ** (exponent - 1)
    assert_close(torch.func.grad(lambda x: call(x).sum())(x).numpy(), slope)
    for jacobian in (torch.func.jacrev, torch.func.jacfwd):
        assert_close(jacobian(call)(x).numpy(), np.diag(slope.ravel()).reshape(5, 2, 5, 2))
    out, tangent = torch.func.jvp(call, (x,), (torch.full_like(x, 2),))
    assert_close(out.numpy(), number**exponent)
    assert_close(tangent.numpy(), 2 * slope)
    hessian = torch.func.jacrev(torch.func.grad(lambda x: call(x).sum()))(x)
    curve = exponent * (exponent - 1) * number ** np.maximum(exponent - 2, 0)
    assert_close(hessian.numpy(), np.diag(curve.ravel()).reshape(5, 2, 5, 2))


@every_call
def test_backward_of_many_gradients_at_once(call: Callable[[Tensor], Tensor], power: np.ndarray) -> None:
    x = data(5, 2).requires_grad_()
    exponent = power[:, None]
    slope = exponent * x.detach().numpy() ** (exponent - 1)
    wanted = np.diag(slope.ravel()).reshape(5, 2, 5, 2)
    y, basis = call(x), torch.eye(10, dtype=torch.float64).reshape(10, 5, 2)
    (batched,) = torch.autograd.grad(y, x, basis, is_grads_batched=True, retain_graph=True)
    assert_close(batched.numpy().reshape(5, 2, 5, 2), wanted)
    mapped = torch.func.vmap(lambda v: torch.autograd.grad(y, x, v, retain_graph=True)[0])(basis)
    assert_close(mapped.numpy().reshape(5, 2, 5, 2), wanted)


# every kind of tensor


@every_call
@pytest.mark.parametrize("layout", ["transposed", "strided", "expanded", "channels last"])
def test_memory_of_any_layout(call: Callable[[Tensor], Tensor], power: np.ndarray, layout: str) -> None:
    base = {
        "transposed": lambda: data(3, 5).t(),
        "strided": lambda: data(10, 6)[::2, 1::2],
        "expanded": lambda: data(5, 1).expand(5, 3),
        "channels last": lambda: data(5, 2, 3, 4).to(memory_format=torch.channels_last),
    }[layout]()
    kept = base.clone()
    x = base.detach().requires_grad_()
    y = call(x * 1)
    y.backward(torch.ones_like(y))
    exponent = power.reshape(-1, *(1 for _ in x.shape[1:]))
    assert_close(y.detach().numpy(), kept.numpy() ** exponent)
    assert x.grad is not None
    assert_close(x.grad.numpy(), exponent * kept.numpy() ** (exponent - 1))
    assert torch.equal(base, kept)


@every_call
@pytest.mark.parametrize(
    "dtype", [torch.int64, torch.uint8, torch.bool, torch.complex128, torch.bfloat16, torch.float16]
)
def test_every_dtype(call: Callable[[Tensor], Tensor], power: np.ndarray, dtype: torch.dtype) -> None:
    x = data(5, 2).abs().round().to(dtype) if not dtype.is_complex else data(5, 2, dtype=dtype)
    if dtype is torch.bool:
        parts = [index([1, 3]), index([0, 2, 4])]
        assert torch.equal(routing.merge(parts, routing.split(x, parts)), x)
        taken, rest = routing.part(x, parts[0])
        assert torch.equal(routing.splice(rest, parts[0], ~taken)[[1, 3]], ~x[[1, 3]])
        return
    y = call(x)
    assert y.dtype == dtype
    wanted = torch.stack([row ** int(p) for row, p in zip(x, power, strict=True)])
    assert_close(y, wanted)
    if dtype.is_floating_point or dtype.is_complex:
        learned = x.clone().requires_grad_()
        y = call(learned)
        (slope,) = torch.autograd.grad(y, learned, torch.ones_like(y))
        plain = x.clone().requires_grad_()
        z = torch.stack([row ** int(p) for row, p in zip(plain, power, strict=True)])
        (wanted,) = torch.autograd.grad(z, plain, torch.ones_like(z))
        assert_close(slope, wanted)


def test_nested_values() -> None:
    x: Any = {"a": data(5, 2).requires_grad_(), "b": (data(5, seed=1).requires_grad_(), torch.arange(5))}
    rows, others = index([4, 1]), index([0, 2, 3])
    taken, rest = values.part(x, rows)
    y = values.splice(rest, rows, {"a": taken["a"] * 3, "b": (taken["b"][0] * 5, -taken["b"][1])})
    factor = np.array([1.0, 0, 1, 1, 0])
    assert_close(y["a"].detach().numpy(), x["a"].detach().numpy() * (3 - 2 * factor)[:, None])
    assert_close(y["b"][0].detach().numpy(), x["b"][0].detach().numpy() * (5 - 4 * factor))
    assert y["b"][1].tolist() == [0, -1, 2, 3, -4]
    (y["a"].sum() + y["b"][0].sum()).backward()
    assert_close(x["a"].grad.numpy(), np.repeat((3 - 2 * factor)[:, None], 2, 1))
    assert_close(x["b"][0].grad.numpy(), 5 - 4 * factor)
    pieces = values.split(x, (rows, others))
    again = values.merge((rows, others), pieces)
    assert torch.equal(again["a"], x["a"])
    assert again["b"][1].tolist() == [0, 1, 2, 3, 4]
    assert values.take(x, rows)["b"][1].tolist() == [4, 1]


def test_one_tensor_at_two_places_of_a_value() -> None:
    x = data(5, 2).requires_grad_()
    rows = index([4, 1])
    taken, rest = values.part((x, x), rows)
    first, second = values.splice(rest, rows, (taken[0] * 2, taken[1] * 3))
    (first.sum() + second.sum()).backward()
    wanted = np.full((5, 2), 2.0)
    wanted[[4, 1]] = 5.0
    assert x.grad is not None
    assert_close(x.grad.numpy(), wanted)
