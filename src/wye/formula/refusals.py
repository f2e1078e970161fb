"""What kernels refuse, in the same words on every front."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import FormulaError, KernelError, Place, RangeError
from .graph import Graph, Value
from .shapes import Operand, Shape, met

WHOLE = "cast(index, dtype='int64')"


def not_a_tensor(graph: Graph, value: Value, number: Callable[..., Any]) -> Callable[..., Any]:
    """What is made of an input, an item or what a part returned, where that is no tensor: numbers become tensors."""
    place = Place(graph.text, *value.span)

    def taken(got: Any, like: Any = None) -> Any:
        if isinstance(got, bool | int | float):
            return number(got, like)
        named, word = type(got).__name__, graph.written_at(value.span)
        kind = "None" if got is None else f"{'an' if named[0] in 'AEIOU' else 'a'} {named}"
        keys: list[Any] = list(got) if isinstance(got, dict) else []  # pyright: ignore[reportUnknownArgumentType]
        if isinstance(got, tuple | list):
            keys = list(range(len(got)))  # pyright: ignore[reportUnknownArgumentType]
        fix = f"take an item: {word}[{_quoted(keys[0])}]" if keys else "give a tensor"
        held = (
            f" of {', '.join(map(_quoted, keys[:8]))}" if isinstance(got, dict) else f" of {len(keys)}" if keys else ""
        )
        raise FormulaError(f"`{word}` is {kind}, not a tensor.", place, kind + held, fix)

    return taken


def _quoted(key: object) -> str:
    return f'"{key}"' if isinstance(key, str) else repr(key)


def item(x: Any, key: int | str, tensor: type) -> Any:
    """`x[key]` of a tuple or a dict; a tensor is refused."""
    if isinstance(x, tensor):
        raise KernelError(
            "a tensor has axes, not items.",
            f"a tensor of shape {tuple(x.shape)}",
            f"name its axes: value[{key!r}, ...] picks one entry of the first",
        )
    try:
        return x[key]
    except (KeyError, IndexError, TypeError):
        known = (
            ", ".join(map(repr, x))
            if hasattr(x, "keys")
            else f"{len(x)} items"
            if hasattr(x, "__len__")
            else type(x).__name__
        )
        raise KernelError(f"there is no item {key!r}.", known, "take one that is there", FormulaError) from None


def unpack(x: Any, place: int, count: int) -> Any:
    """One of `count` values that a part returned."""
    several = isinstance(x, tuple | list)
    found: Any = x
    if not several or len(found) != count:
        got = f"{len(found)} values" if several else f"one {type(found).__name__}"
        what = f"the line binds {count} names to {got}."
        raise KernelError(what, got, "bind as many names as there are values", FormulaError)
    return found[place]


def _plain(dtype: object) -> str:
    """The name of a dtype without that of its framework."""
    return str(dtype).rpartition(".")[2]


def complex_numbers(dtype: object) -> KernelError:
    fix = "give the real and the imaginary part as two values"
    return KernelError(
        "complex numbers are not part of the language.", f"a tensor of {_plain(dtype)}", fix, FormulaError
    )


def outside(low: int, high: int, size: object) -> KernelError:
    """Indices from `low` to `high` into an axis that is shorter."""
    bad = low if low < 0 else high
    last = size - 1 if isinstance(size, int) else size
    return KernelError(
        f"the index {bad} is out of range.",
        f"indices from {low} to {high}, an axis of size {size}",
        f"give whole numbers from 0 to {last}",
        RangeError,
    )


def fractional_pick(dtype: object) -> KernelError:
    return KernelError("a pick takes whole numbers.", f"an index of {_plain(dtype)}", WHOLE, FormulaError)


def fractional_place(place: float) -> KernelError:
    return KernelError("a pick is a whole number.", str(place), "round(...), or floor(...)", FormulaError)


def fractional_entries(dtype: object) -> KernelError:
    got = f"an index of {_plain(dtype)}"
    return KernelError("entries are taken at whole numbers.", got, WHOLE, FormulaError)


def nothing_to_choose(shape: Shape | None = None) -> KernelError:
    """`max` and `min` of nothing; without a shape, of nothing that a condition leaves."""
    what = "there is no largest and no smallest of nothing."
    if shape is None:
        return KernelError(what, "a condition that leaves nothing", "leave one entry at least")
    return KernelError(what, f"shape {shape}", "give it one entry at least")


def check_within_a_sample(own: Sequence[Shape], facts: Sequence[tuple[bool, bool, tuple[int, ...], bool]]) -> None:
    """Two values that meet sample by sample fit by their own axes."""
    operands = [Operand(shape, data, kept) for shape, (data, _, kept, _) in zip(own, facts, strict=True)]
    if len(operands) == 2 and met(operands[0], operands[1], facts[0][3] or facts[1][3]) is None:
        got = " and ".join(map(str, own))
        raise KernelError("the values do not meet within a sample.", got, "name the axes: a[c, h] and b[c]")


def no_labels(dtype: object) -> KernelError:
    return KernelError(
        "labels are whole numbers or truth values: 0 and 1.",
        f"{_plain(dtype)}",
        "say which are 1: label > 0, or cast(label, dtype='int64')",
    )


def neither_label(low: int, high: int) -> KernelError:
    got = f"{low} to {high}" if low != high else f"{low}"
    return KernelError("labels are 0 and 1.", got, "say which are 1: label > 0", RangeError)


def fractional_ids(dtype: object) -> KernelError:
    return KernelError("class ids are whole numbers.", _plain(dtype), "cast(target, dtype='int64')")


def neither_sign() -> KernelError:
    return KernelError("labels are 1 and -1.", "a label that is neither", "write 2 * (label > 0) - 1", RangeError)


def no_class_ids(dtype: object, target: Shape, logits: Shape) -> KernelError:
    return KernelError(
        "class ids are whole numbers, one for each row of the logits.",
        f"{_plain(dtype)} of shape {target} for logits {logits}",
        "cast(target, dtype='int64')",
    )


def fractional_labels(dtype: object) -> KernelError:
    return KernelError(
        "labels that say which rows belong together are whole numbers.",
        f"{_plain(dtype)}",
        "cast(label, dtype='int64'); weights for all pairs are given as target=...",
    )


def two_targets(name: str) -> KernelError:
    what = f"`{name}` is told twice which rows belong together."
    return KernelError(what, "`label` and `target`", "give one of them", FormulaError)


def labels_of_one_side(name: str) -> KernelError:
    what = f"`{name}` compares the labels of queries with those of keys."
    fix = f"write {name}(query, key, temperature, label=label, key_label=key_label)"
    return KernelError(what, "one of `label` and `key_label`", fix, FormulaError)


def not_above_zero(temperature: float) -> KernelError:
    return KernelError(
        "the temperature of a contrastive loss is above 0, for it divides.",
        f"{temperature:g}",
        "give a number above 0; one that learns as exp(log_temperature)",
        RangeError,
    )
