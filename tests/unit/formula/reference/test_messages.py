"""What errors say, in full."""

import inspect

import numpy as np
import pytest

from tests.unit.formula.reference.run import value
from wye.errors import FormulaError

LONG, WIDE = np.zeros((64, 1)), np.zeros(64)
X, Y, V = np.zeros((4, 3)), np.zeros((5, 3)), np.zeros(4)
IDS = np.array([0, 1, 3, 1])

MESSAGES: list[tuple[str, dict[str, object], str]] = [
    (
        "mean((pred - target) ** 2)",
        {"pred": LONG, "target": WIDE},
        """
        ShapeError: `pred` and `target` would broadcast to something larger than both.
          in:  mean((pred - target) ** 2)
                     ^^^^^^^^^^^^^
          got: pred (64, 1), target (64,) -> (64, 64)
          fix: name the axes: mean((pred[b, k] - target[b]) ** 2)
        """,
    ),
    (
        "x + y",
        {"x": X, "y": X[0]},
        """
        ShapeError: `x` and `y` have different shapes, and one would stretch.
          in:  x + y
               ^^^^^
          got: x (4, 3), y (3,) -> (4, 3)
          fix: name the axes: x[b, k] + y[k]
        """,
    ),
    (
        "(a + b) - (x - 1) - 3",
        {"a": X, "b": X, "x": Y},
        """
        ShapeError: `(a + b)` and `x - 1` have different shapes.
          in:  (a + b) - (x - 1) - 3
               ^^^^^^^^^^^^^^^^^
          got: (a + b) (4, 3), x - 1 (5, 3)
          fix: give equal shapes, or pair all with all in a line: value[k, i, j] = (a + b)[k, i] - (x - 1)[j, i]
        """,
    ),
    (
        "sum(pred - target, axis=1)",
        {"pred": LONG, "target": WIDE},
        """
        ShapeError: `pred` and `target` would broadcast to something larger than both.
          in:  sum(pred - target, axis=1)
                   ^^^^^^^^^^^^^
          got: pred (64, 1), target (64,) -> (64, 64)
          fix: name the axes of both: pred[b, k] and target[b]
        """,
    ),
    (
        "x[b, k] + y",
        {"x": X, "y": X},
        """
        ShapeError: `x[b, k]` and `y` do not meet: only one of them has named axes.
          in:  x[b, k] + y
               ^^^^^^^^^^^
          got: x[b, k] [b, k] (4, 3), y (4, 3)
          fix: name the axes of the other: y[b, k]
        """,
    ),
    (
        "mean(x[i] - y[j])",
        {"x": V, "y": WIDE},
        """
        ShapeError: `x[i]` and `y[j]` cross: each has an axis that the other lacks.
          in:  mean(x[i] - y[j])
                    ^^^^^^^^^^^
          got: x[i] [i] (4,), y[j] [j] (64,)
          fix: name the result, value[i, j] = x[i] - y[j], or reduce: sum(x[i] - y[j], j)
        """,
    ),
    (
        "-a[i, d] * c[j, d]",
        {"a": X, "c": Y},
        """
        ShapeError: `a[i, d]` and `c[j, d]` cross: each has an axis that the other lacks.
          in:  -a[i, d] * c[j, d]
               ^^^^^^^^^^^^^^^^^^
          got: a[i, d] [i, d] (4, 3), c[j, d] [j, d] (5, 3)
          fix: name the result, value[i, d, j] = -a[i, d] * c[j, d], or reduce: sum(-a[i, d] * c[j, d], d)
        """,
    ),
    (
        "x[b, k] + z[b, k]",
        {"x": X, "z": Y},
        """
        ShapeError: the axis `b` has two sizes.
          in:  x[b, k] + z[b, k]
                           ^
          got: 5 here, 4 elsewhere
          fix: give equal sizes, or another name to one of the two
        """,
    ),
    (
        "x[b, k]",
        {"x": np.zeros((2, 3, 4))},
        """
        ShapeError: the brackets have 2 entries, the value has 3 axes.
          in:  x[b, k]
               ^^^^^^^
          got: x (2, 3, 4)
          fix: name each axis: x[b, k, i]
        """,
    ),
    (
        "p[b, y[b]]",
        {"p": X, "y": IDS},
        """
        RangeError: `y[b]` picks outside of its axis.
          in:  p[b, y[b]]
                    ^^^^
          got: 3, of an axis of 3 entries, 0 to 2
          fix: leave such entries out, or give a larger axis
        """,
    ),
    (
        "x[b, -1]",
        {"x": X},
        """
        RangeError: `-1` picks outside of its axis.
          in:  x[b, -1]
                    ^^
          got: -1, of an axis of 3 entries, 0 to 2
          fix: count from the front: 2
        """,
    ),
    (
        "x[0]",
        {"x": X},
        """
        FormulaError: `x` is an array, which has axes and no items.
          in:  x[0]
               ^^^^
          got: x (4, 3)
          fix: name the axes, as in x[0, k]
        """,
    ),
    (
        "x[b, i + 1]",
        {"x": X},
        """
        FormulaError: shifts of an axis are not yet part of the language.
          in:  x[b, i + 1]
                    ^^^^^
          got: i + 1
          fix: pick by values that you give, as in x[b, next[i]]
        """,
    ),
    (
        "sum(x, 1)",
        {"x": X},
        """
        FormulaError: after its values `sum` takes names of axes.
          in:  sum(x, 1)
                      ^
          got: 1
          fix: sum(x, axis=1)
        """,
    ),
    (
        "sum(x[b, k], axis=1)",
        {"x": X},
        """
        ShapeError: declared values are reduced by name; `axis` is for undeclared ones.
          in:  sum(x[b, k], axis=1)
               ^^^^^^^^^^^^^^^^^^^^
          got: x[b, k] [b, k] (4, 3)
          fix: name the axis: sum(x[b, k], k)
        """,
    ),
    (
        "sum(x[b, channel], chanel)",
        {"x": X},
        """
        ShapeError: the value has no axis `chanel`.
          in:  sum(x[b, channel], chanel)
                                  ^^^^^^
          got: x[b, channel] [b, channel] (4, 3)
          fix: did you mean `channel`?
        """,
    ),
    (
        "softmax(x[b, k])",
        {"x": X},
        """
        ShapeError: `softmax` of declared values runs along one named axis.
          in:  softmax(x[b, k])
               ^^^^^^^^^^^^^^^^
          got: 0 names, x[b, k] [b, k] (4, 3)
          fix: write softmax(x[b, k], k)
        """,
    ),
    (
        "enc(sum(a[i, d] * c[j, d], d))",
        {"a": X, "c": Y, "enc": np.sin},
        """
        ShapeError: the order of the axes is not settled.
          in:  enc(sum(a[i, d] * c[j, d], d))
                   ^^^^^^^^^^^^^^^^^^^^^^^^^
          got: axes i, j, written in no one value
          fix: name the result first: value[i, j] = sum(a[i, d] * c[j, d], d)
        """,
    ),
    (
        "(s[i, j] + 0)[j, i]",
        {"s": Y[:3]},
        """
        ShapeError: brackets on an expression may not exchange its own axes.
          in:  (s[i, j] + 0)[j, i]
               ^^^^^^^^^^^^^^^^^^^
          got: [i, j] renamed [j, i]
          fix: bind it in a line first: value[i, j] = s[i, j] + 0
        """,
    ),
    (
        "max(x[b, k], k, where=x[b, k] > 0)",
        {"x": X},
        """
        FormulaError: `max` of no entries has no value.
          in:  max(x[b, k], k, where=x[b, k] > 0)
               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          got: x[b, k] [b, k] (4, 3), all left out by `where`
          fix: let `where` keep an entry in each row
        """,
    ),
    (
        "sum(meen(x))",
        {"x": X},
        """
        FormulaError: `meen` is no function and no part.
          in:  sum(meen(x))
                   ^^^^^^^
          got: parts: none
          fix: did you mean `mean`?
        """,
    ),
    (
        "x + lable",
        {"x": X, "label": X},
        """
        FormulaError: `lable` is not known here.
          in:  x + lable
                   ^^^^^
          got: known names: x, label
          fix: did you mean `label`?
        """,
    ),
    (
        "h[b] = x[b, k]\nh",
        {"x": X},
        """
        ShapeError: the line names other axes than its value has.
          in:  h[b] = x[b, k]
               ^^^^
          got: [b], the value [b, k] (4, 3)
          fix: name it h[b, k]
        """,
    ),
    (
        "cross_entropy(logits, target)",
        {"logits": X, "target": IDS},
        """
        RangeError: `target` holds a class id outside of the logits.
          in:  cross_entropy(logits, target)
                                     ^^^^^^
          got: 3, of 3 classes, 0 to 2
          fix: leave an id out with ignore_index=...
        """,
    ),
    (
        "cross_entropy(logits, target)",
        {"logits": X, "target": V},
        """
        ShapeError: `cross_entropy` wants class ids shaped like the logits but for their last axis, or probabilities.
          in:  cross_entropy(logits, target)
               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
          got: logits (4, 3), target (4,)
          fix: give such values; for other shapes write the loss out with its axes named
        """,
    ),
    (
        "mse(x, y)",
        {"x": X, "y": Y},
        """
        ShapeError: `mse` wants equal shapes.
          in:  mse(x, y)
               ^^^^^^^^^
          got: x (4, 3), y (5, 3)
          fix: give such values; for other shapes write the loss out with its axes named
        """,
    ),
    (
        "x @ y",
        {"x": X, "y": Y},
        """
        ShapeError: `x` and `y` do not multiply as matrices.
          in:  x @ y
               ^^^^^
          got: x (4, 3), y (5, 3)
          fix: the last axis of the left meets the last but one of the right; others are equal
        """,
    ),
    (
        "out + 1",
        {"out": (X, Y)},
        """
        FormulaError: `out` has several items.
          in:  out + 1
               ^^^
          got: items 0, 1
          fix: pick one: out[0]
        """,
    ),
    (
        "r[i, j, k, l] = v[i] * v[j] * v[k] * v[l]\nr",
        {"v": WIDE},
        """
        ShapeError: the value would have too many elements.
          in:  r[i, j, k, l] = v[i] * v[j] * v[k] * v[l]
                               ^^^^^^^^^^^^^^^^^^^^^^^^^
          got: (64, 64, 64, 64): 16,777,216 elements, of at most 262,144
          fix: reduce an axis first, or give fewer entries at a time
        """,
    ),
    (
        "enc + 1",
        {"enc": np.sin},
        """
        FormulaError: `enc` is a part.
          in:  enc + 1
               ^^^
          got: enc
          fix: call it: enc(...)
        """,
    ),
    (
        "die(1, 6)",
        {},
        """
        FormulaError: `die` stands in conditions, times and indices only.
          in:  die(1, 6)
               ^^^^^^^^^
          got: die
          fix: give a random number as a value
        """,
    ),
]


def said(text: str, values: dict[str, object]) -> str:
    with pytest.raises(FormulaError) as caught:
        value(text, **values)
    return f"{type(caught.value).__name__}: {caught.value}"


@pytest.mark.parametrize(("text", "values", "message"), MESSAGES)
def test_messages(text: str, values: dict[str, object], message: str) -> None:
    assert said(text, values) == inspect.cleandoc(message)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("mean((pred - target) ** 2)", {"pred": LONG, "target": WIDE}),
        ("mean((pred - (target + 1)) ** 2)", {"pred": LONG, "target": WIDE}),
        ("s - (enc(y) * 2 + v)", {"s": np.float64(1), "y": X, "v": V, "enc": np.sin}),
        ("exp(x[0]) ** 2 > x[1]", {"x": (V, X)}),
        ("clamp(x, low=y + 1)", {"x": X, "y": V}),
        ("x - (y - z)", {"x": X, "y": X[:, :1], "z": X[:, :1]}),
        ("(y - 2) + x", {"x": X, "y": X[:, :1]}),
    ],
)
def test_the_cure_is_a_formula_that_runs(text: str, values: dict[str, object]) -> None:
    with pytest.raises(FormulaError) as caught:
        value(text, **values)
    cured = caught.value.fix.removeprefix("name the axes: ")
    assert cured != caught.value.fix
    value(cured, **values)
