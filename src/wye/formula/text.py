"""From tree to text: the canonical form, with no more brackets than the tree needs."""

from __future__ import annotations

from .grammar import AND, COMPARE, MINUS, NOT, OR, POWER, PRODUCT, SUM
from .tree import (
    SUM as SUM_OPERATORS,
)
from .tree import (
    Brackets,
    Call,
    Chain,
    Compare,
    Entries,
    Line,
    Logic,
    Name,
    Negative,
    Node,
    Not,
    Number,
    Power,
    Program,
    Rest,
    Several,
    Target,
    Text,
    Truth,
)

ATOM = POWER + 1


def write(node: Node) -> str:
    """The canonical text of a node; parsing it gives the same tree."""
    return _write(node)[0]


def _inside(node: Node, weakest: int) -> str:
    text, strength = _write(node)
    return text if strength >= weakest else f"({text})"


def _write(node: Node) -> tuple[str, int]:
    """The text, and the strength of its weakest operator."""
    match node:
        case Number(value):
            return repr(value), ATOM
        case Name(id):
            return id, ATOM
        case Text(value):
            return (f'"{value}"' if '"' not in value else f"'{value}'"), ATOM
        case Truth(value):
            return str(value), ATOM
        case Rest():
            return "...", ATOM
        case Chain(first, rest):
            strength = SUM if rest[0][0] in SUM_OPERATORS else PRODUCT
            return _inside(first, strength) + "".join(f" {op} {_inside(n, strength + 1)}" for op, n in rest), strength
        case Power(base, exponent):
            return f"{_inside(base, ATOM)} ** {_inside(exponent, MINUS)}", POWER
        case Negative(operand):
            return f"-{_inside(operand, MINUS)}", MINUS
        case Not(operand):
            return f"not {_inside(operand, NOT)}", NOT
        case Logic(operator, operands):
            strength = OR if operator == "or" else AND
            first, *others = operands
            words = [_inside(first, strength), *(_inside(other, strength + 1) for other in others)]
            return f" {operator} ".join(words), strength
        case Compare(first, rest):
            pairs = "".join(f" {op} {_inside(other, COMPARE + 1)}" for op, other in rest)
            return _inside(first, COMPARE + 1) + pairs, COMPARE
        case _:
            return _write_compound(node), ATOM


def _write_compound(node: Node) -> str:
    match node:
        case Entries(args=(table, *_)):
            return write(table)
        case Call(function, args, keywords):
            arguments = [write(arg) for arg in args] + [f"{key}={write(value)}" for key, value in keywords]
            return f"{function}({', '.join(arguments)})"
        case Brackets(value, entries):
            return f"{_inside(value, ATOM)}[{', '.join(write(entry) for entry in entries)}]"
        case Several(items):
            return f"({', '.join(write(item) for item in items)}{',' if len(items) == 1 else ''})"
        case Target(name, axes):
            return name if axes is None else f"{name}[{', '.join(axes)}]"
        case Line(targets, value):
            return f"{', '.join(write(target) for target in targets)} = {write(value)}"
        case Program(lines, values):
            return "\n".join([*(write(line) for line in lines), ", ".join(write(value) for value in values)])
        case _:
            raise AssertionError(f"no text for {type(node).__name__}")
