"""The rest of the language: operators, numbers, dtypes, lines, items, parts and named formulas."""

import math
import warnings

import numpy as np
import pytest

from tests.unit.formula.reference.run import drawn, same, value
from wye.errors import FormulaError, ShapeError

X, Y = drawn(3, 4), drawn(3, 4)


def test_operators() -> None:
    same(value("x + y - 2 * x / y % 3", x=X, y=Y), X + Y - (2 * X / Y) % 3)
    same(value("-x ** 2", x=X), -(X**2))
    same(value("(-x) ** 2 ** 0.5", x=abs(X) * -1), abs(X) ** (2**0.5))
    same(value("2 ** -x", x=X), 2**-X)
    same(value("x / y / x * y", x=X, y=Y), np.ones((3, 4)))
    same(value("x / (y / x) - -x", x=X, y=Y), X * X / Y + X)
    same(value("0 < x < y", x=X, y=Y), (X > 0) & (X < Y))
    same(value("x < y and not x > 0 or y > 1", x=X, y=Y), (X < Y) & ~(X > 0) | (Y > 1))
    same(value("not x", x=np.array([0.0, 2.0, np.nan])), [True, False, False])
    same(value("x and y", x=np.array([0, 1, 2]), y=np.array([1.0, np.nan, 0.0])), [False, True, False])
    for operator, plain in {"==": np.equal, "!=": np.not_equal, "<=": np.less_equal, ">=": np.greater_equal}.items():
        same(value(f"x {operator} y", x=np.round(X), y=np.round(Y)), plain(np.round(X), np.round(Y)))
    same(value("x % 3", x=np.array([-1.0, 4.0])), [2, 1])
    same(value("x % -3", x=np.array([-1, 4])), [-1, -2])
    same(value("x % 0", x=np.array([1, 2])), [np.nan, np.nan])


def test_numbers_stay_numbers() -> None:
    for text, expected in {
        "1": 1.0,
        "min(1, 20 / 500)": 0.04,
        "2 ** 10": 1024.0,
        "2 ** -1": 0.5,
        "7 % 3": 1.0,
        "-7 % 3": 2.0,
        "7 / 2": 3.5,
        "exp(0)": 1.0,
        "where(2 > 1, 5, 6)": 5.0,
        "clamp(7, 0, 1)": 1.0,
        "sum(3)": 3.0,
        "norm(-3)": 3.0,
        "cos(0) * 2 - max(1, 2, 3)": -1.0,
        "1e200 * 1e200": math.inf,
        "10 ** 400": math.inf,
        "4611686018427387904 * 4": 2.0**64,
        'cast(2.7, dtype="int64")': 2.0,
        "1 / 0": math.inf,
        "a = 3\na * 2": 6.0,
    }.items():
        found = value(text)
        assert type(found) is float, text
        assert found == expected, text
    assert math.isnan(value("0 / 0"))
    assert value("1 < 2 < 3") is True
    assert value("not 1") is False


def test_a_schedule() -> None:
    assert [value("min(1, step / 500)", step=step) for step in (0, 250, 1000)] == [0.0, 0.5, 1.0]
    assert value("0.5 * (1 + cos(3.141592653589793 * min(step, 100) / 100))", step=50) == pytest.approx(0.5)
    assert value("where(step < 10, step / 10, 1 / sqrt(step))", step=4) == 0.4


def test_dtypes() -> None:
    whole, small, mask, single = (
        np.array([1, 2]),
        np.array([100, 101], np.int8),
        np.array([True, False]),
        np.float32([0.1, 1]),
    )
    for text, dtype in {
        "i + 1": "int64",
        "i * j": "int64",
        "i ** 2": "int64",
        "i ** -1": "float64",
        "i / 1": "float64",
        "i + 0.5": "float64",
        "-i": "int64",
        "i % 2": "int64",
        "s + s": "float64",
        "m + m": "float64",
        "m * i": "float64",
        "-m": "float64",
        "f + i": "float64",
        "f": "float64",
        "m": "bool",
        "i < 2": "bool",
        "not i": "bool",
        "exp(i)": "float64",
        "s": "int8",
    }.items():
        found = value(text, i=whole, j=whole.astype(np.int32), s=small, m=mask, f=single)
        assert found.dtype == dtype, text
    assert value("s + s", s=small).tolist() == [200.0, 202.0]
    assert value("m + m", m=mask).tolist() == [2.0, 0.0]
    assert value("i ** -1", i=whole).tolist() == [1.0, 0.5]
    assert value("i > 300", i=small).tolist() == [False, False]
    same(value("f + 0", f=single), single.astype(np.float64))


def test_results() -> None:
    assert isinstance(value("sum(x)", x=X), np.float64)
    assert isinstance(value("x[0, 1]", x=X), np.float64)
    both = value("sum(x), x, 2", x=X)
    assert isinstance(both, tuple)
    assert both[2] == 2.0
    found = value("x", x=X)
    found += 1
    assert not np.shares_memory(found, X)
    value("expand_as(x, y)", x=X[:1], y=X)[...] = 0  # writable


def test_lines() -> None:
    same(value("a = x + 1\nb = a * a\nb - a", x=X), (X + 1) ** 2 - X - 1)
    with pytest.raises(FormulaError, match="used before its line"):
        value("a = b\nb = x\na", x=X)
    with pytest.raises(FormulaError, match="used before its line"):
        value("a = a + 1\na")
    for text in ("a = 1\na = 2\na", "x = 1\nx"):
        with pytest.raises(FormulaError, match="bound once"):
            value(text, x=X)


def test_items() -> None:
    pair, outputs = (X, (Y, 3)), {"logits": X, 5: Y}
    same(value("p[0] + p[1][0] * p[1][1]", p=pair), X + 3 * Y)
    same(value('o["logits"][b, k] * o[5][b, k]', o=outputs), X * Y)
    same(value("a, rest = p\nc, n = rest\na * c * n", p=pair), X * Y * 3)
    same(value("a[k, b], rest = p\na", p=pair), X)
    assert value("p", p=pair)[0] is X
    for text, match in {
        "p[2]": "is no item",
        "p[-1]": "is no item",
        'p["a"]': "is no item",
        'o["no"]': "is no item",
        "p[b, k]": "is no item",
        "p + 1": "has several items",
        "sum(p)": "has several items",
        "a, b, c = p\na": "binds 3 names",
        "a, b = o\na": "binds 2 names",
        "a, b, c = x\na": "binds 3 names",
        'x["a"]': "has axes and no items",
        'x[b, "a"]': "has no items",
        "3[b]": "is a number",
    }.items():
        with pytest.raises(FormulaError, match=match):
            value(text, p=pair, o=outputs, x=X)


def test_parts() -> None:
    calls: list[tuple[tuple[object, ...], dict[str, object]]] = []

    def enc(*args: object, **words: object) -> object:
        calls.append((args, words))
        return args[0]

    same(value('enc(x, 2, mode="last", deep=True, scale=-0.5)', x=X, enc=enc), X)
    ((args, words),) = calls
    assert args[1] == 2
    assert isinstance(args[1], int)
    assert words == {"mode": "last", "deep": True, "scale": -0.5}
    assert type(args[0]) is np.ndarray
    same(value("enc(pair)[0] + enc(pair)[1]", pair=(X, Y), enc=enc), X + Y)
    same(value("enc(x)[0][b, k] * 2", x=X, enc=lambda x: (x, None)), 2 * X)
    same(value("sum(x)", x=X, sum=lambda x: x * 2), 2 * X)  # parts come before functions
    assert value("max(x, max)", x=np.float64(1), max=np.float64(2)) == 2  # a value is no part
    for text, match in {
        "enc": "is a part",
        "enc + 1": "is a part",
        "x(1)": "is a value",
        "none(x)": "no real numbers",
    }.items():
        with pytest.raises(FormulaError, match=match):
            value(text, x=X, enc=enc, none=lambda x: None)


def test_the_same_call_is_made_once() -> None:
    made: list[object] = []

    def enc(x: object, **words: object) -> object:
        made.append(words)
        return np.asarray(x) + len(made)

    same(value("enc(x) - enc(x)", x=X, enc=enc), np.zeros((3, 4)))
    assert len(made) == 1
    made.clear()
    same(value("a = enc(x, draw=1)\nenc(x, draw=2) - a + enc(x, draw=1) - a", x=X, enc=enc), np.ones((3, 4)))
    assert made == [{}, {}]
    made.clear()
    value("enc(x) + f + f", x=X, enc=enc, formulas={"f": "enc(x)"})
    assert len(made) == 2
    made.clear()
    value("enc(1) + enc(1.0)", enc=enc)
    assert len(made) == 2


def test_a_part_may_change_what_it_gets() -> None:
    def spoil(x: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        x[...] = 0
        return x

    same(value("spoil(x) + x", x=X, spoil=spoil), X)


def test_named_formulas() -> None:
    formulas = {
        "ce": "mean((x - y) ** 2)",
        "total": "ce + beta * norm(x)",
        "beta": "min(1, step / 500)",
        "unread": "nothing",
    }
    expected = ((X - Y) ** 2).mean() + 0.5 * np.linalg.norm(X)
    same(value("total * 1", formulas=formulas, x=X, y=Y, step=250), expected)
    same(value("p[0] - p[1]", formulas={"p": "x, y"}, x=X, y=Y), X - Y)
    with pytest.raises(FormulaError, match="made of itself"):
        value("a", formulas={"a": "b + 1", "b": "a"})
    with pytest.raises(ShapeError) as caught:
        value("f + 1", formulas={"f": "x + y"}, x=X, y=Y[:2])
    assert "in:  x + y" in str(caught.value)
    chain = {f"f{n}": f"{'(' * 60}f{n + 1}{')' * 60} + 1" for n in range(31)} | {"f31": "1"}
    assert value("f0", formulas=chain) == 32.0


def test_values_that_are_none() -> None:
    for bad in (None, "text", np.array(["a"]), np.array([1j]), object()):
        with pytest.raises(FormulaError, match="no real numbers"):
            value("x + 1", x=bad)
    with pytest.raises(FormulaError, match="is not known here"):
        value("x + nothing", x=X)
    for text in ('"a" + x', "True", "x + True"):
        with pytest.raises(FormulaError, match="is no value here"):
            value(text, x=X)


@pytest.mark.parametrize("text", ["(" * 60 + "x" + ")" * 60, "abs(" * 60 + "x" + ")" * 60, "-" * 60 + "x"])
def test_deep_texts(text: str) -> None:
    same(value(text, x=abs(X)), abs(X))


def test_long_texts() -> None:
    same(value(" + ".join(["x"] * 900), x=X), 900 * X)
    same(value(" * ".join(["x[b, k]"] * 400), x=X * 0 + 1), np.ones((3, 4)))
    with pytest.raises(FormulaError, match="nests at most 64 deep"):
        value("v" + "[b]" * 900, v=X[0])


def test_no_warning_leaks() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value("log(x) / 0 * exp(1000 * x) % 0 + x ** 0.5", x=X)
        value('cast(x / 0, dtype="int64")', x=X)
        value("i * i", i=np.array([2**62]))
