"""Rewrites that change what a formula costs, never what it means.

A squared difference becomes one operation, a number that scales a matrix product goes into it, and a sum is taken as
soon as what it sums is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from .graph import Guard, Value, in_order


def tuned(roots: Sequence[Value]) -> list[Value]:
    """The roots again, over values that cost less."""
    return Tuning(roots).roots()


def is_operator(value: Value, sign: str) -> bool:
    return value.op == "operator" and value.facts == (sign,)


class Tuning:
    """A walk over the values, with what has become of each."""

    def __init__(self, roots: Sequence[Value]) -> None:
        self.wanted = list(roots)
        values = in_order(roots)
        self.uses = Counter(id(root) for root in roots)
        for value in values:
            self.uses.update(id(arg) for arg in value.args)
            self.uses.update(id(arg) for guard in value.guards for arg in guard.args)
        self.new: dict[int, Value] = {}

    def roots(self) -> list[Value]:
        rules: tuple[Callable[[Value, Value], Value | None], ...]
        rules = (self.squared, self.scaled, self.weighted_difference, self.float_tensor)
        for value in in_order(self.wanted):
            args = tuple(self.new[id(arg)] for arg in value.args)
            guards = tuple(
                replace(guard, args=tuple(self.new[id(arg)] for arg in guard.args)) for guard in value.guards
            )
            moved = args != value.args or any(a.args != b.args for a, b in zip(guards, value.guards, strict=True))
            current = replace(value, args=args, guards=guards) if moved else value
            self.new[id(value)] = next(filter(None, (rule(current, value) for rule in rules)), current)
        return [self.new[id(root)] for root in self.wanted]

    def alone(self, value: Value) -> bool:
        """Whether one value alone reads this one."""
        return self.uses[id(value)] == 1

    def squared(self, value: Value, before: Value) -> Value | None:
        """`x ** 2` as a square, and `(a - b) ** 2` as one operation where nothing else reads the difference."""
        if not is_operator(value, "**") or not _is_two(value.args[1]):
            return None
        base = value.args[0]
        if base.kind.number or base.kind.dtype not in ("float", "assumed"):
            return None
        if is_operator(base, "-") and self.alone(before.args[0]):
            guards = (*base.guards, *value.guards)
            return replace(value, op="squared_difference", args=base.args, facts=(), guards=guards)
        return replace(value, op="square", args=(base,), facts=())

    def scaled(self, value: Value, before: Value) -> Value | None:
        """A matrix product times a number, or divided by it, that nothing reads without the number."""
        if value.op != "operator" or value.facts[0] not in ("*", "/") or value.guards or not value.args[1].kind.number:
            return None
        product, original = value.args[0], before.args[0]
        while product.op == "same" and self.alone(original) and not product.guards:
            product, original = product.args[0], original.args[0]
        if product.op != "pair" or not self.alone(original):
            return None
        plan, mean, inverses, *axes = product.facts
        facts = (plan, mean, (*inverses, value.facts[0] == "/"), *axes)  # type: ignore[misc]
        return replace(product, args=(*product.args, value.args[1]), facts=facts, kind=value.kind, span=value.span)

    def weighted_difference(self, value: Value, before: Value) -> Value | None:
        """`sum(w * (a - b))` as one operation where nothing else reads what is inside."""
        if not _reduces(value, "sum") or not is_operator(value.args[0], "*") or not self.alone(before.args[0]):
            return None
        product, original = value.args[0], before.args[0]
        weight, difference = product.args
        if weight.kind.number or not is_operator(difference, "-") or not self.alone(original.args[1]):
            return None
        guards = (*difference.guards, *product.guards, *value.guards)
        args = (weight, *difference.args)
        return replace(value, op="sum_of_weighted_difference", args=args, facts=(value.facts[1],), guards=guards)

    def float_tensor(self, value: Value, before: Value) -> Value | None:
        """One test of what a part returned, for both that it is a tensor and that it holds floats."""
        if value.op not in ("widen", "as_float") or value.guards:
            return None
        tested, original = value.args[0], before.args[0]
        if tested.op != "tensor_only" or tested.args[0].op == "input" or tested.guards or not self.alone(original):
            return None
        kernel = "widen" if value.op == "widen" else "to_float"
        facts = (kernel, self.alone(original.args[0]))
        return replace(value, op="float_tensor", args=tested.args, facts=facts, span=tested.span)


def _reduces(value: Value, name: str) -> bool:
    """Whether the value is that reduction of another, over all its entries and keeping no axis."""
    return value.op == "reduce" and value.facts[0] == name and value.facts[2] is False and len(value.args) == 1


def _is_two(value: Value) -> bool:
    return value.op == "constant" and type(value.facts[0]) in (int, float) and value.facts[0] == 2


def meet_alike(guard: Guard) -> bool:
    """Whether both values are data, or both context: data and context rarely have one rank."""
    return guard.check == "meet" and guard.args[0].kind.data == guard.args[1].kind.data


def in_chain(guard: Guard, value: Value) -> bool:
    """Whether the check is all that an operator asks of its two values, as in a long sum."""
    return value.op == "operator" and len(value.guards) == 1 and guard.args == value.args and meet_alike(guard)


def sums_first(values: Sequence[Value]) -> list[Value]:
    """Each sum right after the value that it sums.

    Its gradient is a view of one number repeated. Computed last in the backward, it is added in place to the gradient
    that the value's other readers made; computed first, it would be copied out to its full size.
    """
    waiting: dict[int, list[Value]] = {}
    for value in values:
        if not value.guards and (_reduces(value, "sum") or _reduces(value, "mean")):
            waiting.setdefault(id(value.args[0]), []).append(value)
    early = {id(value) for sums in waiting.values() for value in sums}
    found: list[Value] = []

    def put(value: Value) -> None:
        found.append(value)
        for one in waiting.get(id(value), ()):
            put(one)

    for value in values:
        if id(value) not in early:
            put(value)
    return found
