"""Formulas made from formulas: trees with operators exchanged, names replaced, and summands kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from itertools import combinations

from ..errors import FormulaError
from .scope import axis_names, value_names
from .text import write
from .tree import (
    SUM,
    Call,
    Chain,
    Compare,
    Line,
    Name,
    Negative,
    Node,
    Number,
    Power,
    Program,
    Target,
    join_chain,
    walk,
)

CHAINED = ("+", "-", "*", "/", "@", "%")
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
CALLED = ("max", "min", "mean", "concat")
OPERATORS = (*CHAINED, "**", *COMPARISONS, *CALLED)


def binary(operator: str, left: Node, right: Node) -> Node:
    """`left operator right`, for any operator that has a name."""
    if operator in CHAINED:
        return join_chain(operator, left, right)
    if operator == "**":
        return Power(left, right)
    if operator in COMPARISONS:
        return Compare(left, ((operator, right),))
    if operator == "mean":
        return join_chain("/", join_chain("+", left, right), Number(2))
    return Call(operator, (left, right), ())


def rebuilt(node: Node, change: Callable[[Node], Node]) -> Node:
    """The node over changed children, then itself changed."""
    changes = {one.name: _changed(getattr(node, one.name), change) for one in fields(node) if one.name != "span"}
    return change(replace(node, **changes))  # type: ignore[arg-type]


def _changed(value: object, change: Callable[[Node], Node]) -> object:
    if isinstance(value, Node):
        return rebuilt(value, change)
    if isinstance(value, tuple):
        return tuple(_changed(item, change) for item in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return value


def _program(node: Node) -> Program:
    assert isinstance(node, Program)
    return node


def swap(program: Program, operator: str, other: str) -> Program:
    def change(node: Node) -> Node:
        match node:
            case Chain(first, rest) if operator in CHAINED:
                value = first
                for sign, right in rest:
                    value = binary(other if sign == operator else sign, value, right)
                return value
            case Power(base, exponent) if operator == "**":
                return binary(other, base, exponent)
            case Compare(first, rest) if operator in COMPARISONS and other in COMPARISONS:
                return Compare(first, tuple((other if sign == operator else sign, right) for sign, right in rest))
            case Compare(first, ((sign, right),)) if sign == operator:
                return binary(other, first, right)
            case Compare(_, rest) if operator in [sign for sign, _ in rest]:
                fix = f"swap {operator} for a comparison"
                raise FormulaError("a chain of comparisons takes comparisons alone.", write(node), other, fix)
            case Call(function, (left, *others), ()) if function == operator and operator in CALLED and others:
                value = left
                for right in others:
                    value = binary(other, value, right)
                return value
            case _:
                return node

    return _program(rebuilt(program, change))


def rename(program: Program, names: Mapping[str, str]) -> Program:
    def change(node: Node) -> Node:
        match node:
            case Name(id):
                return Name(names.get(id, id))
            case Call(function, args, keywords):
                return Call(names.get(function, function), args, keywords)
            case Target(name, axes):
                return Target(names.get(name, name), axes and tuple(names.get(axis, axis) for axis in axes))
            case _:
                return node

    return _program(rebuilt(program, change))


def substitute(program: Program, values: Mapping[str, Program]) -> Program:
    for value in values.values():
        check_clash(value, program, set(values))
    for one, other in combinations(values.values(), 2):
        check_clash(one, other)
    lines = merged([*values.values(), program])
    plain = {name: _one_value(value) for name, value in values.items()}
    axes = axis_names(program)

    def change(node: Node) -> Node:
        return plain[node.id] if isinstance(node, Name) and node.id in plain and node.id not in axes else node

    own = set(program.lines)
    changed = [rebuilt(line, change) if line in own else line for line in lines]
    kept = tuple(line for line in changed if isinstance(line, Line))
    return Program(kept, tuple(rebuilt(value, change) for value in program.values))


def _one_value(program: Program) -> Node:
    if len(program.values) != 1:
        raise FormulaError(
            "several values cannot stand in the place of one.",
            write(program),
            f"{len(program.values)} values",
            "keep one of them",
        )
    return program.values[0]


def line_names(program: Program) -> list[str]:
    return [target.name for line in program.lines for target in line.targets]


def merged(programs: Sequence[Program]) -> tuple[Line, ...]:
    """The lines of all; a name bound differently by two of them is an error."""
    bound: dict[str, Line] = {}
    for program in programs:
        for line in program.lines:
            for target in line.targets:
                if bound.setdefault(target.name, line) != line:
                    fix = f"rename one of them: rename({target.name}='other')"
                    raise FormulaError(
                        f"both formulas bind `{target.name}`.", write(line), write(bound[target.name]), fix
                    )
    return tuple(dict.fromkeys(bound.values()))


def check_clash(left: Program, right: Program, replaced: Iterable[str] = ()) -> None:
    """Refuses a name that one of them binds, or gives to an axis, while the other reads it as a value."""
    for one, other in ((left, right), (right, left)):
        reads = {name.id for name in value_names(other, axis_names(other))} - set(line_names(other))
        if other is right:
            reads -= set(replaced)
        for what, names in (("binds", line_names(one)), ("names an axis", axis_names(one))):
            for name in names:
                if name in reads:
                    clash = f"one formula {what} `{name}`, the other reads it."
                    raise FormulaError(clash, write(other), name, f"rename one of them: rename({name}='other')")


def join(operator: str, left: Program, right: Program) -> Program:
    check_clash(left, right)
    return Program(merged([left, right]), (binary(operator, _one_value(left), _one_value(right)),))


def negative(program: Program) -> Program:
    return Program(program.lines, (Negative(_one_value(program)),))


def only(program: Program, names: Sequence[str]) -> Program | None:
    value = _one_value(program)
    if isinstance(value, Chain) and value.rest[0][0] in SUM:
        signed = [("+", value.first), *value.rest]
    else:
        signed = [("+", value)]
    kept = [(sign, node) for sign, node in signed if set(names) & _reads(node, program)]
    if not kept:
        return None
    sign, result = kept[0]
    result = Negative(result) if sign == "-" else result
    for sign, node in kept[1:]:
        result = join_chain(sign, result, node)
    needed = _needed(result, program)
    return Program(tuple(line for line in program.lines if needed & {t.name for t in line.targets}), (result,))


def _direct(node: Node) -> set[str]:
    found = {one.id for one in walk(node) if isinstance(one, Name)}
    return found | {one.function for one in walk(node) if isinstance(one, Call)}


def _reads(node: Node, program: Program) -> set[str]:
    """All that a piece reads: in place, and through lines."""
    return _needed(node, program) | _direct(node)


def _needed(node: Node, program: Program) -> set[str]:
    found = _direct(node)
    for line in reversed(program.lines):
        if found & {target.name for target in line.targets}:
            found |= _direct(line.value)
    return found
