"""The operators: values laid out along each other's axes, then computed entry by entry."""

from __future__ import annotations

import numpy as np

from ...errors import ShapeError
from .. import shapes
from ..tree import Span
from .functions import calculated, compared, truth
from .meeting import Rules, spread, together
from .values import Named, Site, Term, derived, describe


def operated(operator: str, left: Term, right: Term, rules: Rules, span: Span, crossing: bool = True) -> Named:
    """`left operator right` for `+ - * / % **`; a product is checked as a whole, so it passes `crossing=False`."""
    a, b = left.value, right.value
    like = together([left, right], rules, span, stretch=operator in ("*", "/"), crossing=crossing)
    out = calculated(operator, spread(a, like), spread(b, like), a.number and b.number)
    return derived(out, like.axes, [a, b], like.kept)


def negated(value: Named) -> Named:
    out = calculated("*", value.array, np.asarray(-1), value.number)
    return derived(out, value.axes, [value], value.kept)


def inverted(value: Named) -> Named:
    return derived(~truth(value.array), value.axes, [value], value.kept)


def comparison(operator: str, left: Term, right: Term, rules: Rules, span: Span) -> Named:
    like = together([left, right], rules, span)
    out = compared(operator, spread(left.value, like), spread(right.value, like))
    return derived(out, like.axes, [left.value, right.value], like.kept)


def logic(operator: str, terms: list[Term], rules: Rules, span: Span) -> Named:
    """`and` or `or` of several values, entry by entry."""
    like = together(terms[:1], rules, span)
    for place in range(1, len(terms)):
        met = Term(like, terms[0].node)
        like = together([met, terms[place]], rules, span, stretch=True)
    out = truth(spread(terms[0].value, like))
    for term in terms[1:]:
        other = truth(spread(term.value, like))
        out = out & other if operator == "and" else out | other
    return derived(out, like.axes, [term.value for term in terms], like.kept)


def matrix_product(left: Term, right: Term, rules: Rules, span: Span) -> Named:
    """`left @ right` of undeclared matrices and vectors."""
    a, b = left.value, right.value
    site = Site(rules.text, span)
    words = [site.at(term.node).words for term in (left, right)]
    got = f"{words[0]} {describe(a)}, {words[1]} {describe(b)}"
    if a.axes or b.axes:
        raise site.error(
            "`@` takes undeclared values.", got, "name the axes and sum: sum(a[i, k] * b[k, j], k)", ShapeError
        )
    shape = shapes.product(a.shape, b.shape, rules.strict)
    if shape is None:
        raise site.error(
            f"`{words[0]}` and `{words[1]}` do not multiply as matrices.",
            got,
            "the last axis of the left meets the last but one of the right; others are equal",
            ShapeError,
        )
    rules.check_room(shape, span)
    return derived(calculated("@", a.array, b.array), None, [a, b])
