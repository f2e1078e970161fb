"""The grammar: Python's own where the two share it, and a canonical text for every tree."""

from __future__ import annotations

import ast
import math
import random
import warnings
from typing import Any

import pytest

import wye
from wye.formula.cursor import MAX_DEPTH, MAX_NODES
from wye.formula.grammar import parse
from wye.formula.text import write
from wye.formula.tokens import MAX_CHARACTERS
from wye.formula.tree import Brackets, Call, Chain, Compare, Logic, Name, Negative, Node, Not, Number, Power

OPERATORS = ["+", "-", "*", "/", "%", "@", "**", "<", "<=", ">", ">=", "==", "!=", "and", "or"]
SIGNS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%", ast.MatMult: "@", ast.Pow: "**",
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=", ast.And: "and", ast.Or: "or",
}  # fmt: skip
Tree = Any


def ours(node: Node) -> Tree:
    """A tree of ours as nested tuples."""
    match node:
        case Number(value):
            return value
        case Name(id):
            return id
        case Chain(first, rest):
            found = ours(first)
            for sign, right in rest:
                found = (sign, found, ours(right))
            return found
        case Power(base, exponent):
            return ("**", ours(base), ours(exponent))
        case Negative(operand):
            return ("negative", ours(operand))
        case Not(operand):
            return ("not", ours(operand))
        case Logic(operator, operands):
            return (operator, *map(ours, operands))
        case Compare(first, rest):
            return ("compare", ours(first), *((sign, ours(other)) for sign, other in rest))
        case Call(function, args, keywords):
            return ("call", function, *map(ours, args), *((key, ours(value)) for key, value in keywords))
        case Brackets(value, entries):
            return ("brackets", ours(value), *map(ours, entries))
        case _:
            raise NotImplementedError(type(node))


def pythons(node: ast.AST) -> Tree:
    """A tree of Python's as the same nested tuples."""
    match node:
        case ast.Constant(value):
            return value
        case ast.Name(id):
            return id
        case ast.BinOp(left, operator, right):
            return (SIGNS[type(operator)], pythons(left), pythons(right))
        case ast.UnaryOp(ast.USub(), operand):
            return ("negative", pythons(operand))
        case ast.UnaryOp(ast.Not(), operand):
            return ("not", pythons(operand))
        case ast.BoolOp(operator, [ast.BoolOp(inner, firsts), *others]) if type(inner) is type(operator):
            return pythons(ast.BoolOp(operator, [*firsts, *others]))  # (a or b) or c is a or b or c
        case ast.BoolOp(operator, values):
            return (SIGNS[type(operator)], *map(pythons, values))
        case ast.Compare(left, operators, others):
            pairs = zip(operators, others, strict=True)
            return ("compare", pythons(left), *((SIGNS[type(one)], pythons(other)) for one, other in pairs))
        case ast.Call(ast.Name(function), args, keywords):
            return ("call", function, *map(pythons, args), *((one.arg, pythons(one.value)) for one in keywords))
        case ast.Subscript(value, ast.Tuple(entries)):
            return ("brackets", pythons(value), *map(pythons, entries))
        case ast.Subscript(value, entry):
            return ("brackets", pythons(value), pythons(entry))
        case _:
            raise NotImplementedError(ast.dump(node))


def written(draw: random.Random, depth: int, operators: list[str]) -> str:
    """A random expression, with brackets anywhere."""
    if depth == 0 or draw.random() < 0.15:
        return draw.choice(["a", "b", "c", "2", "0.5", "3", "1e-2", ".25", "10"])
    kind = draw.random()
    if kind < 0.2:
        return f"({written(draw, depth - 1, operators)})"
    if kind < 0.3:
        return f"-{written(draw, depth - 1, operators)}"
    if kind < 0.35 and "and" in operators:
        return f"(not {written(draw, depth - 1, operators)})"
    if kind < 0.42 and "@" in operators:
        inner = written(draw, depth - 1, operators)
        return draw.choice([f"f({inner})", f"g({inner}, key={inner})", f"x[{inner}, i]", f"({inner})[i]"])
    space = draw.choice(["", " ", "  ", "\t"])
    operator = draw.choice(operators)
    space = " " if operator.isalpha() else space
    return f"{written(draw, depth - 1, operators)}{space}{operator}{space}{written(draw, depth - 1, operators)}"


EXPRESSIONS = [written(random.Random(seed), 4, [*OPERATORS, "**", "**", "-"]) for seed in range(2_000)]


def test_the_tree_is_pythons() -> None:
    read = 0
    for text in EXPRESSIONS:
        tree = ast.parse(text.strip(), mode="eval").body
        assert ours(parse(text).values[0]) == pythons(tree), text
        read += any(isinstance(node, ast.Compare) for node in ast.walk(tree))
    assert read > 300


def test_the_value_is_pythons() -> None:
    values, compared = {"a": 1.75, "b": -0.5, "c": 3.0}, 0
    arithmetic = [one for one in OPERATORS if one not in ("@", "and", "or")]
    for seed in range(1_500):
        text = written(random.Random(seed), 4, arithmetic)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)
                wanted = eval(text, dict(values))
            found = float(wye.evaluate(text, **values))
        except (ZeroDivisionError, OverflowError, TypeError, wye.FormulaError):  # TypeError: complex numbers compared
            continue
        if isinstance(wanted, complex) or not math.isfinite(wanted):
            continue
        assert found == pytest.approx(float(wanted), rel=1e-12, abs=1e-300), text
        if seed % 4 == 0:
            join = wye.Join(text, a=values["a"])
            numbers = join(**{name: values[name] for name in join.inputs})
            assert float(numbers) == pytest.approx(float(wanted), rel=1e-12, abs=1e-300), text
        compared += 1
    assert compared > 1_000


def test_what_is_accepted_is_what_python_accepts() -> None:
    """Random rows of tokens: a formula is one exactly if Python reads it, within the shared subset."""
    draw, accepted = random.Random(7), 0
    words = ["a", "b", "1", "2.5", "+", "-", "*", "/", "**", "<", "==", "(", ")", "not", "and", "or"]
    for _ in range(10_000):
        text = " ".join(draw.choices(words, k=draw.randint(1, 7)))
        try:
            tree = ast.parse(text, mode="eval").body
        except SyntaxError:
            tree = None
        if tree is not None and any(isinstance(node, ast.UAdd | ast.Call | ast.Tuple) for node in ast.walk(tree)):
            continue
        try:
            found = parse(text)
        except wye.FormulaError:
            assert tree is None, text
            continue
        if any(isinstance(node, Call) for node in found.values):
            continue
        assert tree is not None, text
        assert ours(found.values[0]) == pythons(tree), text
        accepted += 1
    assert accepted > 300


# the canonical text


@pytest.mark.parametrize("text", ["q, s = f(x)\nu[b, ...] = s['key'][0]\nu, q[..., k] * g(x, flag=True, word=\"a\")"])
def test_the_canonical_text_of_every_piece(text: str) -> None:
    canonical = 'q, s = f(x)\nu[b, ...] = s["key"][0]\nu, q[..., k] * g(x, flag=True, word="a")'
    assert write(parse(text)) == canonical
    assert parse(canonical) == parse(text)


@pytest.mark.parametrize(
    ("value", "canonical"),
    [("(0.7,.30)", "(0.7, 0.3)"), ("( 1,2 , )", "(1, 2)"), ("(1,)", "(1,)"), ("()", "()"), ("(2)", "2"), ("3", "3")],
)
def test_a_keyword_may_take_several_constants(value: str, canonical: str) -> None:
    text = f"pair(a, b, c, label_weights={value})"
    assert write(parse(text)) == f"pair(a, b, c, label_weights={canonical})"
    assert parse(write(parse(text))) == parse(text)
    assert parse("f(a, label_weights=(1, 2))") != parse("f(a, label_weights=(1.0, 2))")


def test_the_canonical_text_reads_as_the_same_tree() -> None:
    for text in EXPRESSIONS:
        program = parse(text)
        canonical = write(program)
        assert parse(canonical) == program, text
        assert write(parse(canonical)) == canonical


def test_the_canonical_text_has_no_bracket_too_many() -> None:
    removed = 0
    for text in EXPRESSIONS:
        canonical = write(parse(text))
        for start, end in groups(canonical):
            bare = f"{canonical[:start]} {canonical[start + 1 : end]} {canonical[end + 1 :]}"
            try:
                same = parse(bare) == parse(text)
            except wye.FormulaError:
                same = False
            assert not same, f"{canonical}: {canonical[start : end + 1]}"
            removed += 1
    assert removed > 500


def groups(text: str) -> list[tuple[int, int]]:
    """Where brackets group: those that do not follow a name."""
    opened: list[int] = []
    found: list[tuple[int, int]] = []
    for place, character in enumerate(text):
        if character == "(":
            opened.append(place)
        elif character == ")":
            start = opened.pop()
            if not text[:start][-1:].isalnum():
                found.append((start, place))
    return found


def test_lines_end_where_they_do_in_python() -> None:
    assert write(parse("\n\n u =  a *(\nb\n + c)\n\n\nu[\ni,\n j]\n\n")) == "u = a * (b + c)\nu[i, j]"
    assert write(parse("a\r\n")) == "a"


# limits


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a+" * (MAX_CHARACTERS // 2) + "a", "at most 10,000 characters"),
        ("(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1), "nests at most 64 deep"),
        ("-" * 100 + "a", "nests at most 64 deep"),
        ("a" + "**a" * 100, "nests at most 64 deep"),
        ("f(" * 100 + "a" + ")" * 100, "nests at most 64 deep"),
        ("a+" * MAX_NODES + "a", "at most 2,000 pieces"),
    ],
)
def test_limits(text: str, message: str) -> None:
    with pytest.raises(wye.FormulaError, match=message):
        parse(text)


def test_a_long_sum_is_not_deep() -> None:
    text = " + ".join(["a * b"] * 400)
    assert len(parse(text).values[0].rest) == 399  # type: ignore[attr-defined]
    assert parse("(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH) == parse("a")
