"""Laws of formulas, each over thousands of random ones: what they are worth, how they differentiate, how they read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import pytest
import torch

import wye
from tests.laws import named_values
from tests.laws.drawing import REFUSED, Values, cases, differ, on_arrays, told
from wye.formula.algebra import rebuilt
from wye.formula.analysis import analyse
from wye.formula.axes import seen_order
from wye.formula.grammar import parse
from wye.formula.graph import Kind
from wye.formula.scope import Sources, assemble
from wye.formula.text import write
from wye.formula.tree import Chain, Node

FORMULAS = 2_000  # that the laws of values and of gradients are each compared on
MOST_DRAWN = 5 * FORMULAS


@pytest.fixture(autouse=True)
def _double() -> Iterator[None]:
    """Whole numbers and booleans become floats of the default dtype: as wide as the reference's."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def on_torch(text: str, values: Values) -> Any:
    tensors = {
        name: value if isinstance(value, torch.Tensor) else torch.from_numpy(value) for name, value in values.items()
    }
    return wye.evaluate(text, **tensors, f=lambda x: torch.cumsum(x, 0) if x.dim() else x)


def shown(wrong: list[str]) -> str:
    return f"{len(wrong)} formulas, among them:\n\n" + "\n\n".join(wrong[:3])


@pytest.mark.long
def test_a_formula_has_the_value_of_the_reference() -> None:
    """On as many distinct formulas that have a value; those drawn between them are refused by both."""
    valued, wrong = set[str](), list[str]()
    for case in cases(MOST_DRAWN, 1):
        value, expected = told(on_torch, case.text, case.values), told(on_arrays, case.text, case.values)
        if differ(value, expected):
            wrong.append(f"{case.text}\ntorch {value}\nreference {expected}")
        if value is not REFUSED:
            valued.add(str(wye.Formula(case.text)))
        if len(valued) == FORMULAS:
            break
    assert not wrong, shown(wrong)
    assert len(valued) == FORMULAS


WHOLE = (
    "norm(size(b) * I[b])",
    "norm(sum(I[b] * J[b, t], b))",
    "norm(sum(I[b] * J[b, t] * L[t], b))",
    "mean(I[b] * J[b, t] * W[b], t)",
    "mean(B[b] * W[a], b) + mean(I[b] * B[b])",
    "max(B[b], 0.1) * W[b]",
    "W[b] - (size(b) == 3) + (1 < 2)",
    "cosine(Z, X) + dot(X, 2) + distance(2, X)",
    "S[i, size(i) - 1 - i] * K[i]",
    "sum(X[b, k], k) + X[b, size(k) - 1] * M[0, d][size(d) - 1]",
)


@pytest.mark.parametrize("text", WHOLE)
def test_whole_numbers_and_booleans_meet_floats(text: str) -> None:
    values = named_values.values(11)
    assert not differ(on_torch(text, values), on_arrays(text, values))


def _slope(text: str, values: Values, direction: Values, weights: Any, step: float) -> float:
    """The directional derivative by central differences, Richardson's first step taken."""

    def difference(size: float) -> float:
        moved = [{**values, **{n: values[n] + sign * size * d for n, d in direction.items()}} for sign in (1, -1)]
        up, down = (float(np.sum(np.asarray(on_arrays(text, one), float) * weights)) for one in moved)
        return (up - down) / (2 * size)

    return (4 * difference(step / 2) - difference(step)) / 3


def _torch_slope(text: str, values: Values, direction: Values, weights: Any) -> float:
    """The directional derivative by torch's gradients."""
    leaves = {name: torch.from_numpy(values[name]).clone().requires_grad_() for name in direction}
    value = on_torch(text, {**values, **leaves})
    total = (value * torch.from_numpy(np.asarray(weights))).sum()
    if not total.requires_grad:
        return 0.0
    grads = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    pairs = zip(direction.values(), grads, strict=True)
    return sum(float((grad * torch.from_numpy(way)).sum()) for way, grad in pairs if grad is not None)


def _smooth(text: str, values: Values) -> Any:
    """The reference's value where it is one of finite floats that may have a derivative; None elsewhere."""
    expected = told(on_arrays, text, values)
    if isinstance(expected, str | tuple) or "f(" in text:
        return None
    value = np.asarray(expected)
    return value if value.dtype == np.float64 and np.isfinite(value).all() and np.abs(value).max() <= 1e3 else None


@pytest.mark.long
def test_gradients_are_those_of_the_reference() -> None:
    """Where two step sizes disagree there is a kink or a jump, and no derivative to compare."""
    compared, wrong, rng = set[str](), list[str](), np.random.default_rng(7)
    for case in cases(MOST_DRAWN, 2, wrong=0):
        formula, expected = wye.Formula(case.text), _smooth(case.text, case.values)
        names = [n for n in formula.names if n in case.values and case.values[n].dtype == np.float64]
        if expected is None or not names:
            continue
        direction = {name: rng.normal(size=case.values[name].shape) for name in names}
        weights = rng.normal(size=expected.shape)
        slopes = [_slope(case.text, case.values, direction, weights, step) for step in (1e-3, 2e-3)]
        scale = 1 + abs(slopes[0])
        if not np.isfinite(slopes).all() or abs(slopes[0] - slopes[1]) > 1e-7 * scale:
            continue
        slope = _torch_slope(case.text, case.values, direction, weights)
        if not abs(slope - slopes[0]) <= 1e-6 * scale:
            wrong.append(f"{case.text}\ntorch {slope}\nreference {slopes[0]}")
        compared.add(str(formula))
        if len(compared) == FORMULAS:
            break
    assert not wrong, shown(wrong)
    assert len(compared) == FORMULAS


def test_text_and_tree_are_one() -> None:
    for case in cases(2_000, 3):
        formula = wye.Formula(case.text)
        assert wye.Formula(str(formula)) == formula
        assert parse(str(formula)) == parse(case.text)
        assert write(parse(str(formula))) == str(formula)


def _commuted(node: Node, random: Random) -> Node:
    """The operands of `+` and of `*` in another order."""
    if not isinstance(node, Chain) or random.random() < 0.3:
        return node
    sign, other = node.rest[0]
    if sign in ("+", "*"):
        return Chain(other, ((sign, node.first), *node.rest[1:]))
    return node


def _orders(text: str, values: Values) -> list[tuple[tuple[str, ...], bool]]:
    """For each value of a formula the order of its axes, and whether it is beyond doubt."""
    formula = wye.Formula(text)
    kinds = {
        name: Kind(dtype={"f": "float", "i": "int", "b": "small"}[value.dtype.kind]) for name, value in values.items()
    }
    whole, top, _ = assemble(text, formula.program, {})
    analysis = analyse(Sources(top, whole, modules=frozenset("f"), input_kinds=kinds, closed=True))
    return [seen_order(value.kind) for value in analysis.outputs]


def _settled(text: str, other: str, values: Values) -> tuple[str, str]:
    """Both with their value named on a line, where no written value settles the order of its axes."""
    orders = told(_orders, text, values)
    if orders is REFUSED or orders[0][1]:
        return text, other
    target = f"seen[{', '.join(orders[0][0])}] = "
    lasts = (one.rpartition("\n") for one in (text, other))
    return tuple(f"{lines}{end}{target}{last}\nseen" for lines, end, last in lasts)  # type: ignore[return-value]


@pytest.mark.long
def test_commuting_changes_nothing_that_is_seen() -> None:
    """Values, refusals, what parts and renamings see; the order of the result, where it is settled."""
    random, changed, refused, wrong = Random(4), 0, 0, list[str]()
    for case in cases(1_500, 4):
        program = parse(case.text)
        commuted = rebuilt(program, lambda node: _commuted(node, random))
        if commuted == program or len(program.values) > 1:
            continue
        text, other = _settled(case.text, write(commuted), case.values)
        value, expected = told(on_torch, other, case.values), told(on_torch, text, case.values)
        changed, refused = changed + 1, refused + (expected is REFUSED)
        if differ(value, expected, 1e-9):
            wrong.append(f"{text}\n-> {other}\n{expected}\n{value}")
    assert not wrong, shown(wrong)
    assert changed - refused > 600


OPERANDS = (
    *("S[i, j]", "S[j, i]", "U[i]", "U[j]", "2", "f(S[i, j])[j, i]", "where(G[i, j], S[i, j], 0)", "(i <= j)"),
    *("sum(Q[i, d] * R[j, d], d)", "sum(Q[j, d] * R[i, d], d)", "(S[i, j] - S[j, i])", "softmax(S[j, i], i)"),
)
SEEN = ("f({})[i, j]", "({})[p, q]", "g = {}\ng[p, q]", "g[i, j] = {}\ng[p, q]", "mean(f({})[p, q], p)")


@pytest.mark.parametrize("sign", "+*")
@pytest.mark.parametrize("seen", SEEN)
def test_parts_and_renamings_see_one_order_or_none(seen: str, sign: str) -> None:
    values, orders = named_values.values(5), 0
    for one, two in itertools.combinations(OPERANDS, 2):
        found = [told(on_torch, seen.format(f"{a} {sign} {b}"), values) for a, b in ((one, two), (two, one))]
        assert not differ(*found), seen.format(f"{one} {sign} {two}")
        orders += found[0] is not REFUSED
    assert orders > 10


@pytest.mark.long
def test_names_of_axes_are_only_names() -> None:
    """Other names, in another alphabetical order, change nothing."""
    fresh = {"b": "zb", "a": "y", "k": "x2", "t": "w", "d": "v", "i": "u_", "j": "kk"}
    for case in cases(1_000, 5):
        if any(ord(name) > 96 and name in case.values for name in fresh):
            continue
        formula = wye.Formula(case.text)
        axes = [name for name in formula.axes if name in fresh]
        renamed = formula.rename({name: fresh[name] for name in axes})
        value, expected = told(on_torch, str(renamed), case.values), told(on_torch, case.text, case.values)
        assert not differ(value, expected), f"{case.text}\n-> {renamed}\n{expected}\n{value}"
