"""The operators: sums from the left, products as a whole, comparisons and logic entry by entry."""

from __future__ import annotations

from collections.abc import Sequence

from .axes import shown
from .contraction import Factor, product_value
from .graph import Graph, Guard, Kind, Value, with_kind
from .meeting import check_crossing, meet, without_axes
from .numeric import fold
from .reader import Reader, arithmetic, as_float, is_whole, numbers_only, tensor
from .standard import standardised
from .tree import PRODUCT, Chain, Compare, Negative, Node, Span

BYTE = range(128)
"""Whole numbers that every dtype of whole numbers holds."""


def chain(reader: Reader, node: Chain) -> Value:
    """Operators of one precedence, from the left; the factors of a product are known to meet before any two do."""
    if node.rest[0][0] in PRODUCT:
        factors: list[Value] = []
        value = _factor(reader, node, factors)
        _check_factors(reader, factors, reader.at(node))
        return value
    value = reader.read(node.first)
    for sign, right in node.rest:
        value = operator(reader, sign, value, reader.read(right), _upto(reader, node, right))
    return value


def _upto(reader: Reader, node: Node, right: Node) -> Span:
    """The piece of a chain that ends with one of its operands, its brackets closed."""
    (start, stop), end, text = reader.at(node), reader.at(right)[1], reader.graph.text
    while text[start:end].count("(") > text[start:end].count(")"):
        closed = text.find(")", end, stop) + 1
        if not closed or text[end : closed - 1].strip():
            break
        end = closed
    while text[start] == "(" and text[start:end].count("(") > text[start:end].count(")"):
        start += 1
    return (start, end)


def _factor(reader: Reader, node: Node, found: list[Value]) -> Value:
    """A factor; to `found` go the values that it is made of, through brackets, divisors and minus."""
    if isinstance(node, Negative):
        return negative(reader, _factor(reader, node.operand, found), reader.at(node))
    if not isinstance(node, Chain) or node.rest[0][0] not in PRODUCT:
        found.append(reader.read(node))
        return found[-1]
    mine: list[Value] = []
    factors = [Factor(_factor(reader, node.first, mine))]
    for sign, right in node.rest:
        span = _upto(reader, node, right)
        if sign in ("*", "/"):
            factors.append(Factor(_factor(reader, right, mine), sign == "/"))
            continue
        _check_factors(reader, mine, span)
        done = operator(reader, sign, _product(reader, factors, span), reader.read(right), span)
        mine, factors = [done], [Factor(done)]
    found += mine
    return _product(reader, factors, reader.at(node))


def _check_factors(reader: Reader, factors: Sequence[Value], span: Span) -> None:
    if not reader.rules.meant and any(factor.kind.declared for factor in factors):
        check_crossing(reader.graph, factors, span)


def _product(reader: Reader, factors: Sequence[Factor], span: Span) -> Value:
    """Factors multiplied from the left; with named axes they stay one product, which a sum may take apart."""
    graph = reader.graph
    if len(factors) == 1:
        return factors[0].value
    if not any(factor.value.kind.declared for factor in factors):
        value = factors[0].value
        for factor in factors[1:]:
            place = (max(span[0], value.span[0]), min(span[1], factor.value.span[1]))
            place = place if place[0] < place[1] else span
            value = operator(reader, "/" if factor.inverse else "*", value, factor.value, place)
        return value
    values = arithmetic(graph, [tensor(graph, factor.value) for factor in factors])
    values = [as_float(graph, v) if factor.inverse else v for v, factor in zip(values, factors, strict=True)]
    values = without_axes(graph, values)
    ready = [Factor(v, f.inverse) for v, f in zip(values, factors, strict=True)]
    ready = standardised(graph, ready, span)
    return product_value(graph, ready, span) if len(ready) > 1 else ready[0].value


def operator(reader: Reader, sign: str, left: Value, right: Value, span: Span) -> Value:
    """`left sign right` for `+ - * / % ** @`."""
    graph = reader.graph
    values = [tensor(graph, left), tensor(graph, right)]
    if sign == "@":
        return _matmul(reader, values, span)
    if numbers_only(values):
        return fold(graph, sign, values, span)
    values = arithmetic(graph, values, sign)
    if sign in ("/", "**"):
        values = [as_float(graph, v) if v.kind.dtype == "int" else v for v in values]
    met, kind, guards = meet(graph, values, span, reader.rules, [sign in ("*", "/")] * 2)
    dtype = "int" if all(map(is_whole, values)) else "float"
    if sign == "%" and not _leaves_no_doubt(values):
        return graph.value("apply", met, ("modulo", None), with_kind(kind, dtype=dtype), span, guards)
    return graph.value("operator", met, (sign,), with_kind(kind, dtype=dtype), span, guards)


def _leaves_no_doubt(values: Sequence[Value]) -> bool:
    """Whether `%` is one of floats, or of whole numbers by a constant other than 0: no framework divides these by 0."""
    divisor = values[1]
    if divisor.op == "constant":
        return divisor.facts[0] != 0
    return any(value.kind.dtype == "float" and value.op != "widen" for value in values)


def _matmul(reader: Reader, values: list[Value], span: Span) -> Value:
    graph = reader.graph
    for value in values:
        if value.kind.axes is not None:
            what = f"has the named axes [{shown(value.kind.names)}]" if value.kind.declared else "has no axes"
            raise graph.shape_error(
                f"`@` multiplies undeclared matrices; `{graph.written_at(value.span)}` {what}.",
                span,
                graph.written_at(span),
                "name what is summed: sum(a[i, d] * b[d, j], d)" if value.kind.declared else "write *",
            )
    values = [as_float(graph, value) for value in values]
    samples = tuple(value.kind.sample for value in values)
    kind = Kind(data=any(value.kind.data for value in values), sample=any(samples), shape=graph.new_shape())
    guard = Guard("product", tuple(values), (reader.rules.strict, *samples), span)
    return graph.value("matmul", values, samples, kind, span, (guard,))


def negative(reader: Reader, value: Value, span: Span) -> Value:
    """`-value`; a product keeps its factors."""
    graph = reader.graph
    value = arithmetic(graph, [tensor(graph, value)])[0]
    if value.kind.number:
        return fold(graph, "negative", [value], span)
    if value.op == "product":
        return product_value(graph, [Factor(value), Factor(graph.number(-1, span))], span)
    return graph.value("negative", (value,), (), value.kind, span)


def logic(reader: Reader, word: str, values: Sequence[Value], span: Span) -> Value:
    """`and or not`, elementwise: every side is computed, and zero is false."""
    graph = reader.graph
    result, *others = [tensor(graph, value) for value in values]
    if word == "not":
        if result.kind.number:
            return fold(graph, "not", [result], span)
        return graph.value("apply", (result,), ("not", None), with_kind(result.kind, dtype="small"), span)
    for value in others:
        if numbers_only([result, value]):
            result = fold(graph, word, [result, value], span)
            continue
        met, kind, guards = meet(graph, [result, value], span, reader.rules, [True, True])
        result = graph.value("apply", met, (word, None), with_kind(kind, dtype="small"), span, guards)
    return result


def compare(reader: Reader, node: Compare) -> Value:
    """`a < b <= c`: each neighbouring pair, joined by `and`."""
    graph, found = reader.graph, list[Value]()
    left, start = tensor(graph, reader.read(node.first)), reader.at(node.first)[0]
    for sign, other in node.rest:
        right = tensor(graph, reader.read(other))
        span = (start, reader.at(other)[1])
        if numbers_only([left, right]):
            found.append(fold(graph, sign, [left, right], span))
        else:
            met, kind, guards = meet(graph, _comparable(graph, [left, right]), span, reader.rules)
            found.append(graph.value("operator", met, (sign,), with_kind(kind, dtype="small"), span, guards))
        left, start = right, reader.at(other)[0]
    return logic(reader, "and", found, reader.at(node))


def _comparable(graph: Graph, values: list[Value]) -> list[Value]:
    """Values to compare: beside a number that 8 bits may not hold, whole numbers below 32 bits become floats."""
    number = next((value for value in values if value.kind.number), None)
    held = number is None or (number.op == "constant" and (type(number.facts[0]) is float or number.facts[0] in BYTE))
    return values if held else [_wide(graph, value) for value in values]


def _wide(graph: Graph, value: Value) -> Value:
    if value.kind.dtype not in ("small", "any", "assumed"):
        return value
    op = "to_float" if value.kind.dtype == "small" else "widen"
    return graph.value(op, (value,), (), with_kind(value.kind, dtype="float"), value.span)
