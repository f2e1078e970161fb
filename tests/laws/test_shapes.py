"""The law of undeclared values: nothing grows that nobody wrote."""

from __future__ import annotations

import math
from random import Random

import pytest
import torch

import wye
from wye.errors import ShapeError

Shape = tuple[int, ...]

STRETCHING = ("*", "/", "where")
OPERATIONS = {
    **{sign: f"p {sign} q" for sign in ("+", "-", "*", "/", "**", "%", "<", "==", ">=")},
    **{"where": "where(p, q, q)", "or": "p > 0 or q > 0", "max": "max(p, q)", "mse": "mse(p, q, reduction='none')"},
}


def _shapes(random: Random) -> tuple[Shape, Shape]:
    """Two shapes, often alike, so that most pairs nearly fit."""
    left = tuple(random.choice((1, 1, 2, 3)) for _ in range(random.choice((0, 1, 1, 2, 2, 3))))
    right = list(left)
    for _ in range(random.choice((0, 0, 1, 1, 2))):
        change, place = random.choice("same one other drop add".split()), random.randrange(len(right) + 1)
        if change == "add":
            right.insert(place, random.choice((1, 2, 3)))
        elif place < len(right):
            right[place : place + 1] = {"one": [1], "other": [random.choice((2, 3))], "drop": []}.get(
                change, [right[place]]
            )
    return (left, tuple(right)) if random.random() < 0.5 else (tuple(right), left)


def _broadcast(left: Shape, right: Shape) -> Shape | None:
    try:
        return tuple(torch.broadcast_shapes(left, right))
    except RuntimeError:
        return None


def allowed(operation: str, left: tuple[Shape, bool], right: tuple[Shape, bool]) -> Shape | None:
    """The shape of the result by the design's own words; None for a ShapeError. Sides are shapes and whether data."""
    (one, one_data), (two, two_data) = left, right
    if operation == "mse":
        return one if one == two else None
    data, context = (one, two) if one_data else (two, one)
    if one_data != two_data and math.prod(context) == 1:
        return data
    if one == two or not two or not one:
        return one or two
    if one_data != two_data:
        return data if _broadcast(data, context) == data else None
    if not one_data:
        return _broadcast(one, two)
    whole = _broadcast(one, two)
    stretches = operation in STRETCHING or operation == "or"
    return whole if stretches and len(one) == len(two) and whole in (one, two) else None


def _join(
    operation: str, shapes: tuple[Shape, Shape], data: tuple[bool, bool], formula: str | None = None
) -> Shape | None:
    values = {name: torch.rand(shape) for name, shape in zip("pq", shapes, strict=True)}
    parts = {name: value for (name, value), given in zip(values.items(), data, strict=True) if not given}
    inputs = {name: value for name, value in values.items() if name not in parts}
    try:
        return tuple(wye.Join(formula or OPERATIONS[operation], **parts)(**inputs).shape)
    except ShapeError:
        return None


@pytest.mark.long
def test_nothing_grows_that_nobody_wrote() -> None:
    """2,000 pairs of shapes, data and context, for every way in which two values meet."""
    random, met = Random(6), 0
    for _ in range(2_000):
        operation, shapes = random.choice(list(OPERATIONS)), _shapes(random)
        data = random.choice([(True, True), (True, True), (True, False), (False, True), (False, False)])
        found = _join(operation, shapes, data)
        expected = allowed(operation, (shapes[0], data[0]), (shapes[1], data[1]))
        assert found == expected, (OPERATIONS[operation], shapes, data)
        met += found is not None
        if found is not None and any(data):
            assert found in shapes
    assert 800 < met < 1_800


def test_what_is_computed_from_data_is_data() -> None:
    """One side inside further operations changes nothing."""
    random = Random(8)
    for _ in range(300):
        operation, shapes = random.choice("+ - * / < max where".split()), _shapes(random)
        wrapped = OPERATIONS[operation].replace(
            "p", random.choice(["tanh(p)", "(p * 2)", "(-p)", "softplus(p + 1)"]), 1
        )
        wrapped = OPERATIONS[operation] if operation == "max" else wrapped
        expected = allowed(operation, (shapes[0], True), (shapes[1], True))
        assert _join(operation, shapes, (True, True), wrapped) == expected, (wrapped, shapes)


def test_kept_axes_stretch_and_nothing_else_does() -> None:
    x, labels, one = torch.rand(3, 4), torch.rand(3, 1), torch.rand(())
    given = {"x": x, "labels": labels, "one": one}
    for text in (
        "x - mean(x, axis=1, keepdims=True)",
        "x - one * mean(x, axis=1, keepdims=True)",
        "x + exp(2 * mean(x, axis=0, keepdims=True) - sum(x, axis=0, keepdims=True))",
        "x / (mean(x, axis=1, keepdims=True) + norm(x, axis=1, keepdims=True))",
    ):
        assert wye.evaluate(text, **given).shape == (3, 4)
    for text in (
        "x - labels",
        "(labels - mean(x, axis=1, keepdims=True)) + x",
        "x - mean(labels, axis=0, keepdims=True) * labels",
        "mean(x, axis=1) - labels",
    ):
        with pytest.raises(ShapeError):
            wye.evaluate(text, **given)


def test_the_rule_can_be_lifted() -> None:
    assert wye.evaluate("p + q", strict=False, p=torch.rand(3, 1), q=torch.rand(3)).shape == (3, 3)
