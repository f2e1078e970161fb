"""The tree of a formula: what the text says, and where each piece of it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields

Span = tuple[int, int]


@dataclass(frozen=True)
class Node:
    """A piece of a formula. Two nodes are equal when they say the same, wherever they stand."""

    span: Span = field(default=(0, 0), compare=False, kw_only=True, repr=False)


@dataclass(frozen=True)
class Number(Node):
    value: int | float

    def __eq__(self, other: object) -> bool:
        # A part may tell 1 from 1.0.
        return isinstance(other, Number) and (type(self.value), self.value) == (type(other.value), other.value)

    def __hash__(self) -> int:
        return hash((Number, type(self.value), self.value))


@dataclass(frozen=True)
class Name(Node):
    id: str


@dataclass(frozen=True)
class Text(Node):
    """A quoted word: the key of an item, or the value of a keyword."""

    value: str


@dataclass(frozen=True)
class Truth(Node):
    """`True` or `False`, as the value of a keyword."""

    value: bool


@dataclass(frozen=True)
class Several(Node):
    """`(0.7, 0.3)`: several constants, as the value of a keyword."""

    items: tuple[Node, ...]

    @property
    def value(self) -> tuple[object, ...]:
        """What its items say; None for one that is no constant."""
        return tuple(getattr(item, "value", None) for item in self.items)


@dataclass(frozen=True)
class Rest(Node):
    """`...`: the axes that stay unnamed."""


@dataclass(frozen=True)
class Chain(Node):
    """Operators of one precedence, read from the left: `a + b - c`, or `a * b / c @ d % e`."""

    first: Node
    rest: tuple[tuple[str, Node], ...]


@dataclass(frozen=True)
class Power(Node):
    base: Node
    exponent: Node


@dataclass(frozen=True)
class Negative(Node):
    operand: Node


@dataclass(frozen=True)
class Not(Node):
    operand: Node


@dataclass(frozen=True)
class Logic(Node):
    """`a and b and c`, or the same with `or`: elementwise."""

    operator: str
    operands: tuple[Node, ...]


@dataclass(frozen=True)
class Compare(Node):
    """`a < b <= c`: each neighbouring pair, joined by `and`."""

    first: Node
    rest: tuple[tuple[str, Node], ...]


@dataclass(frozen=True)
class Call(Node):
    function: str
    args: tuple[Node, ...]
    keywords: tuple[tuple[str, Node], ...]


@dataclass(frozen=True)
class Entries(Call):
    """The name of a table, read as the entries that an input chooses; it is written as that name."""


@dataclass(frozen=True)
class Brackets(Node):
    """`value[b, 0, d]`: names of axes, picks, or the key of an item."""

    value: Node
    entries: tuple[Node, ...]


@dataclass(frozen=True)
class Target(Node):
    """What a line binds: a name, with its axes where the line names them."""

    name: str
    axes: tuple[str, ...] | None


@dataclass(frozen=True)
class Line(Node):
    targets: tuple[Target, ...]
    value: Node


@dataclass(frozen=True)
class Program(Node):
    """Lines that bind names, then the value, or several."""

    lines: tuple[Line, ...]
    values: tuple[Node, ...]


SUM, PRODUCT = frozenset("+-"), frozenset({"*", "/", "@", "%"})


def join_chain(operator: str, left: Node, right: Node) -> Chain:
    """`left operator right`; a chain of the same precedence on the left grows by one."""
    span = (left.span[0], right.span[1])
    level = SUM if operator in SUM else PRODUCT
    if isinstance(left, Chain) and left.rest[0][0] in level:
        return Chain(left.first, (*left.rest, (operator, right)), span=span)
    return Chain(left, ((operator, right),), span=span)


def children(node: Node) -> Iterator[Node]:
    """The nodes right below, in the order in which they are written."""
    for one in fields(node):
        yield from _nodes(getattr(node, one.name))


def _nodes(value: object) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, tuple):
        for item in value:  # pyright: ignore[reportUnknownVariableType]
            yield from _nodes(item)  # pyright: ignore[reportUnknownArgumentType]


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, in the order in which they are written."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        waiting.extend(reversed(list(children(current))))
