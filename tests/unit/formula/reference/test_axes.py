"""Named axes: brackets, meeting by name, crossing, order, positions."""

import itertools

import numpy as np
import pytest

from tests.unit.formula.reference.run import drawn, same, value
from wye.errors import FormulaError, RangeError, ShapeError

X = drawn(3, 4)  # b, k
Y = drawn(4, 3)
V = drawn(3)
CUBE = drawn(3, 4, 5)
SQUARE = drawn(4, 4)


def test_values_meet_by_name_in_any_order() -> None:
    same(value("x[b, k] + y[k, b]", x=X, y=Y), X + Y.T)
    same(value("v[b] * x[b, k]", x=X, v=V), V[:, None] * X)
    same(value("x[b, k] - v[b]", x=X, v=V), X - V[:, None])
    same(value("x[b, k] < v[b]", x=X, v=V), V[:, None] > X.T.T)
    same(value("where(v[b] > 0, x[b, k], 0)", x=X, v=V), np.where(V[:, None] > 0, X, 0))
    same(value("max(x[b, k], y[k, b], v[b])", x=X, y=Y, v=V), np.maximum(np.maximum(X, Y.T), V[:, None]))
    same(value("mse(x[b, k], y[k, b])", x=X, y=Y), ((X - Y.T) ** 2).mean())


def test_zero_dimensional_values_meet_all() -> None:
    same(value("x[b, k] * s + 1", x=X, s=np.float64(3)), X * 3 + 1)
    same(value("x * sum(y[a, b])", x=X, y=Y), X * Y.sum())


def test_a_size_of_1_does_not_stretch() -> None:
    with pytest.raises(ShapeError, match="`k` has two sizes"):
        value("x[b, k] + y[b, k]", x=X, y=X[:, :1])
    with pytest.raises(ShapeError, match="`b` has two sizes"):
        value("sum(x[b, k], k) + sum(y[b], b)", x=X, y=drawn(7))


def test_brackets_name_each_dimension() -> None:
    same(value("x[k, b]", x=X), X)
    with pytest.raises(ShapeError, match="2 entries, the value has 3 axes"):
        value("x[b, k]", x=CUBE)
    with pytest.raises(ShapeError, match="1 entry, the value has 2 axes"):
        value("x[b]", x=X)
    with pytest.raises(ShapeError, match="the value has 2 axes"):
        value("x[b, k, t]", x=X)
    same(value("mean(enc(x)[b, k] * v[b], k)", x=X, v=V, enc=np.sin), np.mean(np.sin(X) * V[:, None], 1))


def test_brackets_rename_declared_values_by_position() -> None:
    same(value("h = x[b, k]\nh[i, j] * y[j, i]", x=X, y=Y), X * Y.T)
    same(value("s[i, j] - s[j, i]", s=SQUARE), SQUARE - SQUARE.T)
    same(value("t[i, j] = s[i, j]\nt + t[j, i]", s=SQUARE), SQUARE + SQUARE.T)
    same(value("(x[b, k] + 0)[i, j] * y[j, i]", x=X, y=Y), X * Y.T)


@pytest.mark.parametrize(
    "text", ["(s[i, j] + 0)[j, i]", "abs(s[i, j])[j, i]", "(c[i, j, k] + 0)[k, i, j]", "s[i, j][j, i]"]
)
def test_an_expression_may_not_exchange_its_own_names(text: str) -> None:
    with pytest.raises(ShapeError, match="may not exchange"):
        value(text, s=SQUARE, c=drawn(3, 3, 3))


def test_numbers_pick() -> None:
    same(value("c[b, 0, d]", c=CUBE), CUBE[:, 0])
    same(value("c[2, k, 1]", c=CUBE), CUBE[2, :, 1])
    same(value("x[1, 2]", x=X), X[1, 2])
    same(value("x[b, k][1, k]", x=X), X[1])
    same(value("c[b, size(b) - 1, d]", c=CUBE), CUBE[:, 2])
    for text in ("x[b, 4]", "x[b, -1]", "x[3, k]"):
        with pytest.raises(RangeError):
            value(text, x=X)
    with pytest.raises(FormulaError, match="whole numbers"):
        value("x[b, 1.0]", x=X)


def test_a_single_number_is_an_item_of_undeclared_values() -> None:
    with pytest.raises(FormulaError, match="has axes and no items"):
        value("x[0]", x=X)
    with pytest.raises(FormulaError, match="has axes and no items"):
        value("x[0]", x=V)
    same(value("v[b][0]", v=V), V[0])


def test_values_pick_per_entry() -> None:
    y = np.array([3, 0, 2])
    same(value("x[b, y[b]]", x=X, y=y), X[[0, 1, 2], y])
    same(value("x[y[b], b]", x=X.T, y=y), X[[0, 1, 2], y])
    same(value("table[y[b], d]", table=Y, y=y), Y[y])
    same(value("c[b, y[b], d]", c=CUBE, y=y), CUBE[[0, 1, 2], y])
    ids = np.array([[0, 1], [3, 2], [1, 1]])
    same(value("table[ids[b, t], d]", table=Y, ids=ids), Y[ids])
    same(value("table[d, ids[b, t]]", table=Y.T, ids=ids), Y.T[:, ids])
    expected = np.array([[[CUBE[b, ids[b, t], d] for d in range(5)] for t in range(2)] for b in range(3)])
    same(value("c[b, ids[b, t], d]", c=CUBE, ids=ids), expected)
    expected = np.array([[CUBE[b, ids[b, t], y[b]] for t in range(2)] for b in range(3)])
    same(value("c[b, ids[b, t], y[b]]", c=CUBE, ids=ids, y=y), expected)
    same(value("x[b, where(y[b] > 1, y[b], 0)]", x=X, y=y), X[[0, 1, 2], [3, 0, 2]])
    same(value("x[b, n + 0]", x=X, n=np.int64(2)), X[:, 2])
    same(value("x[b, y[b]]", x=X, y=y.astype(np.uint8)), X[[0, 1, 2], y])


def test_picks_are_checked() -> None:
    with pytest.raises(RangeError, match="outside of its axis"):
        value("x[b, y[b]]", x=X, y=np.array([0, 4, 1]))
    with pytest.raises(RangeError, match="outside of its axis"):
        value("x[b, y[b]]", x=X, y=np.array([0, -1, 1]))
    with pytest.raises(FormulaError, match="whole numbers"):
        value("x[b, y[b]]", x=X, y=V)
    with pytest.raises(FormulaError, match="whole numbers"):
        value("x[b, y[b]]", x=X, y=V > 0)
    with pytest.raises(ShapeError, match="that picks are named"):
        value("x[b, abs(y)]", x=X, y=np.array([0, 1, 1]))
    with pytest.raises(ShapeError, match="`b` has two sizes"):
        value("x[b, y[b]]", x=X, y=np.array([0, 1]))
    with pytest.raises(FormulaError, match="not yet"):
        value("x[b + 1, k]", x=X)


def test_an_empty_index_picks_nothing() -> None:
    assert value("table[id[b], d]", table=Y, id=np.zeros(0, np.int64)).shape == (0, 3)


def test_diagonals_stand_last() -> None:
    same(value("s[i, i]", s=SQUARE), np.diag(SQUARE))
    cube = drawn(4, 4, 5)
    same(value("c[i, i, d]", c=cube), np.array([[cube[i, i, d] for i in range(4)] for d in range(5)]))
    four = drawn(3, 4, 4, 3)
    same(value("c[b, i, i, b]", c=four), np.array([[four[b, i, i, b] for i in range(4)] for b in range(3)]))
    same(value("s[i, j] = sum(a[i, d] * b[j, d], d)\ns[i, i]", a=X, b=X), (X * X).sum(1))
    same(value("c[i, i, i]", c=drawn(2, 2, 2) * 0 + 1), np.ones(2))
    with pytest.raises(ShapeError, match="`i` has two sizes"):
        value("x[i, i]", x=X)


def test_rests_stand_for_any_number_of_axes() -> None:
    w, y = drawn(5), drawn(3, 5)
    same(value("c[..., d] * w[d]", c=CUBE, w=w), CUBE * w)
    same(value("c[b, ...] * v[b]", c=CUBE, v=V), CUBE * V[:, None, None])
    same(value("c[b, ..., d] * y[b, d]", c=CUBE, y=y), CUBE * y[:, None])
    same(value("mean(c[..., d], d)", c=CUBE), CUBE.mean(-1))
    same(value("c[..., d] + w[..., d]", c=CUBE, w=w), CUBE + w)  # one `...` is empty
    same(value("v[..., k]", v=V), V)
    with pytest.raises(ShapeError, match=r"behind `\.\.\.` differ"):
        value("c[..., d] + y[..., d]", c=CUBE, y=drawn(2, 4, 5))
    with pytest.raises(FormulaError, match="stands once"):
        value("c[..., d, ...]", c=CUBE)
    same(value("h = c[b, t, d]\nh[..., e] * w[e]", c=CUBE, w=w), CUBE * w)
    same(value("h = c[b, t, d]\nsum(h[i, ...], d)", c=CUBE), CUBE.sum(-1))


def test_a_pick_shares_its_rest() -> None:
    logits, target = drawn(2, 3, 5), np.array([[0, 4, 1], [2, 2, 3]])
    expected = np.take_along_axis(logits, target[..., None], -1)[..., 0]
    same(value("logits[..., target[...]]", logits=logits, target=target), expected)
    same(value("logits[..., target[...]]", logits=logits[0, 0], target=np.int64(3)), logits[0, 0, 3])
    same(value("table[id[...], d]", table=Y, id=np.array([[0, 1], [2, 3]])), Y[np.array([[0, 1], [2, 3]])])
    with pytest.raises(ShapeError, match=r"behind `\.\.\.` differ"):
        value("logits[..., target[...]]", logits=logits, target=target[:, :2])


def test_positions_and_sizes() -> None:
    y = np.array([3, 0, 2])
    same(value("y[b] * 0 + (k == y[b]) * (x[b, k] * 0 + 1)", x=X, y=y), np.eye(4)[y])
    assert value("sum(x[b, k] * 0 + size(k), b, k)", x=X) == 48
    same(value("where(j <= i, s[i, j], 0)", s=SQUARE), np.tril(SQUARE))
    same(value("abs(i - j) * (s[i, j] * 0 + 1)", s=SQUARE), abs(np.subtract.outer(range(4), range(4))))
    same(value("x[b, k] * 0 + b", x=X), np.arange(3)[:, None] + np.zeros((3, 4)))
    assert value("size(b) + 0 * sum(x[b, k])", x=X) == 3
    assert value("size(x, axis=-1)", x=X) == 4
    with pytest.raises(FormulaError, match="`q` is not known here"):
        value("x[b, k] + q", x=X)
    with pytest.raises(FormulaError, match="takes the name of an axis"):
        value("size(x)", x=X)


def test_sizes_that_hang_on_each_other_are_an_error() -> None:
    names = [f"a{place}" for place in range(9)]
    pieces = [f"(v * ({' + '.join(n for n in names if n != name)}))[{name}]" for name in names]
    with pytest.raises(FormulaError):
        value(" + ".join(pieces), v=np.float64(1))


def test_positions_know_their_size_before_it_is_written() -> None:
    same(value("mask = j <= i\nsum(where(mask, s[i, j], 0), j)", s=SQUARE), np.tril(SQUARE).sum(1))
    same(value("(k == y[b]) * enc(x)[b, k]", x=X, y=np.array([3, 0, 2]), enc=np.sin), np.eye(4)[[3, 0, 2]] * np.sin(X))
    same(value("n = size(i)\nz[i] = abs(v)\nz * n", v=V), abs(V) * 3)
    same(value("size(b) * f", formulas={"f": "v[b] + 1"}, v=V), 3 * (V + 1))


CROSSING = [
    "x[b] * y[k]",
    "x[b] + y[k]",
    "x[b] < y[k]",
    "mean(x[b] - y[k])",
    "max(x[b], y[k])",
    "where(x[b] > 0, y[k], 0)",
    "x[b] / y[k]",
    "x[b] and y[k]",
    "-x[b] * y[k]",
    "softmax(x[b] - y[k], k)",
    "mse(x[b], y[k])",
    "z = x[b] * y[k]\nsum(z, b)",
    "p = i * 2\nz = x[b] * y[k]\nw[i, j] = z[i, j]\nw",
    "sum(x[b], b) + x[b] * y[k]",
    "x[b] + y[k] + c[b, k]",
    "clamp(x[b], y[k], 2)",
    "x[b] ** y[k]",
    "x[b] % y[k]",
    "weighted_mean(x[b], y[k])",
    "mean(x[b], where=y[k] > 0)",
]


@pytest.mark.parametrize("text", CROSSING)
def test_crossing_must_be_meant(text: str) -> None:
    with pytest.raises(ShapeError, match="cross"):
        value(text, x=V, y=drawn(4), c=X)


def test_crossing_is_meant_by_named_reductions_and_named_lines() -> None:
    x, y = drawn(3), drawn(4)
    grid = x[:, None] - y
    same(value("sum(abs(x[b] - y[k]), k)", x=x, y=y), abs(grid).sum(1))
    same(value("max(x[b] - y[k], k)", x=x, y=y), grid.max(1))
    same(value("logsumexp(x[b] - y[k], b)", x=x, y=y), np.log(np.exp(grid).sum(0)))
    same(value("gap[k, b] = x[b] - y[k]\ngap", x=x, y=y), grid.T)
    same(value("gap[b, k] = exp(-abs(x[b] - y[k]))\nsum(gap, b)", x=x, y=y), np.exp(-abs(grid)).sum(0))
    same(value("distance(a[i, d], c[j, d], d)", a=X, c=X[:2]), np.linalg.norm(X[:, None] - X[:2], axis=-1))
    same(value("sum(x[b] * y[k] + softmax(x[b] - y[k], k), k)", x=x, y=y), (x[:, None] * y).sum(1) + 1)


def test_products_cross_as_a_whole() -> None:
    x, y = drawn(3), drawn(4)
    same(value("x[b] * y[k] * c[b, k]", x=x, y=y, c=X), x[:, None] * y * X)
    same(value("c[b, k] / x[b] / y[k]", x=x, y=y, c=X), X / x[:, None] / y)
    same(value("c[b, k] * -(x[b] * y[k])", x=x, y=y, c=X), -X * x[:, None] * y)
    same(value("c[b, k] / (x[b] * y[k])", x=x, y=y, c=X), X / x[:, None] / y)
    same(value("where(c[b, k] > 0, x[b], y[k])", x=x, y=y, c=X), np.where(X > 0, x[:, None], y))
    with pytest.raises(ShapeError, match="cross"):
        value("x[b] * y[k] % c[b, k]", x=x, y=y, c=X)


def test_order_is_that_of_the_first_value_that_has_all_names() -> None:
    same(value("v[k] + x[b, k]", x=X, v=drawn(4) * 0), X)
    same(value("x[b, k] * y[k, b]", x=X, y=Y), X * Y.T)
    same(value("y[k, b] * x[b, k]", x=X, y=Y), Y * X.T)
    same(value("sum(c[k, d, b] * x[b, k], d)", x=X, c=CUBE.transpose(1, 2, 0)), CUBE.sum(2).T * X.T)
    same(value("sum(a[d, i] * b[j, d], d)", a=X.T, b=Y.T[:2]), X @ Y.T[:2].T)  # of first appearance
    same(value("t[k, b] = x[b, k] + y[k, b]\nt", x=X, y=Y), X.T + Y)


def test_parts_see_a_settled_order_only() -> None:
    seen: list[tuple[int, ...]] = []

    def enc(x: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        seen.append(x.shape)
        return x

    for text in ("enc(x[b, k] + v[b])", "enc(v[b] + x[b, k])", "enc(sum(x[b, k] * c[b, k, d], d))"):
        value(text, x=X, v=V, c=CUBE, enc=enc)
    assert seen == [(3, 4)] * 3
    for text in (
        "enc(x[b, k] + y[k, b])",
        "enc(y[k, b] + x[b, k])",
        "enc(sum(x[b, k] * z[d, k], k))",
        "(x[b, k] + y[k, b])[i, j]",
    ):
        with pytest.raises(FormulaError, match="order of the axes is not settled"):
            value(text, x=X, y=Y, z=drawn(2, 4), enc=enc)
    same(value("h[k, b] = x[b, k] + y[k, b]\nenc(h)", x=X, y=Y, enc=enc), X.T + Y)


def test_lines_check_the_names_of_their_result() -> None:
    with pytest.raises(ShapeError, match="names other axes"):
        value("h[b] = x[b, k]\nh", x=X)
    with pytest.raises(ShapeError, match="names other axes"):
        value("h[b, k, t] = x[b, k]\nh", x=X)
    with pytest.raises(FormulaError, match="each axis once"):
        value("h[b, b] = s\nh", s=SQUARE)
    same(value("h[b, k] = x\nsum(h, b)", x=X), X.sum(0))
    same(value("h[..., k] = c\nmean(h, k)", c=CUBE), CUBE.mean(-1))
    same(value("h[..., b] = c[b, k, d]\nh", c=CUBE), CUBE.transpose(1, 2, 0))


def test_an_axis_cannot_have_the_name_of_a_value() -> None:
    for text in ("x[b, v]", "b = 3\nx[b, k]"):
        with pytest.raises(FormulaError, match="no axis can have its name"):
            value(text, x=X, v=V)


def test_named_formulas_have_axes_of_their_own() -> None:
    formulas = {"f": "sum(x[b, k] * x[b, k], k)", "g": "sum(c[k, b, d], b)"}
    same(value("f * v[b] + sum(w[k], k)", formulas=formulas, x=X, v=V, w=drawn(9) * 0), (X * X).sum(1) * V)
    same(value("g * w[k, d]", formulas=formulas, c=CUBE, w=(w := drawn(3, 5))), CUBE.sum(1) * w)
    same(value("sum(f, b)", formulas=formulas, x=X), (X * X).sum())
    with pytest.raises(ShapeError, match="`b` has two sizes"):
        value("f + v[b]", formulas=formulas, x=X, v=drawn(5))


@pytest.mark.parametrize("order", list(itertools.permutations("bkd")))
def test_reductions_by_name_find_their_axes_anywhere(order: tuple[str, ...]) -> None:
    turned = CUBE.transpose(["bkd".index(name) for name in order])
    names = ", ".join(order)
    same(value(f"t[b, d] = sum(c[{names}], k)\nt", c=turned), CUBE.sum(1))
    same(value(f"t[k] = max(c[{names}], b, d)\nt", c=turned), CUBE.max((0, 2)))
    same(value(f"t[b, k, d] = softmax(c[{names}], k)\nt", c=turned), np.exp(CUBE) / np.exp(CUBE).sum(1, keepdims=True))
    same(value(f"norm(c[{names}])", c=turned), np.sqrt((CUBE**2).sum()))
