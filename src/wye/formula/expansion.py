"""The formula of a loss of the catalogue as one call of it needs it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache

from .algebra import rebuilt
from .catalogue.loss import Loss, Option
from .grammar import parse
from .tree import Brackets, Call, Name, Node, Program, Rest

CLASSES = "k"
"""What the catalogue calls the axis behind the others."""


def behind(count: int) -> tuple[str, ...]:
    """The names of so many axes that stand for that one."""
    return (CLASSES,) if count == 1 else tuple(f"{CLASSES}{place}" for place in range(1, count + 1))


def program_of(
    loss: Loss,
    options: Mapping[str, Option],
    given: Collection[str],
    count: int = 1,
    bare: Collection[str] = (),
    probabilities: bool = False,
) -> Program:
    """The tree of a loss.

    Args:
        loss: the loss.
        options: its settings.
        given: the names of the further values that are there.
        count: how many axes `k` stands for; 0 where a sum over it goes over everything.
        bare: the values whose axes are not named by brackets, for they have names already, or none.
        probabilities: see `Loss`.
    """
    return _fitted(loss.text(options, given, probabilities), behind(count), frozenset(bare))


@lru_cache(maxsize=256)
def _fitted(text: str, names: tuple[str, ...], bare: frozenset[str]) -> Program:
    def spread(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
        return tuple(new for node in nodes for new in (map(Name, names) if node == Name(CLASSES) else (node,)))

    def change(node: Node) -> Node:
        match node:
            case Brackets(Name(id) as value, entries) if id in bare and _only_names(entries):
                return value
            case Brackets(value, entries):
                return Brackets(value, spread(entries), span=node.span)
            case Call(function, args, keywords):
                return Call(function, spread(args), keywords, span=node.span)
            case _:
                return node

    program = rebuilt(parse(text), change)
    assert isinstance(program, Program)
    return program


def _only_names(entries: Collection[Node]) -> bool:
    return all(isinstance(entry, Name | Rest) for entry in entries)
