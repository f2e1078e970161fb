"""Brackets: names for axes, picks by number or by integer values, diagonals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...errors import FormulaError, RangeError, ShapeError, listed
from ..shapes import Shape
from ..tree import Name, Node, Number, Span, Text
from .meeting import Rules, laid_out
from .values import REST, Array, Items, Named, Order, Site, Term, derived, describe, describe_axes, seen

FREE = "b k i j t h w d c n m p q r s u v y z".split()

Register = Callable[[str, int, Node], None]
Read = Callable[[Node], Named]


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands at one place between the brackets: a name of an axis, `...`, or a value that picks, read last."""

    label: str | Named | None
    node: Node


def bracketed(
    base: Term, entries: Sequence[Entry], span: Span, rules: Rules, register: Register, read: Read | None = None
) -> Named:
    """The value with its axes named anew, and with what was picked taken out.

    Args:
        base: the value before the brackets.
        entries: what stands between them.
        span: the whole piece of text.
        rules: what holds where it stands.
        register: called with each name, its size and its place; refuses a second size.
        read: gives the values that pick, which may ask for the sizes of the names beside them.
    """
    site = Site(rules.text, span)
    labels, _ = _labels(base, entries, site)
    _check_exchange(base, labels, site)
    for entry, size in zip(labels, base.value.shape, strict=True):
        if isinstance(entry.label, str) and entry.label != REST:
            register(entry.label, size, entry.node)
    if read is not None:
        entries = [entry if entry.label else Entry(read(entry.node), entry.node) for entry in entries]
    labels, names = _labels(base, entries, site)
    for entry, size in zip(labels, base.value.shape, strict=True):
        if isinstance(entry.label, Named):
            _check_pick(entry, size, site)
    axes = _result_axes(names)
    array = base.value.array
    picks = [entry.label for entry in names if isinstance(entry.label, Named)]
    if picks or len(axes) < len(names):
        array = _picked(array, labels, axes, site, rules)
    value = derived(array, None, [base.value, *picks])
    return replace(value, axes=axes, written=(axes,) if axes else (), position=False, number=False)


def ordered(base: Term, axes: Order, span: Span, rules: Rules, register: Register) -> Named:
    """The value of a line that names its result: named if it was undeclared, else checked and put in that order."""
    site = Site(rules.text, span)
    if len(set(axes)) < len(axes):
        raise site.error("a result has each axis once.", describe_axes(axes), "name each axis once")
    value = base.value
    if value.axes is None:
        return bracketed(base, [Entry(name, Node(span=span)) for name in axes], span, rules, register)
    others = tuple(name for name in value.axes if name == REST or name not in axes)
    order = tuple(new for name in axes for new in (others if name == REST else (name,)))
    if set(order) != set(value.axes):
        raise site.error(
            "the line names other axes than its value has.",
            f"{describe_axes(axes)}, the value {describe(value)}",
            f"name it {base_name(site)}[{', '.join(value.axes)}]",
            ShapeError,
        )
    turned = value.transposed(order)
    return replace(turned, written=(order,) if order else ())


def item(value: Items, key: Node | None, site: Site) -> object:
    """The item of a tuple or a dict under a number or a quoted word."""
    items = value.items
    keys = list(items) if isinstance(items, Mapping) else list(range(len(items)))
    found = key.value if isinstance(key, (Number, Text)) else None
    if found is None or isinstance(found, float) or found not in keys:
        words = site.words
        raise site.error(f"`{words}` is no item.", words, f"pick one of its items: {listed(repr(one) for one in keys)}")
    return items[found] if isinstance(items, Mapping) else items[int(found)]


def base_name(site: Site) -> str:
    return site.words.split("[")[0]


def _labels(base: Term, entries: Sequence[Entry], site: Site) -> tuple[list[Entry], list[Entry]]:
    """An entry for each dimension, and the same with `...` once; what stands behind `...` keeps the names it has."""
    value = base.value
    rests = [place for place, entry in enumerate(entries) if entry.label == REST]
    if len(rests) > 1:
        raise site.at(entries[rests[1]].node).error("`...` stands once between brackets.", site.words, "leave one out")
    missing = value.array.ndim - (len(entries) - len(rests))
    if missing < 0 or (missing and not rests):
        raise _rank_error(base, entries, site)
    if not rests:
        return list(entries), list(entries)
    before, rest, after = entries[: rests[0]], entries[rests[0]], entries[rests[0] + 1 :]
    stop = rests[0] + missing
    if value.axes is None:
        return [*before, *[rest] * missing, *after], list(entries)
    labels: list[Entry] = []
    names: list[Entry] = []
    for name, places in value.places().items():
        held = [place for place in places if rests[0] <= place < stop]
        labels += [Entry(name, rest.node) for _ in held]
        names += [Entry(name, rest.node)] if held or not places else []
    return [*before, *labels, *after], [*before, *names, *after]


def _rank_error(base: Term, entries: Sequence[Entry], site: Site) -> FormulaError:
    value, words = base.value, Site(site.text, base.node.span).words
    used = {entry.label for entry in entries if isinstance(entry.label, str)}
    names = [site.at(entry.node).words for entry in entries if entry.label != REST][: value.array.ndim]
    names += [name for name in FREE if name not in used and name not in words][: value.array.ndim - len(names)]
    count = len(entries)
    return site.error(
        f"the brackets have {count} {'entry' if count == 1 else 'entries'}, the value has {value.array.ndim} axes.",
        f"{words} {describe(value)}",
        f"name each axis: {words}[{', '.join(names)}]" if names else "leave out the brackets",
        ShapeError,
    )


def _check_exchange(base: Term, labels: Sequence[Entry], site: Site) -> None:
    """A declared value is renamed by position: its order must be settled, and only a name may be turned around."""
    if base.value.axes is None:
        return
    seen(base.value, Site(site.text, base.node.span))
    old = [name for name, places in base.value.places().items() for _ in places]
    new = [entry.label for entry in labels]
    if _turns(old, new) and not isinstance(base.node, Name):
        raise site.error(
            "brackets on an expression may not exchange its own axes.",
            f"{describe_axes(base.value.axes)} renamed {describe_axes(tuple(_word(label) for label in new))}",
            f"bind it in a line first: value[{', '.join(base.value.axes)}] = {Site(site.text, base.node.span).words}",
            ShapeError,
        )


def _turns(old: Sequence[str], new: Sequence[str | Named | None]) -> bool:
    """Whether some of the old names have taken each other's places."""
    moves = {place: old.index(name) for place, name in enumerate(new) if isinstance(name, str) and name in old}
    moves = {place: source for place, source in moves.items() if place != source and old[place] != REST}
    while moves:
        following = {place: source for place, source in moves.items() if source in moves}
        if len(following) == len(moves):
            return True
        moves = following
    return False


def _word(label: str | Named | None) -> str:
    return label if isinstance(label, str) else "a pick"


def _check_pick(entry: Entry, size: int, site: Site) -> None:
    assert isinstance(entry.label, Named)
    index, here = entry.label, site.at(entry.node)
    if index.array.dtype.kind not in "iu":
        raise here.error(
            "an axis is picked from by whole numbers.", f"{here.words} of dtype {index.array.dtype}", "give integers"
        )
    if index.axes is None and index.array.ndim:
        names = ", ".join(FREE[: index.array.ndim])
        raise here.error(
            "the axes of a value that picks are named.",
            f"{here.words} {describe(index)}",
            f"name them, as in {here.words}[{names}]",
            ShapeError,
        )
    check_range(index.array, size, here)


def check_range(index: Array, size: int, site: Site) -> None:
    """Refuse entries below 0, or not below `size`."""
    if index.size and (index.min() < 0 or index.max() >= size):
        worst = int(index.min()) if index.min() < 0 else int(index.max())
        fix = "count from the front" if worst < 0 else "leave such entries out, or give a larger axis"
        raise site.error(
            f"`{site.words}` picks outside of its axis.",
            f"{worst}, of an axis of {size} entries" + (f", 0 to {size - 1}" if size else ""),
            fix + (f": {size + worst}" if -size <= worst < 0 and not index.ndim else ""),
            RangeError,
        )


def _result_axes(entries: Sequence[Entry]) -> Order:
    """Names in the order of their dimensions, diagonals last; a pick's new names take the place of the picked axis."""
    names = [entry.label for entry in entries if isinstance(entry.label, str)]
    found: list[str] = []
    for entry in entries:
        if isinstance(entry.label, Named):
            found += [name for name in entry.label.axes or () if name not in names and name not in found]
        elif isinstance(entry.label, str) and names.count(entry.label) == 1:
            found.append(entry.label)
    return (*found, *(name for name in dict.fromkeys(names) if names.count(name) > 1))


def _picked(array: Array, labels: Sequence[Entry], axes: Order, site: Site, rules: Rules) -> Array:
    """Every entry of the result, looked up by one index for each dimension of the array."""
    sizes = _sizes(array, labels, axes, site)
    shape = tuple(size for name in axes for size in sizes[name])
    rules.check_room(shape, site.span)
    rest = len(sizes.get(REST, ()))
    numbers = iter(range(array.ndim))
    indices: list[Array] = []
    for entry, size in zip(labels, array.shape, strict=True):
        if isinstance(entry.label, Named):
            indices.append(laid_out(entry.label, axes, rest))
            continue
        before = [1] * sum(len(sizes[name]) for name in axes[: axes.index(entry.label)])
        before += [1] * (next(numbers) if entry.label == REST else 0)
        along = (*before, size, *[1] * (len(shape) - len(before) - 1))
        indices.append(np.arange(size, dtype=np.int64).reshape(along))
    return np.broadcast_to(array[tuple(indices)], shape) if indices else array


def _sizes(array: Array, labels: Sequence[Entry], axes: Order, site: Site) -> dict[str, Shape]:
    sizes: dict[str, Shape] = {}
    rest = tuple(size for entry, size in zip(labels, array.shape, strict=True) if entry.label == REST)
    if REST in axes:
        sizes[REST] = rest
    for entry, size in zip(labels, array.shape, strict=True):
        if isinstance(entry.label, str) and entry.label != REST:
            sizes[entry.label] = (size,)
    for entry in labels:
        for name, shape in (entry.label.sizes() if isinstance(entry.label, Named) else {}).items():
            if sizes.get(name, ()) not in ((), shape) and shape != ():
                raise site.error(
                    "the axes behind `...` differ." if name == REST else f"`{name}` has two sizes.",
                    f"{sizes[name]} and {shape}",
                    "give equal sizes",
                    ShapeError,
                )
            sizes[name] = sizes.get(name) or shape
    return sizes
