"""The language's rules for axes on torch, each against a plain oracle: picks, diagonals, positions, order, shapes."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.testing import assert_close

import wye
from wye.errors import WyeError
from wye.torch.kernels import matmul

Values = dict[str, Any]


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


X, Y = drawn(4, 3), drawn(3, 4)
IDS = torch.tensor([[0, 3, 1], [2, 2, 0]])
MANY = drawn(2, 3, 4)
FOUR = drawn(2, 3, 3, 2)
DOWN, ACROSS = torch.arange(4.0, dtype=torch.float64)[:, None], torch.arange(3.0, dtype=torch.float64)
LOGITS, CLASSES = drawn(5, 2, 3), torch.tensor([[0, 4], [1, 1], [3, 2]])
ENTRIES = F.cross_entropy(LOGITS.permute(1, 0, 2), CLASSES.T, reduction="none")

SAME: list[tuple[str, Values, Tensor]] = [
    # picks meet by `...`, of which one may be empty
    ("p[..., y[...]]", {"p": MANY, "y": IDS}, MANY.gather(2, IDS[..., None])[..., 0]),
    ("p[..., y[...]]", {"p": MANY, "y": torch.tensor(2)}, MANY[..., 2]),
    ("p[..., y[...]]", {"p": drawn(4), "y": IDS}, drawn(4)[IDS]),
    ("p[..., y[..., t]]", {"p": drawn(2, 4), "y": IDS}, drawn(2, 4).gather(1, IDS)),
    ("p[..., y[..., t]]", {"p": drawn(2, 4), "y": IDS[0]}, drawn(2, 4)[:, IDS[0]]),
    (
        "p[b, ..., y[b]]",
        {"p": drawn(3, 2, 4), "y": IDS[0]},
        torch.stack([drawn(3, 2, 4)[b, :, IDS[0, b]] for b in range(3)]),
    ),
    ("p[..., y[..., b], b, k]", {"p": drawn(4, 3, 5), "y": IDS}, drawn(4, 3, 5)[IDS, torch.arange(3)]),
    # diagonals stand last, in reading order
    ("c[b, i, i, b]", {"c": FOUR}, torch.einsum("biib->bi", FOUR)),
    ("c[i, b, b, i]", {"c": FOUR}, torch.einsum("ibbi->ib", FOUR)),
    (
        "c[i, b, b, i, ..., z]",
        {"c": drawn(2, 3, 3, 2, 5, 6, 7)},
        torch.einsum("ibbixyz->xyzib", drawn(2, 3, 3, 2, 5, 6, 7)),
    ),
    # positions stay positions beside lengths and numbers
    ("(i - size(i) / 2) * (j - size(j) / 2) * x[i, j]", {"x": X}, (DOWN - 2) * (ACROSS - 1.5) * X),
    ("v[i] * (j - size(j) / 2) + 0 * w[j]", {"v": X[:, 0], "w": Y[:, 0]}, X[:, :1] * (ACROSS - 1.5)),
    ("v[i] * (j - n) + 0 * w[j]", {"v": X[:, 0], "w": Y[:, 0], "n": 2}, X[:, :1] * (ACROSS - 2)),
    # losses entry by entry have the order of the first value that holds their names
    ('cross_entropy(x[k, b, t], y[t, b], reduction="none")', {"x": LOGITS, "y": CLASSES}, ENTRIES),
    ('mse(x[i, j], y[j, i], reduction="none")', {"x": X, "y": Y}, (X - Y.T) ** 2),
    (
        'f(cross_entropy(x[k, b, t], y[b, t], reduction="none"))',
        {"x": LOGITS, "y": CLASSES.T, "f": torch.exp},
        ENTRIES.exp(),
    ),
]


@pytest.mark.parametrize(("text", "values", "expected"), SAME)
def test_values(text: str, values: Values, expected: Tensor) -> None:
    assert_close(wye.evaluate(text, **values), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("left", [(2,), (4, 2), (3, 4, 2), (5, 3, 4, 2)])
@pytest.mark.parametrize("right", [(2,), (2, 5), (3, 2, 5), (5, 3, 2, 5)])
@pytest.mark.parametrize("samples", [(True, False), (False, True), (True, True)])
def test_matrices_multiply_sample_by_sample(
    left: tuple[int, ...], right: tuple[int, ...], samples: tuple[bool, bool]
) -> None:
    """Three samples, as many as some matrices have of leading axes."""
    sides = [drawn(3, *own) if sample else drawn(*own) for own, sample in zip((left, right), samples, strict=True)]
    one = [[side[b] if sample else side for side, sample in zip(sides, samples, strict=True)] for b in range(3)]
    assert_close(matmul(*sides, *samples), torch.stack([a @ b for a, b in one]))


def test_gradients_through_a_pick_that_repeats() -> None:
    p = drawn(4).requires_grad_()
    wye.evaluate("sum(p[..., y[...]])", p=p, y=IDS).backward()
    assert_close(p.grad, torch.tensor([2.0, 1, 2, 1], dtype=torch.float64))


FREE: list[tuple[str, Values, Tensor]] = [
    ("x + y", {"x": drawn(4, 1), "y": drawn(3)}, drawn(4, 1) + drawn(3)),
    ("x % y", {"x": X, "y": drawn(4, 1)}, X % drawn(4, 1)),
    ("mse(x, y)", {"x": drawn(4, 1), "y": X}, (drawn(4, 1) - X).square().mean()),
    ("x @ y", {"x": drawn(1, 4, 2), "y": drawn(5, 2, 3)}, drawn(1, 4, 2) @ drawn(5, 2, 3)),
]


@pytest.mark.parametrize(("text", "values", "expected"), FREE)
def test_undeclared_values_broadcast_where_that_is_asked_for(text: str, values: Values, expected: Tensor) -> None:
    assert_close(wye.evaluate(text, strict=False, **values), expected)
    with pytest.raises(wye.WyeError):
        wye.evaluate(text, **values)


@pytest.mark.parametrize(
    "text", ["x + y", "x * y", "max(x, y)", "sum(x, where=y > 0)", "dot(x, y)", "mse(x, y)", "x @ y"]
)
def test_what_does_not_fit_is_told_even_so(text: str) -> None:
    with pytest.raises(WyeError, match=r"do not fit together|do not multiply") as caught:
        wye.evaluate(text, strict=False, x=drawn(3, 4), y=drawn(5, 4))
    assert all((caught.value.where, caught.value.got, caught.value.fix))


@pytest.mark.parametrize(
    "text", ["x - (mean(x, axis=1, keepdims=True) + c)", "(c - mean(c, axis=1, keepdims=True)) + x"]
)
def test_kept_axes_are_those_of_all_that_meets(text: str) -> None:
    with pytest.raises(WyeError, match="broadcast in silence"):
        wye.evaluate(text, x=X, c=drawn(4, 1))


ROOM: list[tuple[str, Values]] = [
    ("p[b, y[t], k]", {"p": torch.zeros(2, 3, 5_000), "y": torch.zeros(30_000, dtype=torch.int64)}),
    ("take(x, i)", {"x": torch.zeros(1, 20_000), "i": torch.zeros(20_000, dtype=torch.int64)}),
    ("x @ y", {"x": torch.zeros(10_000, 1), "y": torch.zeros(1, 10_000)}),
]


@pytest.mark.parametrize(("text", "values"), ROOM)
def test_no_value_is_far_larger_than_what_comes_in(text: str, values: Values) -> None:
    with pytest.raises(WyeError, match="far larger than all that comes in"):
        wye.evaluate(text, **values)


def test_room_where_parts_broadcast() -> None:
    with pytest.raises(WyeError, match="far larger than all that comes in"):
        wye.Join("sum(w * v)", w=torch.ones(9_000, 1), v=torch.ones(9_000))()


NAMED: list[tuple[str, dict[str, str], Tensor]] = [
    ("sum(f, b)", {"f": "x[b, k] * 2"}, 2 * X.sum(0)),
    ("f - mean(f, k)", {"f": "x[b, k] * 2"}, 2 * X - 2 * X.mean(1, True)),
    ("sum(f * b)", {"f": "x[b, k]"}, (X * DOWN).sum()),
    ("size(b) + sum(f)", {"f": "x[b, k]"}, 4 + X.sum()),
    ("max(g, b)", {"f": "x[b, k] * 2", "g": "sum(f, k)"}, 2 * X.sum(1).amax()),
    ("sum(g)", {"f": "x[b, k] * 2", "g": "sum(f * x[b, k], k)"}, 2 * (X * X).sum()),
    ("sum(f, k)", {"f": "x[b, k] + x[b, k] * 0"}, X.sum(1)),
    ("b = 2\nf * b", {"f": "x[b, k]"}, 2 * X),
]


@pytest.mark.parametrize(("text", "formulas", "expected"), NAMED)
def test_axes_that_a_named_formula_brings_out(text: str, formulas: dict[str, str], expected: Tensor) -> None:
    join = wye.Join(text, **formulas)
    assert join.inputs == ("x",)
    assert_close(join(X), expected)


def test_axes_that_a_named_formula_reduces_are_its_own() -> None:
    with pytest.raises(WyeError, match="there is no axis `b`"):
        wye.Join("sum(f, b)", f="mean(x[b, k], b)")


MESSAGES: list[tuple[str, Values, str]] = [
    (
        "p[..., y[...]]",
        {"p": drawn(3, 3, 4), "y": IDS},
        """
        ShapeError: the axes under `...` are of two shapes.
          in:  p[..., y[...]]
               ^^^^^^^^^^^^^^
          got: (3, 3) and (2, 3)
          fix: name the axes that differ
        """,
    ),
    (
        "h[b, b] = x\nh",
        {"x": drawn(3, 3)},
        """
        FormulaError: a line names each axis of its value once.
          in:  h[b, b] = x
               ^^^^^^^
          got: [b, b]
          fix: give the second `b` another name, or take the diagonal first: value[b, b]
        """,
    ),
    (
        "x[b, -1]",
        {"x": X},
        """
        RangeError: there is no entry -1.
          in:  x[b, -1]
                    ^^
          got: an axis of size 3
          fix: count from the front: 2
        """,
    ),
    (
        "x[b, 3]",
        {"x": X},
        """
        RangeError: there is no entry 3.
          in:  x[b, 3]
                    ^
          got: an axis of size 3
          fix: entries run from 0 to 2
        """,
    ),
    (
        "x % y",
        {"x": X, "y": drawn(4, 1)},
        """
        ShapeError: `y` would be broadcast in silence.
          in:  x % y
               ^^^^^
          got: x (4, 3), y (4, 1) -> (4, 3)
          fix: name the axes: x[b, k] and y[b, 0]
        """,
    ),
    (
        "x @ y",
        {"x": drawn(10_000, 1), "y": drawn(1, 10_000)},
        """
        ShapeError: the value would be far larger than all that comes in.
          in:  x @ y
               ^^^^^
          got: 100,000,000 elements, at most 40,960,000
          fix: sum over an axis first, or name fewer axes
        """,
    ),
]


@pytest.mark.parametrize(("text", "values", "message"), MESSAGES)
def test_messages(text: str, values: Values, message: str) -> None:
    with pytest.raises(WyeError) as caught:
        wye.evaluate(text, **values)
    assert f"{type(caught.value).__name__}: {caught.value}" == inspect.cleandoc(message)
