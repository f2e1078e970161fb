"""What a Join is asked and told by name, on every front: operators, and inputs given in a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import FormulaError, InputError, PartError, did_you_mean, listed

OPERATORS = ("+", "-", "*", "/", "max", "min", "mean", "concat")


def joined_by(operator: str, count: int) -> tuple[str, list[str]]:
    """The formula that joins so many modules on one input `x` by an operator, and the names of the modules in it."""
    if operator not in OPERATORS:
        fix = did_you_mean(operator, OPERATORS, f"choose from {' '.join(OPERATORS)}")
        raise FormulaError(f"`{operator}` is not an operator.", f"Join.of({operator!r}, ...)", operator, fix)
    names = list("abcdefghijklmnopqrstuvwyz")[:count]
    if not 2 <= count == len(names):
        raise PartError(
            "an operator joins 2 to 25 modules.",
            f"Join.of({operator!r}, ...)",
            counted(count, "module"),
            "give two or more",
        )
    calls = [f"{name}(x)" for name in names]
    text = f" {operator} ".join(calls)
    if operator == "mean":
        text = f"({' + '.join(calls)}) / {len(calls)}"
    elif operator not in ("+", "-", "*", "/"):
        text = f"{operator}({', '.join(calls)})"
    return text, names


def check_strict(strict: object) -> None:
    """`strict` is a setting of a Join, never the name of a part."""
    if not isinstance(strict, bool):
        raise PartError(
            "`strict` is a setting, not a part.",
            "Join(..., strict=...)",
            type(strict).__name__,
            "write strict=False, or call the part otherwise",
        )


def wrong_inputs(
    title: str, known: Sequence[str], required: Sequence[str], count: int, named: Mapping[str, Any]
) -> InputError | None:
    """What is wrong with the inputs of a call; None for nothing.

    Args:
        title: the class, for errors.
        known: the names of all inputs, in order.
        required: of those, the ones that the formula reads.
        count: how many are given by position.
        named: those given by name.
    """
    positional = known[:count]
    place = f"{title}({', '.join(known)})"
    doubled = [name for name in positional if name in named]
    unknown = [name for name in named if name not in known]
    missing = [name for name in required if name not in positional and name not in named]
    if count > len(known):
        return InputError("too many inputs are given.", place, counted(count, "input"), f"give {listed(known)}")
    if doubled:
        return InputError(
            f"the input `{doubled[0]}` is given twice.",
            place,
            f"by position and by name: {doubled[0]}",
            "give it once",
        )
    if unknown:
        fix = did_you_mean(unknown[0], known, f"give {listed(known)}")
        return InputError(f"there is no input `{unknown[0]}`.", place, listed(named), fix)
    if missing:
        given = [*positional, *named]
        return InputError(f"the input `{missing[0]}` is missing.", place, listed(given), f"give {missing[0]}=...")
    return None


def taken_by_name(place: str, reads: Sequence[str], mappings: Sequence[Any]) -> dict[str, Any]:
    """The values that are read, each out of the one mapping that holds it.

    Raises:
        InputError: a value is in none of them, or two hold different ones under its name.
    """
    for mapping in mappings:
        if not hasattr(mapping, "keys"):
            raise InputError(
                "`on` takes mappings.", place, f"a {type(mapping).__name__}", "give a dict, or values by name"
            )
    given: dict[str, Any] = {}
    for name in reads:
        found = [mapping[name] for mapping in mappings if name in mapping]
        if not found:
            known = dict.fromkeys(str(key) for mapping in mappings for key in mapping)
            raise InputError(
                f"the input `{name}` is in none of the mappings.",
                place,
                f"keys {listed(known)}",
                f"give {name}=..., or a mapping that has it",
            )
        if any(value is not found[0] for value in found):
            raise InputError(
                f"two mappings hold different values for the input `{name}`.",
                place,
                name,
                "leave it out of all but one",
            )
        given[name] = found[0]
    return given


def counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
