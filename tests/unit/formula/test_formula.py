"""Formula: one value for all texts that say the same, and formulas made from formulas."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import wye
from wye import Formula

VALUES = {"a": 3.0, "b": 0.5, "c": -2.0, "d": 7.0}


def value(formula: Formula | str) -> float:
    return float(wye.evaluate(formula, **VALUES))


# what it is


def test_texts_that_say_the_same_are_one_formula() -> None:
    same = [Formula(text) for text in ("a+b * c", "a + b*c", "a + (b * c)", "(a)+((b)*c)", " a +\tb * c\n")]
    assert len(set(same)) == 1
    assert {str(one) for one in same} == {"a + b * c"}
    assert len({Formula(text) for text in ("a + b", "b + a", "a - b", "1 * a", "1.0 * a", "a")}) == 6
    assert Formula("a") != "a"
    assert {Formula("a"): 1}[Formula(" a ")] == 1


def test_it_prints_what_was_typed_and_reads_as_itself() -> None:
    one = Formula("a  +b[i,j]")
    assert repr(one) == "Formula('a  +b[i,j]')"
    assert (one.text, str(one)) == ("a  +b[i,j]", "a + b[i, j]")
    assert Formula(one).text == one.text
    assert eval(repr(one)) == one
    for twin in (copy.copy(one), copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        assert (twin, repr(twin), hash(twin)) == (one, repr(one), hash(one))


def test_it_does_not_change() -> None:
    one = Formula("a + b")
    for name in ("text", "program", "canonical", "other"):
        with pytest.raises(AttributeError, match="does not change"):
            setattr(one, name, "c")
    with pytest.raises(AttributeError, match="does not change"):
        del one.text
    before = repr(one)
    one.swap("+", "*"), one.rename(a="c"), one.substitute(a=2), one.only("a"), one + one, -one
    assert repr(one) == before


def test_what_it_reads() -> None:
    one = Formula("u[b] = f(x, axis=1)[b] * w[b]\nsum(u, b) + g(y[b, 0]) * size(b) + x")
    assert one.names == ("x", "w", "y")
    assert one.calls == ("f", "sum", "g", "size")
    assert one.axes == ("b",)


# made from another


@pytest.mark.parametrize(
    ("text", "operator", "other", "wanted"),
    [
        ("a + b * c", "*", "+", "a + (b + c)"),
        ("a * b + c", "+", "*", "a * b * c"),
        ("a - b - c", "-", "/", "a / b / c"),
        ("a + b", "+", "max", "max(a, b)"),
        ("max(a, b, c)", "max", "+", "a + b + c"),
        ("a + b", "+", "mean", "(a + b) / 2"),
        ("max(a, b, c)", "max", "min", "min(min(a, b), c)"),
        ("a < b", "<", ">=", "a >= b"),
        ("a < b", "<", "-", "a - b"),
        ("a < b <= c", "<", "<=", "a <= b <= c"),
        ("a ** b", "**", "*", "a * b"),
        ("a * b * c", "*", "**", "(a ** b) ** c"),
        ("-a * b", "*", "+", "-a + b"),
        ("(a + b) * c", "*", "-", "a + b - c"),
        ("f(a + b)[i]", "+", "-", "f(a - b)[i]"),
        ("u = a + b\nu * c", "+", "/", "u = a / b\nu * c"),
        ("a @ b", "@", "*", "a * b"),
        ("a + b", "+", "+", "a + b"),
    ],
)
def test_an_operator_in_the_place_of_another(text: str, operator: str, other: str, wanted: str) -> None:
    assert str(Formula(text).swap(operator, other)) == wanted


def test_swapped_values() -> None:
    a, b, c = VALUES["a"], VALUES["b"], VALUES["c"]
    assert value(Formula("a - b * c").swap("*", "-")) == a - (b - c)
    assert value(Formula("a - b - c").swap("-", "/")) == a / b / c
    assert value(Formula("a * b * c").swap("*", "min")) == min(a, b, c)


def test_other_names() -> None:
    one = Formula("u[b] = f(x)[b] * a\nu + a")
    assert str(one.rename(a="w", f="g", u="v", b="i")) == "v[i] = g(x)[i] * w\nv + w"
    assert str(Formula("a - b").rename(a="b", b="a")) == "b - a"
    assert str(Formula("a - b").rename({"a": "c"}, b="d")) == "c - d"
    assert str(Formula("f(a, axis=1)").rename(a="axis")) == "f(axis, axis=1)"


def test_formulas_in_the_place_of_names() -> None:
    assert str(Formula("a * b").substitute(a="c + d")) == "(c + d) * b"
    assert str(Formula("a ** b").substitute(a=-2)) == "(-2) ** b"
    assert str(Formula("a - b").substitute(a="b", b="a")) == "b - a"
    assert str(Formula("a * b").substitute(a="u = c\nu - d")) == "u = c\n(u - d) * b"
    assert str(Formula("u = a\nu * b").substitute(a="c + d")) == "u = c + d\nu * b"
    assert str(Formula("x[i, j]").substitute(x=Formula("y + z"))) == "(y + z)[i, j]"
    one = Formula("a * (b - a) / c")
    assert value(one.substitute(a="b + d", c=4)) == 7.5 * (0.5 - 7.5) / 4


def test_the_summands_that_read_a_name() -> None:
    one = Formula("ce + beta * kl - f(c)")
    assert [str(one.only(name)) for name in ("ce", "kl", "beta", "c", "f")] == [
        "ce",
        *["beta * kl"] * 2,
        *["-f(c)"] * 2,
    ]
    assert str(one.only("c", "ce")) == "ce - f(c)"
    lines = Formula("u = a * 2\nv = b + w\nw2 = u\nu + v - w2")
    assert str(lines.only("b")) == "v = b + w\nv"
    assert str(lines.only("a")) == "u = a * 2\nw2 = u\nu - w2"
    assert str(lines.only("v", "u")) == str(lines)
    assert str(Formula("a * b").only("b")) == "a * b"


# joined


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (lambda f, g: f + g, "a - b + a * b"),
        (lambda f, g: f - f, "a - b - (a - b)"),
        (lambda f, g: f * g, "(a - b) * (a * b)"),
        (lambda f, g: g / g, "a * b / (a * b)"),
        (lambda f, g: f**2, "(a - b) ** 2"),
        (lambda f, g: 2**f, "2 ** (a - b)"),
        (lambda f, g: -f, "-(a - b)"),
        (lambda f, g: -g, "-(a * b)"),
        (lambda f, g: 2 * f, "2 * (a - b)"),
        (lambda f, g: f * -2, "(a - b) * -2"),
        (lambda f, g: 1 - f, "1 - (a - b)"),
        (lambda f, g: 2 / f, "2 / (a - b)"),
        (lambda f, g: "c" + f, "c + (a - b)"),
        (lambda f, g: f + "c", "a - b + c"),
        (lambda f, g: 0.5 + f, "0.5 + (a - b)"),
        (lambda f, g: sum([f, g]), "a - b + a * b"),
        (lambda f, g: sum([f, 2 * g, f]), "a - b + 2 * (a * b) + (a - b)"),
        (lambda f, g: f * np.float64(0.5), "(a - b) * 0.5"),
        (lambda f, g: f - 1e-9, "a - b - 1e-09"),
    ],
)
def test_operators_join_formulas(make: Callable[[Any, Any], Any], wanted: str) -> None:
    made = make(Formula("a - b"), Formula("a * b"))
    assert isinstance(made, Formula)
    assert str(made) == wanted
    numbers = {"a": 3.0, "b": 0.5, "c": -2.0}
    expected = eval(wanted, numbers.copy())
    assert value(made) == pytest.approx(expected, rel=1e-15)


def test_lines_are_joined_too() -> None:
    one, other = Formula("u = a + b\nu * 2"), Formula("v = c\nv - 1")
    assert str(one + other) == "u = a + b\nv = c\nu * 2 + (v - 1)"
    assert str(one + one) == "u = a + b\nu * 2 + u * 2"
    assert value(one - other) == (3.5 * 2) - (-2 - 1)


def test_sums_start_from_zero_alone() -> None:
    one = Formula("a")
    assert sum([one]) is one
    assert str(0 - one) == "0 - a"
    assert str(one + 0) == "a + 0"


@pytest.mark.parametrize("other", [None, True, [1], 1j, object()])
def test_what_is_no_formula_is_no_operand(other: Any) -> None:
    with pytest.raises(TypeError):
        Formula("a") * other
    with pytest.raises(TypeError):
        other - Formula("a")
