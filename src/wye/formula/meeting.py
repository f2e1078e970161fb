"""Values that meet in one operation: by name where axes are declared, else by the strict rule of `shapes`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .axes import apart, crossing, shown, union, unique
from .graph import REST, SAMPLE, Axes, Graph, Guard, Kind, Value, with_kind
from .tree import Span

Rule = Callable[[Sequence[Iterable[str]]], tuple[int, int, str, str] | None]


@dataclass(frozen=True)
class Meeting:
    """The rules that hold where values meet.

    Args:
        strict: whether undeclared data must fit as it is.
        meant: whether a crossing is meant: inside a reduction that names its axes, or on a line that does.
    """

    strict: bool = True
    meant: bool = False


def meet(
    graph: Graph, values: Sequence[Value], span: Span, rules: Meeting, stretch: Sequence[bool] = ()
) -> tuple[list[Value], Kind, list[Guard]]:
    """The values ready for one elementwise operation, what its result is, and the checks that come before it.

    Args:
        graph: where new views are added.
        values: what meets, in the order of writing.
        span: where the operation is written.
        rules: see `Meeting`.
        stretch: for each value, whether its or its partner's axes of size 1 may grow.
    """
    stretch = stretch or [False] * len(values)
    data = any(value.kind.data for value in values)
    if any(value.kind.declared for value in values):
        ready = without_axes(graph, values)
        if not rules.meant:
            check_crossing(graph, ready, span, apart)
        aligned, kind, guards = align(graph, ready, span)
        return aligned, with_kind(kind, data=data), guards
    if all(value.kind.scalar for value in values):
        axes = (SAMPLE,) if any(value.kind.axes == (SAMPLE,) for value in values) else ()
        return list(values), Kind(axes=axes, data=data), []
    return _undeclared(graph, list(values), span, rules, stretch)


def without_axes(graph: Graph, values: Sequence[Value]) -> list[Value]:
    """Undeclared values among declared ones: they must turn out to have no axes."""
    names = next(shown(value.kind.axes or ()) for value in values if value.kind.declared)
    found: list[Value] = []
    for value in values:
        if value.kind.axes is None:
            axes = (SAMPLE,) if value.kind.sample else ()
            guard = Guard("no_axes", (value,), (names, value.kind.sample), value.span)
            kind = with_kind(value.kind, axes=axes, sample=False)
            value = graph.value("same", (value,), ("no_axes",), kind, value.span, (guard,))
        found.append(value)
    return found


def check_crossing(graph: Graph, values: Sequence[Value], span: Span, rule: Rule = crossing) -> None:
    """Refuses values that each have a name the other lacks, unless positions bring it.

    `rule` is `crossing` for the factors of a product, `apart` for values that meet otherwise.
    """
    real = [value for value in values if not value.kind.position]
    found = rule([value.kind.names for value in real])
    if found is None:
        return
    first, second, one, other = found
    left, right = (f"`{graph.written_at(real[place].span)}`" for place in (first, second))
    names = unique(name for value in real for name in value.kind.names)
    raise graph.shape_error(
        f"{left} has `{shown([one])}` and {right} has `{shown([other])}`: together they would spread over both.",
        span,
        f"axes {' and '.join(f'[{shown(value.kind.names)}]' for value in (real[first], real[second]))}",
        f"name what is summed: sum(..., {shown([names[-1]])}), or the result: value[{shown(names)}] = ...",
    )


def align(
    graph: Graph, values: Sequence[Value], span: Span, onto: Axes | None = None
) -> tuple[list[Value], Kind, list[Guard]]:
    """The values as views whose axes lie in one order, so that plain broadcasting is meeting by name."""
    axes = onto or union([value.kind.axes or () for value in values])
    written = tuple(unique(order for value in values for order in value.kind.written))
    position = all(value.kind.position or value.kind.number for value in values)
    position = position and any(value.kind.position for value in values)
    kind = Kind(axes=axes, written=written, position=position)
    resting = [value for value in values if REST in (value.kind.axes or ())]
    guards: list[Guard] = []
    if all(len(value.kind.axes or ()) < len(axes) for value in values):
        tensors = [value for value in values if not value.kind.number]
        guards.append(Guard("room", tuple(tensors), tuple(value.kind.axes for value in tensors), span))
    if len(resting) > 1:
        guards.append(Guard("rests", tuple(resting), tuple(value.kind.axes for value in resting), span))
    return [lay(graph, value, axes, resting) for value in values], kind, guards


def lay(graph: Graph, value: Value, axes: Axes, resting: Sequence[Value] = ()) -> Value:
    """One value as a view with its axes in the order `axes`, and size 1 for those it lacks.

    Axes missing at the front come by themselves. `resting` are the values that share the `...`: its size is known
    only when they are seen.
    """
    own = value.kind.axes or ()
    lead = next((place for place, name in enumerate(axes) if name in own), len(axes))
    if not own or (own == axes[lead:] and (len(resting) < 2 or REST not in own or own[0] == REST)):
        return value
    order = tuple(own.index(name) for name in axes if name in own)
    if REST in axes and (order != tuple(range(len(own))) or own != axes[lead:]):
        others = tuple(one for one in resting if one is not value)
        facts = (own, axes[lead:], *(one.kind.axes for one in others))
        return graph.value("spread", (value, *others), facts, with_kind(value.kind, axes=axes[lead:]), value.span)
    if order != tuple(range(len(own))):
        kind = with_kind(value.kind, axes=tuple(own[place] for place in order))
        value = graph.value("view", (value,), ("permute", order), kind, value.span)
    new = tuple(place - lead for place in range(lead, len(axes)) if axes[place] not in own)
    if not new:
        return value
    return graph.value("view", (value,), ("insert", new), with_kind(value.kind, axes=axes[lead:]), value.span)


def _undeclared(
    graph: Graph, values: list[Value], span: Span, rules: Meeting, stretch: Sequence[bool]
) -> tuple[list[Value], Kind, list[Guard]]:
    kinds = [value.kind for value in values]
    sample = any(kind.sample or kind.axes == (SAMPLE,) for kind in kinds)
    open_kinds = [kind for kind in kinds if not kind.scalar]
    marks = {kind.shape for kind in open_kinds}
    alike = len(marks) == 1 and None not in marks
    kept, unless = _kept([value for value in values if not value.kind.scalar])
    kind = Kind(
        data=any(kind.data for kind in kinds),
        sample=sample,
        shape=open_kinds[0].shape if alike else graph.new_shape(),
        kept=kept,
        unless=unless,
    )
    if alike and (not sample or all(one.sample or one.axes == () for one in kinds)):
        return values, kind, []
    if sample:
        return _by_sample(graph, values, span, rules, stretch), kind, []
    if not rules.strict:
        return values, kind, _pairs(values, span, stretch, strict=False)
    return [_fit(graph, value, values) for value in values], kind, _pairs(values, span, stretch)


def _kept(values: Sequence[Value]) -> tuple[tuple[int, ...], tuple[Value, ...]]:
    """The axes that stay kept: those of all data that meets, but for what turns out to have no axes."""
    deciding = [value for value in values if value.kind.data] or list(values)
    keeping = [value for value in deciding if value.kind.kept]
    if not keeping:
        return (), ()
    first, *others = (value.kind.kept for value in keeping)
    kept = tuple(axis for axis in first if all(axis in other for other in others))
    bare = [value for value in deciding if not value.kind.kept]
    return kept, tuple(unique([*(one for value in keeping for one in value.kind.unless), *bare]))


def _fit(graph: Graph, value: Value, others: Sequence[Value]) -> Value:
    """Context of one element counts as having no axes, whatever its rank."""
    data = tuple(other for other in others if other.kind.data and not other.kind.number)
    if value.kind.data or value.kind.scalar or not data:
        return value
    return graph.value("fit", (value, *data), (), value.kind, value.span)


def _by_sample(
    graph: Graph, values: Sequence[Value], span: Span, rules: Meeting, stretch: Sequence[bool]
) -> list[Value]:
    """Values of which some hold the samples first: their other axes meet, each sample for itself."""
    tensors = tuple(value for value in values if value.kind.axes != ())
    facts = tuple(
        (one.kind.data, one.kind.sample or one.kind.axes == (SAMPLE,), one.kind.kept, grows)
        for one, grows in zip(values, stretch, strict=True)
        if one.kind.axes != ()
    )
    fitted = {
        id(value): graph.value("level", tensors, (place, rules.strict, facts), with_kind(value.kind, shape=None), span)
        for place, value in enumerate(tensors)
    }
    return [fitted.get(id(value), value) for value in values]


def _pairs(values: Sequence[Value], span: Span, stretch: Sequence[bool], strict: bool = True) -> list[Guard]:
    """A check for every two values whose shapes may differ; context broadcasts freely, and all does if not strict."""
    guards: list[Guard] = []
    for place, left in enumerate(values):
        for other in range(place + 1, len(values)):
            right = values[other]
            if left.kind.scalar or right.kind.scalar or left is right:
                continue
            if left.kind.shape is not None and left.kind.shape == right.kind.shape:
                continue
            if not strict or not (left.kind.data or right.kind.data):
                guards.append(Guard("free", (left, right), (), span))
                continue
            undoing = [value.kind.unless if value.kind.kept else () for value in (left, right)]
            pairs = zip((left, right), undoing, strict=True)
            sides = tuple((value.kind.data, value.kind.kept, len(unless)) for value, unless in pairs)
            args = (left, right, *undoing[0], *undoing[1])
            guards.append(Guard("meet", args, (*sides, stretch[place] or stretch[other]), span))
    return guards
