"""The arguments of a function, sorted: values, names of axes, further values and constants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...errors import FormulaError, did_you_mean, listed
from ..constants import kind_of
from ..functions import DTYPES, Function, Option
from ..tree import Brackets, Call, Name, Negative, Node, Number, Several, Text, Truth
from .values import Site

WORDS = {"dtype": DTYPES, "reduction": ("none", "sum", "mean"), "multiply": ("bfloat16",)}


@dataclass(frozen=True, slots=True)
class Arguments:
    values: tuple[Node, ...]
    axes: tuple[Name, ...]
    extra: dict[str, Node]
    options: dict[str, Option]


def sorted_arguments(call: Call, function: Function, text: str, is_axis: Callable[[Node], bool]) -> Arguments:
    """What a call gives, checked against what the function takes."""
    site = Site(text, call.span)
    given = dict(zip(function.values, call.args, strict=False))
    more = call.args[len(given) :]
    keywords = list(call.keywords)
    if function.name == "cast" and len(more) == 1 and isinstance(more[0], Text):
        keywords, more = [("dtype", more[0]), *keywords], ()
    options: dict[str, Option] = {}
    axes: tuple[Name, ...] = ()
    if function.takes_axes:
        axes = tuple(node for node in more if isinstance(node, Name) and is_axis(node))
        if len(axes) < len(more) and (axes or not function.variadic):
            raise _no_axis(call, function, next(node for node in more if node not in axes), site)
    elif not function.variadic:
        given |= dict(zip(function.extra, more, strict=False))
        if len(more) > len(function.extra):
            raise site.error(
                f"`{function.name}` takes fewer values.", f"{len(call.args)}", f"write {function.signature}"
            )
    for key, node in keywords:
        if key in given or key in options:
            raise site.error(f"`{function.name}` got `{key}` twice.", key, "leave one out")
        if key in function.options:
            options[key] = _option(key, node, function, site.at(node))
        elif key in (*function.values, *function.extra):
            given[key] = node
        else:
            raise _no_keyword(key, function, site)
    missing = [name for name in function.values if name not in given]
    if missing:
        raise site.error(f"`{function.name}` lacks {listed(missing)}.", site.words, f"write {function.signature}")
    values = tuple(given.pop(name) for name in function.values)
    return Arguments(values if axes or not function.variadic else (*values, *more), axes, given, options)


def _no_axis(call: Call, function: Function, wrong: Node, site: Site) -> FormulaError:
    values = call.args[: len(function.values)]
    first, words = ", ".join(site.at(value).words for value in values), site.at(wrong).words
    number = words.removeprefix("-").isdigit()
    bases = [value.value if isinstance(value, Brackets) else value for value in values]
    named = ", ".join(f"{base.id if isinstance(base, Name) else 'value'}[b, k]" for base in bases)
    fix = f"{function.name}({first}, axis={words})" if number else f"name the axes: {function.name}({named}, k)"
    return site.at(wrong).error(f"after its values `{function.name}` takes names of axes.", words, fix)


def _no_keyword(key: str, function: Function, site: Site) -> FormulaError:
    known = (*function.values, *function.extra, *function.options)
    fix = did_you_mean(key, known, f"its keywords are: {listed(known)}")
    return site.error(f"`{function.name}` has no keyword `{key}`.", key, fix)


def _option(key: str, node: Node, function: Function, site: Site) -> Option:
    value = _constant(node)
    default = function.options[key]
    if key in WORDS:
        words = ("sum", "mean") if key == "reduction" and "edges" in function.values else WORDS[key]
        fits, wanted = value in words, "one of " + listed(f'"{word}"' for word in words)
    elif isinstance(default, bool):
        fits, wanted = isinstance(value, bool), "True or False"
    elif key == "label_weights":
        fits, wanted = isinstance(value, tuple) and len(value) == 2 and min(value) >= 0, "two numbers, such as (1, 1)"
    elif key == "dims":
        fits, wanted = isinstance(value, int) and value > 0, "a whole number above 0, such as 2"
    elif key in ("axis", "ignore_index"):
        fits, wanted = isinstance(value, int) and not isinstance(value, bool), "a whole number, such as -1"
    else:
        holds, told, _ = kind_of(function, key)
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) and holds(value)
        wanted = told or "a number"
    if not fits:
        raise site.error(f"`{key}` takes a constant of another kind.", site.words, f"write {wanted}")
    return value


def _constant(node: Node) -> Option:
    match node:
        case Number(value) | Text(value) | Truth(value):
            return value
        case Negative(Number(value)):
            return -value
        case Several(items) if all(isinstance(item, Number) for item in items):
            return tuple(item.value for item in items if isinstance(item, Number))
        case _:
            return None
