"""The arguments of a function, sorted: values, names of axes, further values and constants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...errors import FormulaError, did_you_mean, listed
from ..functions import DTYPES, Function, Option
from ..tree import Call, Name, Negative, Node, Number, Text, Truth
from .values import Site

WORDS = {"dtype": DTYPES, "reduction": ("none", "sum", "mean")}


@dataclass(frozen=True, slots=True)
class Arguments:
    values: tuple[Node, ...]
    axes: tuple[Name, ...]
    extra: dict[str, Node]
    options: dict[str, Option]


def sorted_arguments(call: Call, function: Function, text: str, is_axis: Callable[[Node], bool]) -> Arguments:
    """What a call gives, checked against what the function takes."""
    site = Site(text, call.span)
    count = len(function.values)
    if len(call.args) < count:
        raise site.error(
            f"`{function.name}` needs {count} {'value' if count == 1 else 'values'}: {listed(function.values)}.",
            f"{len(call.args)}",
            f"write {function.signature}",
        )
    values, more = call.args[:count], call.args[count:]
    axes: tuple[Name, ...] = ()
    extra: dict[str, Node] = {}
    if function.kind in ("reduction", "along", "pair"):
        axes = tuple(node for node in more if isinstance(node, Name) and is_axis(node))
        if function.variadic and not axes:
            values += more
        elif len(axes) < len(more):
            wrong = next(node for node in more if node not in axes)
            raise _no_axis(call, function, wrong, site)
    elif function.variadic:
        values += more
    elif len(more) > len(function.extra):
        raise site.error(f"`{function.name}` takes fewer values.", f"{len(call.args)}", f"write {function.signature}")
    else:
        extra = dict(zip(function.extra, more, strict=False))
    options: dict[str, Option] = {}
    for key, node in call.keywords:
        if key in function.extra and key not in extra:
            extra[key] = node
        elif key in function.options:
            options[key] = _option(key, node, function, site.at(node))
        else:
            raise _no_keyword(key, function, site, key in extra)
    return Arguments(values, axes, extra, options)


def _no_axis(call: Call, function: Function, wrong: Node, site: Site) -> FormulaError:
    first, words = site.at(call.args[0]).words, site.at(wrong).words
    number = words.removeprefix("-").isdigit()
    fix = f"{function.name}({first}, axis={words})" if number else f"name the axes: {function.name}({first}[b, k], k)"
    return site.at(wrong).error(f"after its values `{function.name}` takes names of axes.", words, fix)


def _no_keyword(key: str, function: Function, site: Site, twice: bool) -> FormulaError:
    known = (*function.extra, *function.options)
    return site.error(
        f"`{function.name}` got `{key}` twice." if twice else f"`{function.name}` has no keyword `{key}`.",
        key,
        "leave one out" if twice else did_you_mean(key, known, f"its keywords are: {listed(known)}"),
    )


def _option(key: str, node: Node, function: Function, site: Site) -> Option:
    value = _constant(node)
    default = function.options[key]
    if key in WORDS:
        fits, wanted = value in WORDS[key], "one of " + listed(f'"{word}"' for word in WORDS[key])
    elif isinstance(default, bool):
        fits, wanted = isinstance(value, bool), "True or False"
    elif key in ("axis", "ignore_index"):
        fits, wanted = isinstance(value, int) and not isinstance(value, bool), "a whole number, such as -1"
    else:
        fits, wanted = isinstance(value, (int, float)) and not isinstance(value, bool), "a number"
    if not fits:
        raise site.error(f"`{key}` takes a constant of another kind.", site.words, f"write {wanted}")
    return value


def _constant(node: Node) -> Option:
    match node:
        case Number(value) | Text(value) | Truth(value):
            return value
        case Negative(Number(value)):
            return -value
        case _:
            return None
