"""The losses of the catalogue as functions of Python: each is one call of a formula, whatever the front."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from ..errors import InputError
from .catalogue.loss import Loss
from .functions import FUNCTIONS, Option
from .losses import NAMED, told, written
from .running import constant_in_graphs
from .text import write
from .tree import Call, Name, Negative, Node, Number, Several, Text, Truth

LossFunction = Callable[..., Any]


def functions(evaluate: Callable[..., Any], module: str) -> dict[str, LossFunction]:
    """The named losses, computed by the `evaluate` of a front, for the module that they are names of.

    Each takes tensors, and returns one. What does not fit is refused as in a formula, with the place and the cure.
    """
    return {name: _function(loss, evaluate, module) for name, loss in NAMED.items()}


def _function(loss: Loss, evaluate: Callable[..., Any], module: str) -> LossFunction:
    signature = inspect.Signature(_parameters(loss), return_annotation=Any)
    order, values, required = tuple(signature.parameters), frozenset(loss.arguments), loss.values.keys()

    def computed(*args: Any, **keywords: Any) -> Any:
        given = {**dict(zip(order, args, strict=False)), **keywords}
        if len(given) < len(args) + len(keywords) or not required <= given.keys() <= signature.parameters.keys():
            raise _called_wrong(loss, signature, args, keywords)
        options = [(key, _constant(loss, key, value)) for key, value in given.items() if key not in values]
        tensors = {
            key: value for key, value in given.items() if key in values and (key in required or value is not None)
        }
        return evaluate(_text(loss.name, tuple(tensors), tuple(options)), **tensors)

    computed.__name__ = computed.__qualname__ = loss.name
    computed.__module__, computed.__doc__ = module, told(loss)
    computed.__signature__ = signature  # type: ignore[attr-defined]
    return computed


def _called_wrong(
    loss: Loss, signature: inspect.Signature, args: Sequence[Any], keywords: Mapping[str, Any]
) -> InputError:
    got = f"{len(args)} by position" + "".join(f", {key}=" for key in keywords)
    try:
        signature.bind(*args, **keywords)
    except TypeError as error:
        return InputError(
            f"the loss was called wrong: {error}.", f"losses.{loss.name}(...)", got, f"write {written(loss)}"
        )
    raise AssertionError(got)


def _parameters(loss: Loss) -> list[inspect.Parameter]:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return [
        *(inspect.Parameter(name, kind, annotation=Any) for name in loss.values),
        *(inspect.Parameter(name, kind, default=default) for name, default in loss.options.items()),
        *(inspect.Parameter(name, kind, default=None, annotation=Any) for name in loss.extra),
    ]


def _constant(loss: Loss, key: str, value: Any) -> Option:
    """The value of a keyword, if it is made of words, numbers and truth values."""
    several, default = isinstance(value, tuple | list), loss.options[key]
    items: tuple[Any, ...] = (*value,) if several else (value,)  # pyright: ignore[reportUnknownVariableType]
    truth = isinstance(default, bool)
    known = all(isinstance(item, str | int | float) and isinstance(item, bool) <= truth for item in items)
    if not known and not (value is None and default is None):
        where, got = f"losses.{loss.name}(..., {key}=...)", type(value).__name__  # pyright: ignore[reportUnknownArgumentType]
        raise InputError(f"`{key}` is a constant.", where, got, f"write {key}={default!r}")
    return items if several else value  # pyright: ignore[reportUnknownVariableType]


@constant_in_graphs
def _text(name: str, values: tuple[str, ...], options: tuple[tuple[str, Option], ...]) -> str:
    """The call as it is written in a formula; what is as it would be anyway is left out."""
    return _text_once(name, values, options)


@lru_cache(maxsize=256)
def _text_once(name: str, values: tuple[str, ...], options: tuple[tuple[str, Option], ...]) -> str:
    function = FUNCTIONS[name]
    written = [(key, value) for key, value in options if value is not None and value != function.options[key]]
    extra = tuple((key, Name(key)) for key in values if key in function.extra)
    keywords = (*((key, _node(value)) for key, value in written), *extra)
    return write(Call(name, tuple(map(Name, function.values)), keywords))


def _node(value: Any) -> Node:
    match value:
        case str():
            return Text(value)
        case bool():
            return Truth(value)
        case tuple():
            return Several(tuple(map(_node, value)))  # pyright: ignore[reportUnknownArgumentType]
        case _ if value < 0:
            return Negative(_node(-value))
        case _:
            # Those of NumPy are numbers that print otherwise.
            return Number(int(value) if isinstance(value, int) else float(value))
