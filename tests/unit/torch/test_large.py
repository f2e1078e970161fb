"""The ways through large tensors give what the plain ways give, with gradients of the first and the second order."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import wye
from wye.torch import large


@pytest.fixture(autouse=True)
def _every_tensor_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "LARGE", 1)


def standard(x: Tensor) -> Tensor:
    return (x - x.mean(0)) / x.std(0, correction=0)


PLAIN: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "a ** 2": lambda a, b: a**2,
    "(a - b) ** 2": lambda a, b: (a - b) ** 2,
    "(1 - a) ** 2 * b": lambda a, b: (1 - a) ** 2 * b,
    "mean(a * b)": lambda a, b: (a * b).mean(),
    "mean(a, axis=1)": lambda a, b: a.mean(1),
    "a[i, j] - mean(b[i, j], j)": lambda a, b: a - b.mean(1, keepdim=True),
    "a[i, j] / sum(exp(b[i, j]), i)": lambda a, b: a / b.exp().sum(0),
    "unit(a)": lambda a, b: a / a.norm(dim=-1, keepdim=True),
    "sum(exp(a[i, j]) * (a[i, j] - b[i, j]), i)": lambda a, b: (a.exp() * (a - b)).sum(0),
    "sum(a[i, j] * (1 - b[i, j]))": lambda a, b: (a * (1 - b)).sum(),
    "(a[i, j] - mean(a[i, j], i)) / sqrt(var(a[i, j], i))": lambda a, b: standard(a),
    "b[i, j] * (a[i, j] - mean(a[i, j], i)) / sqrt(var(a[i, j], i) + 0.1)": lambda a, b: (
        b * (a - a.mean(0)) / (a.var(0, correction=0) + 0.1).sqrt()
    ),
    "(a[i, j] - mean(a[i, j], j)) / sqrt(var(a[i, j], j))": lambda a, b: standard(a.T).T,
    "(a[i, j] - mean(a[i, j])) / sqrt(var(a[i, j]))": lambda a, b: (a - a.mean()) / a.std(correction=0),
    "(a[i, j] - mean(a[i, j], i)) / sqrt(var(a[i, j], j))[i]": lambda a, b: (
        (a - a.mean(0)) / a.std(1, correction=0)[:, None]
    ),
    "(a[i, j] - mean(a[i, j])) * var(a[i, j])": lambda a, b: (a - a.mean()) * a.var(correction=0),
    "-sum(a[i, d] * b[j, d], d) / 4": lambda a, b: -a @ b.T / 4,
    "mean(a[i, d] * b[j, d], d) * 3": lambda a, b: a @ b.T / a.shape[1] * 3,
    "sum(a[i, d] * b[i, j] * a[i, k], i) / 3": lambda a, b: torch.einsum("id,ij,ik->djk", a, b, a) / 3,
    "s[i, j, k] = a[i, j] + b[i, k]\nmean(s[i, j, k] * s[i, l, k], k) / 3": lambda a, b: (
        (a[:, :, None] + b[:, None, :]) @ (a[:, :, None] + b[:, None, :]).mT / b.shape[1] / 3
    ),
    "d = a - b\nd ** 2 + d": lambda a, b: (a - b) ** 2 + (a - b),
}


@pytest.mark.parametrize("formula", PLAIN)
@pytest.mark.parametrize("learned", [(True, True), (True, False), (False, True)])
def test_value_and_gradients_are_those_of_plain_torch(formula: str, learned: tuple[bool, bool]) -> None:
    inputs = [torch.randn(4, 3, dtype=torch.float64, requires_grad=grad) for grad in learned]
    join = wye.Join(formula)
    names = dict(zip(("a", "b"), inputs, strict=True))

    def ours(a: Tensor, b: Tensor) -> Tensor:
        return join(**{name: value for name, value in {"a": a, "b": b}.items() if name in join.inputs})

    torch.testing.assert_close(ours(**names), PLAIN[formula](*inputs))
    reads = [name in join.inputs and value.requires_grad for name, value in names.items()]
    if any(reads):
        assert gradcheck(ours, inputs)
        assert gradgradcheck(ours, inputs)


def test_what_does_not_vary_has_no_standard() -> None:
    a = torch.tensor([[1.0, 2.0], [1.0, 4.0]])
    found = wye.evaluate("(a[i, j] - mean(a[i, j], i)) / sqrt(var(a[i, j], i))", a=a)
    assert torch.equal(found.isnan(), torch.tensor([[True, False], [True, False]]))


def test_vmap_takes_the_plain_way() -> None:
    join = wye.Join("sum(w[k] * (a[k] - b[k]) ** 2) + sum(w[k] * (a[k] - b[k]))")
    w, a, b = torch.rand(5, 3), torch.randn(3), torch.randn(5, 3)
    each = torch.vmap(join, in_dims=(0, None, 0))(w, a, b)
    torch.testing.assert_close(each, torch.stack([join(w[i], a, b[i]) for i in range(5)]))


@pytest.mark.filterwarnings(r"ignore:`torch\.jit\.script` is deprecated:DeprecationWarning")  # by torch.func itself
def test_forward_mode_takes_the_plain_way() -> None:
    join = wye.Join("sum((a - b) ** 2)")
    a, b = torch.randn(3), torch.randn(3)
    _, tangent = torch.func.jvp(join, (a, b), (torch.ones(3), torch.zeros(3)))
    torch.testing.assert_close(tangent, (2 * (a - b)).sum())


def test_division_by_the_number_zero_is_infinite_as_on_tensors() -> None:
    join = wye.Join("sum(a[i, d] * b[j, d], d) / tau", tau=0.0)
    assert torch.isinf(join(torch.ones(2, 3), torch.ones(2, 3))).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_keeps_its_range(dtype: torch.dtype) -> None:
    a, b = torch.full((2, 4096), 8, dtype=dtype), torch.full((3, 4096), 8, dtype=dtype)
    assert torch.equal(wye.evaluate("mean(a[i, d] * b[j, d], d)", a=a, b=b), torch.full((2, 3), 64, dtype=dtype))
    assert wye.evaluate("mean((a - 0) ** 2)", a=a) == 64


def test_inputs_are_left_as_they_are() -> None:
    w, a, b = torch.rand(6), torch.randn(6), torch.randn(6, requires_grad=True)
    kept = [value.clone() for value in (w, a, b)]
    wye.evaluate("sum(w * (a - b)) + sum(w * (b - a)) + mean((a - b) ** 2)", w=w, a=a, b=b).backward()
    assert all(torch.equal(before, after) for before, after in zip(kept, (w, a, b), strict=True))
