"""The language's rules on torch, each against a plain oracle: what functions take, what is refused, dtypes, items."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import wye
from wye.errors import WyeError
from wye.formula.grammar import parse

Values = dict[str, Any]
INF = float("inf")


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


X, Y = drawn(4, 3), drawn(4, 3) + 1
SMALL = torch.tensor([100, -3], dtype=torch.int8)
WHOLE = torch.tensor([7, -7, 3])

SAME: list[tuple[str, Values, Any]] = [
    # small whole numbers are compared as what they are
    ("i > 300", {"i": SMALL}, [False, False]),
    ("i > n", {"i": SMALL, "n": -129}, [True, True]),
    ("i == -1", {"i": torch.tensor([255], dtype=torch.uint8)}, [False]),
    ("0 <= i < 127", {"i": SMALL}, [True, False]),
    ("i > 99.5", {"i": SMALL}, [True, False]),
    ("i == 9007199254740993", {"i": torch.tensor([2**53, 2**53 + 1])}, [False, True]),
    # remainders have the sign of the divisor; by zero they are NaN
    ("i % 3", {"i": WHOLE}, torch.tensor([1, 2, 0])),
    ("i % j", {"i": WHOLE, "j": torch.tensor([-3, 3, 2])}, torch.tensor([-2, 2, 1])),
    ("i % j", {"i": WHOLE, "j": torch.tensor([0, 3, 2])}, torch.tensor([torch.nan, 2, 1])),
    ("i % 0", {"i": WHOLE}, torch.full((3,), torch.nan)),
    ("5 % j", {"j": torch.tensor([0, 3])}, torch.tensor([torch.nan, 2])),
    ("f(i) % f(j)", {"i": WHOLE, "j": torch.tensor([0, 3, 2]), "f": lambda x: x}, torch.tensor([torch.nan, 2, 1])),
    # NaN stays NaN
    ("sign(x)", {"x": torch.tensor([torch.nan, 2.0, -2.0, 0.0])}, torch.tensor([torch.nan, 1, -1, 0])),
    ("sign(i)", {"i": WHOLE}, torch.tensor([1, -1, 1])),
    ("max(n, 1) * x", {"n": torch.nan, "x": torch.ones(1)}, torch.tensor([torch.nan])),
    # values without axes are stacked and expanded
    ("stack(sum(x), 1, max(x))", {"x": X}, torch.stack([X.sum(), torch.ones((), dtype=X.dtype), X.max()])),
    ("expand_as(mean(x), x)", {"x": X}, X.mean().expand(4, 3)),
    ("expand_as(2, x)", {"x": X}, torch.full_like(X, 2)),
    # all axes kept
    ("x - max(x, keepdims=True)", {"x": X}, X - X.max()),
    ("sum(x, keepdims=True)", {"x": X}, X.sum().reshape(1, 1)),
    ("any(x > 2, keepdims=True)", {"x": X}, (X > 2).any().reshape(1, 1)),
    ("x - mean(x, axis=0, keepdims=True) * max(x, keepdims=True)", {"x": X}, X - X.mean(0) * X.max()),
    # items that are numbers
    ("p[1][1] * x", {"p": (X, (3, 4)), "x": X}, 4 * X),
    ("p[0] * x[b, k]", {"p": (0.1, 2), "x": X}, 0.1 * X),
    ("x[b, p[1]]", {"p": (0.1, 2), "x": X}, X[:, 2]),
    ("f(x)[1] > 3", {"x": X, "f": lambda x: (x, 4)}, True),
    ("a, b = f(x)\na * b", {"x": X, "f": lambda x: (x, 0.1)}, 0.1 * X),
    ("f(p[0]) * p[0] * x", {"p": (2, 3), "x": X, "f": lambda n: n if type(n) is int else 100}, 4 * X),
    # joined, then reduced
    ("max(max(x, y), axis=0)", {"x": X, "y": Y}, torch.maximum(X, Y).amax(0)),
    ("max(max(x[b, k], y[b, k]), b)", {"x": X, "y": Y}, torch.maximum(X, Y).amax(0)),
]


@pytest.mark.parametrize(("text", "values", "expected"), SAME)
def test_values(text: str, values: Values, expected: Any) -> None:
    found = wye.evaluate(text, **values)
    assert_close(found, torch.as_tensor(expected), check_dtype=False, equal_nan=True, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_entries_left_out_are_no_part_of_a_logsumexp(dtype: torch.dtype) -> None:
    """-inf where all that is kept is -inf, and gradients that are finite."""
    x = torch.tensor([[-INF, 1, 2], [-INF, -INF, 3], [1, 2, 3], [1, 1, 1]], dtype=dtype, requires_grad=True)
    kept = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 0], [1, 1, 1]]) > 0
    found = wye.evaluate("logsumexp(x, axis=1, where=kept)", x=x, kept=kept)
    assert_close(found, torch.tensor([1, -INF, -INF, 1 + math.log(3)], dtype=dtype))
    found[[0, 3]].sum().backward()
    assert x.grad is not None
    assert_close(
        x.grad, torch.tensor([[0, 1, 0], [0, 0, 0], [0, 0, 0], [1 / 3, 1 / 3, 1 / 3]], dtype=dtype), rtol=2e-3, atol=0
    )


def test_left_out_entries_have_no_share_of_a_softmax() -> None:
    x = torch.tensor([[1.0, 2, 3], [1, 2, 3]], requires_grad=True)
    found = wye.evaluate("softmax(x, where=kept)", x=x, kept=torch.tensor([[True, True, False], [False] * 3]))
    assert_close(found, torch.stack([torch.softmax(torch.tensor([1.0, 2, -INF]), 0), torch.zeros(3)]))
    found.square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_a_remainder_in_a_captured_graph_is_asserted() -> None:
    """A graph has one dtype, so that it cannot turn to floats: it stops instead."""
    compiled = torch.compile(wye.Join("i % j"), backend="eager", fullgraph=True)
    assert_close(compiled(WHOLE, torch.tensor([2, 2, 2])), WHOLE % 2)
    with pytest.raises(RuntimeError, match="modulo 0"):
        compiled(WHOLE, torch.tensor([0, 2, 2]))


def test_the_largest_whole_number() -> None:
    assert_close(wye.evaluate("9223372036854775807 - i", i=torch.tensor([1])), torch.tensor([2**63 - 2]))


def test_a_call_with_another_kind_of_number_is_another_call() -> None:
    assert parse("f(1)") == parse("f( 1 )")
    assert parse("f(1)") != parse("f(1.0)")
    assert hash(parse("f(1)")) == hash(parse("f( 1 )"))
    told = wye.evaluate("f(x, 1) + f(x, 1.0)", x=torch.ones(1), f=lambda x, n: x * (1 if type(n) is int else 10))
    assert_close(told, torch.tensor([11.0]))


def test_chains_of_brackets_are_deep() -> None:
    parse("x" + "[b]" * 64)
    for text in ("x" + "[b]" * 65, "(" * 60 + "x" + "[b]" * 5 + ")" * 60):
        with pytest.raises(wye.WyeError, match="nests at most 64 deep"):
            parse(text)


MESSAGES: list[tuple[str, Values, str]] = [
    (
        "softmax(x, 1)",
        {"x": X},
        """
        FormulaError: `softmax` takes names of axes behind its values.
          in:  softmax(x, 1)
                          ^
          got: 1
          fix: write softmax(x, axis=1)
        """,
    ),
    (
        "softmax(x, x > 0)",
        {"x": X},
        """
        FormulaError: `softmax` takes names of axes behind its values.
          in:  softmax(x, x > 0)
                          ^^^^^
          got: x > 0
          fix: name its axes: softmax(value[b, k], k); of an undeclared value say axis=1
        """,
    ),
    (
        "max(x, y, axis=0)",
        {"x": X, "y": Y},
        """
        FormulaError: `max` of several values joins them, entry by entry.
          in:  max(x, y, axis=0)
               ^^^^^^^^^^^^^^^^^
          got: max(x, y, axis=0)
          fix: reduce what is joined: max(max(x, y), axis=0)
        """,
    ),
    (
        "mean(3, i, k) + sum(x[i, k])",
        {"x": X},
        """
        ShapeError: `3` has no axes for `mean` to go over.
          in:  mean(3, i, k) + sum(x[i, k])
               ^^^^^^^^^^^^^
          got: a value without axes
          fix: leave the axes out
        """,
    ),
    (
        "sum(sum(x), axis=0)",
        {"x": X},
        """
        ShapeError: `sum(x)` has no axes for `sum` to go over.
          in:  sum(sum(x), axis=0)
               ^^^^^^^^^^^^^^^^^^^
          got: a value without axes
          fix: leave the axes out
        """,
    ),
    (
        "take(x, i)",
        {"x": X, "i": torch.zeros(2)},
        """
        FormulaError: entries are taken at whole numbers.
          in:  take(x, i)
               ^^^^^^^^^^
          got: an index of float32
          fix: cast(index, dtype='int64')
        """,
    ),
    (
        "x + z",
        {"x": X, "z": torch.ones(4, 3, dtype=torch.complex64)},
        """
        FormulaError: `z` holds complex numbers.
          in:  x + z
                   ^
          got: a tensor of complex numbers
          fix: give its real and its imaginary part as two values: z.real, z.imag
        """,
    ),
    (
        "x * f(x)",
        {"x": X, "f": lambda x: x * 1j},
        """
        FormulaError: complex numbers are not part of the language.
          in:  x * f(x)
                   ^^^^
          got: a tensor of complex128
          fix: give the real and the imaginary part as two values
        """,
    ),
    (
        "x[b, v]",
        {"x": X, "v": torch.tensor(1)},
        """
        FormulaError: `v` names an axis and a value.
          in:  x[b, v]
                    ^
          got: v
          fix: give the axis another name; to pick by the value, name its axes: v[i]
        """,
    ),
    (
        "x = 1\nx + y",
        {"x": X, "y": Y},
        """
        FormulaError: `x` is bound already.
          in:  x = 1
               ^
          got: x
          fix: give it another name
        """,
    ),
    (
        "expand_as(x, 1)",
        {"x": X},
        """
        ShapeError: `expand_as` takes values with undeclared axes; `1` has no axes.
          in:  expand_as(x, 1)
                            ^
          got: 1
          fix: give it a tensor with axes
        """,
    ),
    (
        "9223372036854775808 + x",
        {"x": X},
        """
        FormulaError: the number is too large.
          in:  9223372036854775808 + x
               ^^^^^^^^^^^^^^^^^^^
          got: 9223372036854775808
          fix: write a smaller one
        """,
    ),
]


@pytest.mark.parametrize(("text", "values", "message"), MESSAGES)
def test_messages(text: str, values: Values, message: str) -> None:
    with pytest.raises(WyeError) as caught:
        wye.evaluate(text, **values)
    assert f"{type(caught.value).__name__}: {caught.value}" == inspect.cleandoc(message)


def test_complex_numbers_are_refused_in_a_module() -> None:
    z = torch.ones(2, dtype=torch.complex64)
    with pytest.raises(WyeError, match="`x` holds complex numbers"):
        wye.Join("x + 1")(z)
    with pytest.raises(WyeError, match="`w` holds complex numbers"):
        wye.Join("w * x", w=z)
