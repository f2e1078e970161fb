"""Chains of operators: sums and comparisons from the left, products as a whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..tree import PRODUCT, Chain, Compare, Negative, Node
from .meeting import Rules, check_crossing
from .operators import comparison, logic, matrix_product, negated, operated
from .values import Named, Term

Evaluate = Callable[[Node], Term]
Step = tuple[str, Callable[[], Term], Node]


def summed(node: Chain, term: Evaluate, rules: Rules) -> Named:
    left = term(node.first)
    for operator, other in node.rest:
        where = _upto(node, other, rules.text)
        left = Term(operated(operator, left, term(other), rules, where.span), where)
    return left.value


def compared(node: Compare, term: Evaluate, rules: Rules) -> Named:
    terms = [term(node.first), *(term(other) for _, other in node.rest)]
    pairs = zip((operator for operator, _ in node.rest), terms, terms[1:], strict=False)
    found = [Term(comparison(operator, left, right, rules, node.span), node) for operator, left, right in pairs]
    return found[0].value if len(found) == 1 else logic("and", found, rules, node.span)


def multiplied(node: Chain, term: Evaluate, rules: Rules) -> Named:
    """The value of `* / @ %`: the factors are known to meet before any two are multiplied."""
    factors: list[Term] = []
    multiply = _factor(node, factors, term, rules)
    check_crossing(factors, rules, node.span)
    return multiply().value


def _factor(node: Node, factors: list[Term], term: Evaluate, rules: Rules) -> Callable[[], Term]:
    """Note the factors of a product, through brackets, divisors and minus; return what multiplies them."""
    if isinstance(node, Negative):
        inner = _factor(node.operand, factors, term, rules)
        return lambda: Term(negated(inner().value), node)
    if not isinstance(node, Chain) or node.rest[0][0] not in PRODUCT:
        found = term(node)
        factors.append(found)
        return lambda: found
    mine: list[Term] = []
    steps: list[Step] = [("*", _factor(node.first, mine, term, rules), node)]
    for operator, other in node.rest:
        where = _upto(node, other, rules.text)
        if operator in ("*", "/"):
            steps.append((operator, _factor(other, mine, term, rules), where))
            continue
        check_crossing(mine, rules, where.span)
        left, right = _product(steps, rules), term(other)
        if operator == "@":
            done = Term(matrix_product(left, right, rules, where.span), where)
        else:
            done = Term(operated(operator, left, right, rules, where.span), where)
        mine, steps = [done], [("*", partial(Term, done.value, where), where)]
    factors += mine
    return partial(_product, steps, rules)


def _product(steps: list[Step], rules: Rules) -> Term:
    left = steps[0][1]()
    for operator, right, where in steps[1:]:
        left = Term(operated(operator, left, right(), rules, where.span, crossing=False), where)
    return left


def _upto(node: Chain, other: Node, text: str) -> Node:
    """The piece of a chain that ends with one of its operands, and with the brackets closed behind that."""
    end = other.span[1]
    while end < node.span[1] and not text[other.span[1] : end + 1].strip(") \n"):
        end += 1
    return Node(span=(node.span[0], len(text[:end].rstrip())))
