"""Arithmetic of plain Python numbers: folded where all is constant, else left for the run."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence

from .functions import Option
from .graph import NUMBER, Graph, Value
from .tree import Span

Number = float | int | bool


def _divide(left: Number, right: Number) -> float:
    if right == 0:
        return math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left) * math.copysign(1, right)
    return left / right


def _power(base: Number, exponent: Number) -> float:
    try:
        value = math.pow(base, exponent)
    except OverflowError:
        return math.inf if base > 0 or exponent % 2 == 0 else -math.inf
    except ValueError:
        return math.inf if base == 0 else math.nan
    return value


def _modulo(left: Number, right: Number) -> float:
    return left % right if right != 0 and math.isfinite(left) else math.nan


def _float(function: Callable[[float], float]) -> Callable[[Number], float]:
    def applied(x: Number) -> float:
        try:
            return function(x)
        except OverflowError:
            return math.inf
        except ValueError:
            return -math.inf if x == 0 else math.nan

    return applied


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _whole(function: Callable[[float], int]) -> Callable[[Number], float]:
    return lambda x: float(function(x)) if math.isfinite(x) else float(x)


def _cast(x: Number, dtype: Option) -> Number:
    if dtype == "bool":
        return bool(x)
    return int(x) if str(dtype).startswith("int") and math.isfinite(x) else float(x)


def _sign(x: Number) -> Number:
    return x if x != x else (x > 0) - (x < 0)


def _chosen(choose: Callable[..., Number]) -> Callable[..., Number]:
    """The largest or the smallest; NaN where there is one."""
    return lambda *numbers: next((x for x in numbers if x != x), None) or choose(numbers)


_largest, _smallest = _chosen(max), _chosen(min)


def _and(left: Number, right: Number) -> bool:
    return bool(left) and bool(right)


def _or(left: Number, right: Number) -> bool:
    return bool(left) or bool(right)


def _log1p(x: Number) -> float:
    return -math.inf if x == -1 else math.nan if x < -1 else math.log1p(x)


def _relu(x: Number) -> Number:
    return max(x, 0)


def _where(condition: Number, x: Number, y: Number) -> Number:
    return x if condition else y


def _clamp(x: Number, low: Number, high: Number) -> Number:
    return _smallest(_largest(x, low), high)


OPERATIONS: dict[str, Callable[..., Number]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "**": _power,
    "%": _modulo,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "negative": operator.neg,
    "not": operator.not_,
    "and": _and,
    "or": _or,
    "abs": abs,
    "exp": _float(math.exp),
    "expm1": _float(math.expm1),
    "log": _float(math.log),
    "log1p": _log1p,
    "sqrt": _float(math.sqrt),
    "relu": _relu,
    "sigmoid": _sigmoid,
    "tanh": math.tanh,
    "softplus": _softplus,
    "sin": _float(math.sin),
    "cos": _float(math.cos),
    "sign": _sign,
    "round": _whole(round),
    "floor": _whole(math.floor),
    "stop": operator.pos,
    "clamp": _clamp,
    "clamp_low": _largest,
    "clamp_high": _smallest,
    "where": _where,
    "max": _largest,
    "min": _smallest,
}
INLINE = frozenset({"+", "-", "*", "==", "!=", "<", "<=", ">", ">="})
"""Operators that Python's own numbers compute as wished."""


def fold(graph: Graph, name: str, values: Sequence[Value], span: Span, dtype: Option = None) -> Value:
    """A function of numbers: a constant where all of them are, else a number of the run."""
    if any(value.op != "constant" for value in values):
        return graph.value("numeric", values, (name, dtype), NUMBER, span)
    numbers: list[Number] = [value.facts[0] for value in values]  # type: ignore[misc]
    if name in ("+", "-", "*") and not all(isinstance(number, bool) for number in numbers):
        numbers = [number if abs(number) < 2**53 else float(number) for number in numbers]
    result = compute(name, numbers, dtype)
    if isinstance(result, float) and not math.isfinite(result):
        raise graph.error(
            "the constant is not a finite number.", span, f"{graph.written_at(span)} = {result}", "write a finite one"
        )
    return graph.number(result, span)


def compute(name: str, numbers: Sequence[Number], dtype: Option = None) -> Number:
    """One function of plain numbers."""
    return _cast(numbers[0], dtype) if name == "cast" else OPERATIONS[name](*numbers)
