"""Undeclared values: data meets strictly, context bends, and `strict=False` lets NumPy's rule through."""

import numpy as np
import pytest

from tests.unit.formula.reference.run import drawn, same, value
from wye.errors import FormulaError, ShapeError

X = drawn(4, 3)
COLUMN, ROW, LONE = drawn(4, 1), drawn(1, 3), drawn(1, 1)
V = drawn(3)


def test_data_meets_data_in_equal_shapes_or_without_axes() -> None:
    same(value("x + x", x=X), 2 * X)
    same(value("x - s", x=X, s=np.float64(2)), X - 2)
    same(value("x - mean(x)", x=X), X - X.mean())
    for other in (COLUMN, ROW, LONE, V, drawn(4), drawn(5, 3), drawn(1)):
        for operator in ("+", "-", "**", "%", "<", "=="):
            with pytest.raises(ShapeError):
                value(f"x {operator} y", x=X, y=other)


@pytest.mark.parametrize("operator", ["*", "/", "and"])
def test_one_side_of_a_product_may_stretch(operator: str) -> None:
    plain = {"*": np.multiply, "/": np.true_divide, "and": np.logical_and}[operator]
    for other in (COLUMN, ROW, LONE):
        same(value(f"x {operator} y", x=X, y=other), plain(X, other))
        same(value(f"y {operator} x", x=X, y=other), plain(other, X))
    for left, right in ((COLUMN, ROW), (X, V), (X, drawn(4)), (drawn(4), drawn(1, 4)), (X, drawn(2, 3))):
        with pytest.raises(ShapeError):
            value(f"x {operator} y", x=left, y=right)


def test_a_condition_may_stretch() -> None:
    same(value("where(c > 0, x, 0)", x=X, c=COLUMN), np.where(COLUMN > 0, X, 0))
    same(value("where(x > 0, c, 0)", x=X, c=COLUMN), np.where(X > 0, COLUMN, 0))
    same(value("sum(x, where=c > 0)", x=X, c=ROW), (X * (ROW > 0)).sum())
    same(value("softmax(x, where=c == c)", x=X, c=ROW), value("softmax(x)", x=X))
    for text in ("where(c > 0, x, y)", "where(v > 0, x, 0)", "where(c > 0, r, 0)", "sum(x, where=v > 0)"):
        with pytest.raises(ShapeError):
            value(text, x=X, c=COLUMN, y=COLUMN, v=V, r=ROW)


def test_kept_axes_stretch() -> None:
    same(value("x - mean(x, axis=1, keepdims=True)", x=X), X - X.mean(1, keepdims=True))
    same(value("x - max(x, axis=0, keepdims=True)", x=X), X - X.max(0))
    same(value("x + -(sum(x, axis=1, keepdims=True) + 1) * 2", x=X), X - (X.sum(1, keepdims=True) + 1) * 2)
    same(value("x ** sum(x * 0, keepdims=True)", x=X), np.ones((4, 3)))
    same(value("sum(x, axis=1, keepdims=True) - sum(x, axis=0, keepdims=True)", x=X), X.sum(1)[:, None] - X.sum(0))
    same(value("h = mean(x, axis=1, keepdims=True)\nx - h", x=X), X - X.mean(1, keepdims=True))
    for text in (
        "x - mean(x, axis=1)",
        "x - (mean(x, axis=1, keepdims=True) + c)",
        "(c - mean(c, axis=1, keepdims=True)) + x",
        "x + sum(sum(x, axis=0, keepdims=True), axis=1)",
    ):
        with pytest.raises(ShapeError):
            value(text, x=X, c=COLUMN)


def test_context_bends_to_data() -> None:
    for other in (COLUMN, ROW, LONE, V, drawn(1), drawn(1, 1, 1), drawn(1, 1, 1, 1)):
        expected = X + (other.reshape(()) if other.size == 1 else other)
        same(value("x + w", x=X, w=other, context=["w"]), expected)
        same(value("w + x", x=X, w=other, context=["w"]), expected)
    for data, other in ((V, X), (COLUMN, X), (X, drawn(2, 4, 3)), (X, drawn(4)), (COLUMN, ROW)):
        with pytest.raises(ShapeError):
            value("x + w", x=data, w=other, context=["w"])


def test_context_broadcasts_among_itself() -> None:
    same(value("v + w * u", v=COLUMN, w=ROW, u=drawn(2, 1, 1) * 0, context="vwu"), np.zeros((2, 4, 3)) + COLUMN)
    with pytest.raises(ShapeError):
        value("v + w", v=drawn(2), w=V, context="vw")


def test_what_data_touches_is_data() -> None:
    with pytest.raises(ShapeError):
        value("x + (v * 0 + w)", x=X, v=np.float64(1), w=V, context="w")
    same(value("x + (2 * w)", x=X, w=V, context="w"), X + 2 * V)
    same(value("x + enc(w)", x=X, w=V, enc=np.sin, context="w"), X + np.sin(V))
    same(value("x + enc()", x=X, enc=lambda: V), X + V)
    with pytest.raises(ShapeError):
        value("x + enc(w, x)", x=X, w=V, enc=lambda w, x: w, context="w")


def test_declared_meets_undeclared_without_axes_only() -> None:
    same(value("x[b, k] + s", x=X, s=np.float64(1)), X + 1)
    same(value("x[b, k] + w", x=X, w=drawn(1, 1) * 0, context="w"), X)
    same(value("sum(x[b, k]) + x", x=X), X.sum() + X)
    for other in (X, V, LONE):
        with pytest.raises(ShapeError, match="only one of them has named axes"):
            value("x[b, k] + y", x=X, y=other)
        with pytest.raises(ShapeError, match="only one of them has named axes"):
            value("where(y > 0, x[b, k], 0)", x=X, y=other)


def test_without_strictness_the_rule_is_that_of_numpy() -> None:
    for other in (COLUMN, ROW, LONE, V, drawn(2, 4, 3)):
        same(value("x + y", x=X, y=other, strict=False), X + other)
    with pytest.raises(ShapeError, match="have different shapes"):
        value("x + y", x=X, y=drawn(4), strict=False)
    with pytest.raises(ShapeError, match="cross"):
        value("x[b] + y[k]", x=V, y=V, strict=False)
    with pytest.raises(ShapeError, match="only one of them"):
        value("x[b] + y", x=V, y=V, strict=False)


@pytest.mark.parametrize(
    ("text", "shape"),
    [("x[i] * y[j] * x[k]", (40, 40)), ("x[i] - y[j] + x[k]", (40,)), ("x[i] ** y[j] < x[k] ** y[l]", (40, 40))],
)
def test_no_value_is_far_larger_than_all_that_comes_in(text: str, shape: tuple[int, ...]) -> None:
    values = {"x": np.ones(4_200), "y": np.ones(4_200)}
    with pytest.raises(ShapeError, match="too many elements"):
        value(f"r[{', '.join('ijkl'[: text.count('[')])}] = {text}\nr", **values)


def test_limits_hold_for_picks_takes_and_structure() -> None:
    ids = np.zeros(5_000, np.int64)
    for text in ("t[id[b], j[a]]", "take(take(t, id), id, axis=1)", "t[id[b], 0] * t[id[a], 0]"):
        with pytest.raises(FormulaError):
            value(text, t=np.zeros((2, 2)), id=ids, j=ids)
    with pytest.raises(ShapeError, match="too many elements"):
        value("t[id[b], j[a]]", t=np.zeros((2, 2)), id=ids, j=ids)
    with pytest.raises(ShapeError, match="too many elements"):
        value("x @ y", x=np.zeros((9_000, 1)), y=np.zeros((1, 9_000)))
    assert value("x[b] * 1", x=np.zeros(0)).shape == (0,)
