"""Brackets: the names of a value's axes, entries picked by a number or by a value, diagonals, and items."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .axes import seen_order, shown, unique
from .cures import miscounted
from .graph import REST, SAMPLE, Axes, Graph, Guard, Value, with_kind
from .meeting import lay
from .reader import tensor
from .tree import Brackets, Chain, Name, Node, Number, Rest, Span, Text

Read = Callable[[Node], Value]
Scope = Callable[[str], str]
IsAxis = Callable[[Node], bool]


def read_brackets(
    graph: Graph, node: Brackets, span: Span, value: Value, read: Read, scope: Scope, is_axis: IsAxis
) -> Value:
    """`value[entries]`: an item of a tuple or dict, or the value with its axes named and entries picked."""
    entries = node.entries
    if len(entries) == 1 and (
        isinstance(entries[0], Text) or (isinstance(entries[0], Number) and not value.kind.declared)
    ):
        return item(graph, value, entries[0], span)
    value = tensor(graph, value)
    if value.kind.number or value.kind.scalar:
        raise graph.shape_error(
            f"`{graph.written_at(value.span)}` has no axes to name.",
            span,
            "a value without axes",
            "leave the brackets out",
        )
    if sum(isinstance(entry, Rest) for entry in entries) > 1:
        raise graph.error("`...` stands at most once in brackets.", span, graph.written_at(span), "name the other axes")
    for entry in entries:
        if isinstance(entry, Chain) and is_axis(entry.first) and _shifts(entry):
            text = graph.written_at(span)
            fix = "give the shifted value, or its places: x[b, next[i]]"
            raise graph.error("shifts of an axis are not yet part of the language.", span, text, fix)
    labels = [_label(entry, place, scope) for place, entry in enumerate(entries)]
    bound = bind(graph, value, labels, span, named=isinstance(node.value, Name))
    return _pick_all(graph, _diagonals(graph, bound, span), entries, span, read)


def _shifts(node: Chain) -> bool:
    """Whether a chain moves its first value by numbers: `i + 1`."""
    return all(sign in ("+", "-") and isinstance(other, Number) for sign, other in node.rest)


def item(graph: Graph, value: Value, entry: Node, span: Span) -> Value:
    """`value[0]` or `value["logits"]`: an item of a tuple or a dict; a tensor is refused when it is seen."""
    if value.kind.declared or value.kind.number:
        raise graph.error(
            "only a tuple or a dict has items.", span, graph.written_at(span), "name the axes: value[b, k]"
        )
    key = entry.value if isinstance(entry, Text | Number) else None
    kind = with_kind(value.kind, axes=None, dtype="any", tensor=False, shape=graph.new_shape(), kept=())
    return graph.value("item", (value,), (key,), kind, span)


def _label(entry: Node, place: int, scope: Scope) -> str:
    """The name of an axis; `#n` for one from which an entry is picked."""
    if isinstance(entry, Rest):
        return REST
    return scope(entry.id) if isinstance(entry, Name) else f"#{place}"


def bind(graph: Graph, value: Value, labels: Sequence[str], span: Span, named: bool = True) -> Value:
    """The value with its axes called `labels`; a name used twice gets a number behind it, `i#2`."""
    lead: Axes = ()
    if value.kind.axes is None:
        lead = (SAMPLE,) if value.kind.sample else ()
    else:
        value, labels = _renamed(graph, value, labels, span, named)
        lead = (SAMPLE,) if SAMPLE in value.kind.axes else ()  # type: ignore[operator]
    seen: dict[str, int] = {}
    own: list[str] = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        own.append(label if seen[label] == 1 else f"{label}#{seen[label]}")
    axes = (*lead, *own)
    names = tuple(name for name in own if "#" not in name)
    guard = Guard("sizes", (value,), (tuple(axes),), span)
    kind = with_kind(value.kind, axes=axes, written=(names,), sample=False, shape=None, kept=(), tensor=True)
    return graph.value("bind", (value,), (axes,), kind, span, (guard,))


def _renamed(graph: Graph, value: Value, labels: Sequence[str], span: Span, named: bool) -> tuple[Value, Sequence[str]]:
    """New names by position for a declared value, as it is seen; `...` leaves the names that it stands for."""
    order, firm = seen_order(value.kind)
    text = graph.written_at(value.span)
    if not firm:
        raise graph.shape_error(
            f"`{text}` has no order of its own: its axes cannot be renamed by position.",
            span,
            f"axes {{{shown(order)}}}",
            f"name it on a line first: value[{shown(order)}] = {text}",
        )
    if REST in labels and REST not in order:
        place = list(labels).index(REST)
        missing = len(order) - len(labels) + 1
        labels = (*labels[:place], *order[place : place + max(0, missing)], *labels[place + 1 :])
    if len(labels) != len(order):
        raise graph.shape_error(
            miscounted(text, len(order), len(labels)),
            span,
            f"axes [{shown(order)}]",
            f"name each: {text}[{shown(order)}]",
        )
    if not named and set(labels) == set(order) and tuple(labels) != order:
        raise graph.shape_error(
            "brackets on an expression may not exchange its own names.",
            span,
            f"[{shown(order)}] -> [{shown(labels)}]",
            f"name it on a line first: value[{shown(order)}] = {text}",
        )
    lead = (SAMPLE,) if SAMPLE in (value.kind.axes or ()) else ()
    return lay(graph, value, (*lead, *order)), labels


def renamed(graph: Graph, value: Value, new: Scope, span: Span) -> Value:
    """The value with each of its axes called anew, as it comes out of a named formula or into another."""

    def names(axes: Axes) -> Axes:
        return tuple(axis if axis in (REST, SAMPLE) else new(axis) for axis in axes)

    axes = names(value.kind.axes or ())
    if axes == (value.kind.axes or ()):
        return value
    kind = with_kind(value.kind, axes=axes, written=tuple(map(names, value.kind.written)))
    return graph.value("bind", (value,), (axes,), kind, span, (Guard("sizes", (value,), (axes,), span),))


def _diagonals(graph: Graph, value: Value, span: Span) -> Value:
    """`s[i, i]`: the entries on the diagonal, their axis last."""
    axes = list(value.kind.axes or ())
    bases = [name.partition("#")[0] for name in axes]
    doubled = unique(name for name in bases if name and bases.count(name) > 1)
    for name in doubled:
        copies = [axis for axis in axes if axis == name or axis.startswith(f"{name}#")]
        while len(copies) > 1:
            first, second = axes.index(copies[0]), axes.index(copies.pop(1))
            rest = axes.index(REST) if REST in axes else len(axes)
            places = tuple(place - len(axes) if place > rest else place for place in (first, second))
            axes = [axis for place, axis in enumerate(axes) if place not in (first, second)] + [name]
            written = (tuple(a for a in axes if "#" not in a and a != SAMPLE),)
            kind = with_kind(value.kind, axes=tuple(axes), written=written)
            value = graph.value("view", (value,), ("diagonal", places), kind, span)
    return value


def _pick_all(graph: Graph, value: Value, entries: Sequence[Node], span: Span, read: Read) -> Value:
    for place, entry in enumerate(entries):
        if isinstance(entry, Name | Rest):
            continue
        index = tensor(graph, read(entry))
        rule = _pick_number if index.kind.number else _pick_value
        value = rule(graph, value, f"#{place}", index, span)
    return value


def _without(value: Value, label: str, new: Axes = ()) -> tuple[Axes, tuple[Axes, ...]]:
    """The axes once `label` is replaced by `new`, and the order in which they are seen."""
    axes = tuple(n for axis in value.kind.axes or () for n in (new if axis == label else (axis,)))
    return axes, (tuple(axis for axis in axes if not axis.startswith("#") and axis != SAMPLE),)


def _pick_number(graph: Graph, value: Value, label: str, index: Value, span: Span) -> Value:
    """`h[b, 0, d]`, or `h[b, size(t) - 1, d]`, whose place is known only in the run."""
    own = value.kind.axes or ()
    place = own.index(label)
    dim = place - len(own) if REST in own[:place] else place
    axes, written = _without(value, label)
    kind = with_kind(value.kind, axes=axes, written=written)
    if index.op != "constant":
        return graph.value("pick_one", (value, index), (dim,), kind, span)
    constant = index.facts[0]
    if not isinstance(constant, int) or isinstance(constant, bool):
        raise graph.error("a pick is a whole number.", index.span, repr(constant), "write it without a decimal point")
    guard = Guard("in_axis", (value,), (dim, constant), index.span)
    return graph.value("view", (value,), ("select", (dim, constant)), kind, span, (guard,))


def _pick_value(graph: Graph, value: Value, label: str, index: Value, span: Span) -> Value:
    """`p[b, y[b]]`: for each entry of the index one entry of the value; shared names stay paired."""
    if index.kind.axes is None:
        guard = Guard("no_axes", (index,), (graph.written_at(span), index.kind.sample), index.span)
        axes = (SAMPLE,) if index.kind.sample else ()
        index = graph.value("same", (index,), (), with_kind(index.kind, axes=axes, sample=False), index.span, (guard,))
    own, names = value.kind.axes or (), index.kind.axes or ()
    shared = tuple(axis for axis in own if axis in names)
    order, _ = seen_order(index.kind)
    new = tuple(axis for axis in (*((SAMPLE,) if SAMPLE in names else ()), *order) if axis not in shared)
    rest = tuple(axis for axis in own if axis not in shared and axis != label)
    base = lay(graph, value, (*shared, label, *rest))
    wanted = lay(graph, index, (*shared, *new))
    _, written = _without(value, label, tuple(axis for axis in new if axis != SAMPLE))
    data = value.kind.data or index.kind.data
    kind = with_kind(value.kind, axes=(*shared, *new, *rest), written=written, data=data)
    run = shared.index(REST) if REST in shared else None
    sides = (base.kind.axes, wanted.kind.axes)
    guards = [Guard("rests", (base, wanted), sides, span)] if run is not None else []
    if (new and rest) or (run is not None and (new or rest)):
        guards.append(Guard("room", (base, wanted), sides, span))
    return graph.value("pick", (base, wanted), (len(shared), len(new), len(rest), run), kind, span, guards)


def line_axes(graph: Graph, value: Value, axes: Sequence[str], span: Span) -> Value:
    """`name[i, j] = value`: names the axes of an undeclared value; checks and orders those of a declared one."""
    names, wanted = set(value.kind.names), tuple(axes)
    if len(set(wanted)) != len(wanted):
        twice = next(axis for axis in wanted if wanted.count(axis) > 1)
        raise graph.error(
            "a line names each axis of its value once.",
            span,
            f"[{shown(wanted)}]",
            f"give the second `{shown([twice])}` another name, or take the diagonal first: value[{shown(wanted)}]",
        )
    if value.kind.axes is None:
        return bind(graph, value, axes, span)
    if names != set(wanted):
        order, _ = seen_order(value.kind)
        raise graph.shape_error(
            "the line names other axes than its value has.",
            span,
            f"[{shown(wanted)}] for axes [{shown(order)}]",
            f"write [{shown(order)}]",
        )
    lead = (SAMPLE,) if SAMPLE in value.kind.axes else ()
    laid = lay(graph, value, (*lead, *wanted))
    return graph.value("same", (laid,), (), with_kind(laid.kind, written=(wanted,)), span)
