"""Functions that lose or use an axis: reductions, functions along an axis, and pairs of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import FormulaError
from .axes import shown, unique
from .contraction import Factor, contract, dim_of, factors_of, product_value
from .functions import Option
from .graph import REST, SAMPLE, Axes, Graph, Guard, Kind, Value, with_kind
from .meeting import Meeting, align, lay, meet
from .reader import Reader, arithmetic, as_float, tensor
from .tree import Node, Span

Values = Mapping[str, Node]
Options = Mapping[str, Option]

EVERY = tuple(range(-64, 64))
"""All axes, counted from either end: no tensor has more."""
OF_NUMBERS = frozenset({"sum", "mean", "max", "min"})


def reduction(reader: Reader, name: str, nodes: Values, axes: Axes, options: Options, span: Span) -> Value:
    """`sum(x, i, j, where=...)` and its kin: without axes, over everything."""
    graph = reader.graph
    read = reader.read_meant if axes else reader.read
    value = tensor(graph, read(nodes["x"]))
    if value.kind.number and (axes or options["axis"] is not None):
        raise _no_axes(graph, name, value, span)
    if value.kind.number and "where" not in nodes and name in OF_NUMBERS:
        return value
    value = _prepared(graph, name, value)
    extras = [as_tensor(graph, tensor(graph, read(nodes[key]))) for key in ("where", "w") if key in nodes]
    _check_axes(reader, name, value if not extras else None, [value, *extras], axes, options, span)
    if name == "weighted_mean":
        return _weighted_mean(reader, value, arithmetic(graph, extras)[0], axes, options, span)
    if name in ("sum", "mean") and value.kind.declared and not extras:
        lost = axes or value.kind.names
        if REST not in lost:
            product = value if value.op == "product" else product_value(graph, factors_of(value), span)
            return contract(graph, product, lost, name == "mean", span)
    rules = Meeting(reader.rules.strict, reader.rules.meant or bool(axes))
    met, kind, guards = meet(graph, [value, *extras], span, rules, [False] + [True] * len(extras))
    if extras:
        met = _filled(graph, met, kind, span, guards)
    dtype = "small" if name in ("any", "all") else "float"
    return reduced(reader, name, met, with_kind(kind, dtype=dtype), axes, options, span, guards)


def _no_axes(graph: Graph, name: str, value: Value, span: Span) -> FormulaError:
    text = graph.written_at(value.span)
    fix = "leave the axes out" if name in OF_NUMBERS else "give it a tensor with axes"
    return graph.shape_error(f"`{text}` has no axes for `{name}` to go over.", span, "a value without axes", fix)


def _prepared(graph: Graph, name: str, value: Value) -> Value:
    """The value in the dtype that the reduction computes in."""
    if value.kind.number:
        return as_tensor(graph, value)
    if name in ("any", "all"):
        return value
    return arithmetic(graph, [value])[0] if name in ("sum", "max", "min") else as_float(graph, value)


def as_tensor(graph: Graph, value: Value) -> Value:
    """A number as a tensor without axes, in the floats of the formula; all else as it is."""
    if not value.kind.number:
        return value
    return graph.value("to_tensor", (value,), (), Kind(axes=(), data=False), value.span)


def _filled(graph: Graph, met: list[Value], kind: Kind, span: Span, guards: list[Guard]) -> list[Value]:
    """The value as wide as its condition, so that leaving entries out is counted right."""
    return [graph.value("broadcast", (met[0], met[1]), (), kind, span, guards), met[1]]


def reduced(
    reader: Reader,
    name: str,
    values: list[Value],
    kind: Kind,
    axes: Axes,
    options: Options,
    span: Span,
    guards: list[Guard],
) -> Value:
    """The reduction itself, once its arguments lie alike."""
    graph, keep, own = reader.graph, bool(options["keepdims"]), kind.axes
    if own is None:
        axis = options["axis"]
        if axis is None and (not keep or kind.sample):
            after = with_kind(kind, axes=(SAMPLE,) if kind.sample else (), sample=False, shape=None)
            return graph.value(
                "reduce_rows" if kind.sample else "reduce", values, (name, None, False), after, span, guards
            )
        if axis is None:
            after = with_kind(kind, shape=graph.new_shape(), kept=EVERY, unless=())
            return graph.value("reduce", values, (name, None, True), after, span, guards)
        place = int(axis) + (1 if kind.sample and int(axis) >= 0 else 0)  # type: ignore[arg-type]
        checks = [*guards, Guard("has_axis", (values[0],), (axis, kind.sample), span)]
        kept = _still_kept(kind, int(axis), keep)  # type: ignore[arg-type]
        unless = () if keep else kind.unless
        after = with_kind(kind, shape=graph.new_shape(), kept=kept, unless=unless)
        return graph.value("reduce", values, (name, (place,), keep), after, span, checks)
    lost = axes or tuple(axis for axis in own if axis != SAMPLE)
    left = tuple(axis for axis in own if axis not in lost)
    written = tuple(unique(tuple(axis for axis in order if axis not in lost) for order in kind.written))
    after = with_kind(kind, axes=left, written=written, position=False)
    if not left:
        return graph.value("reduce", values, (name, None, False), after, span, guards)
    if REST in lost or not lost:  # of what has no axes but that of the samples, each is reduced alone
        return graph.value("reduce_rows", values, (name, None, False), after, span, guards)
    dims = tuple(dim_of(own, axis) for axis in own if axis in lost)
    return graph.value("reduce", values, (name, dims, False), after, span, guards)


def _still_kept(kind: Kind, axis: int, keep: bool) -> tuple[int, ...]:
    """The axes of size 1 that are kept behind a further reduction; those in doubt are given up."""
    if keep:
        return (axis,) if kind.unless else tuple(unique((*kind.kept, axis)))
    moved = [one for one in kind.kept if one != axis and (one < 0) == (axis < 0)]
    return tuple(one - 1 if one > axis >= 0 else one + 1 if one < axis < 0 else one for one in moved)


def _check_axes(
    reader: Reader, name: str, alone: Value | None, values: list[Value], axes: Axes, options: Options, span: Span
) -> None:
    """Names for declared values, `axis=` for undeclared ones, and no name that the value lacks."""
    graph = reader.graph
    declared = any(value.kind.declared for value in values)
    given = options["axis"] is not None or bool(options.get("keepdims"))
    if declared and given and (options["axis"] != -1 or name not in ALONG):
        names = unique(axis for value in values for axis in value.kind.names)
        raise graph.shape_error(
            f"`{name}` of a value with named axes takes their names, not `axis=`.",
            span,
            f"axes [{shown(names)}]",
            f"write {name}(..., {shown(names[-1:])})",
        )
    if all(value.kind.scalar for value in values) and name not in ALONG and (axes or given):
        raise _no_axes(graph, name, values[0], span)
    known = {axis for value in values for axis in value.kind.names}
    absent = [axis for axis in axes if axis not in known]
    if absent:
        what = (
            f"has no axis `{shown(absent)}` to go over."
            if declared
            else "of an undeclared value has no names to go over."
        )
        raise graph.shape_error(
            f"`{name}` {what}",
            span,
            f"axes [{shown(sorted(known))}]" if declared else "undeclared axes",
            f"name one of [{shown(sorted(known))}]"
            if declared
            else f"name them: {name}(value[{shown(axes)}], {shown(axes)}), or say axis=1",
        )


ALONG = frozenset({"softmax", "log_softmax", "unit", "dot", "cosine", "distance"})


def _weighted_mean(reader: Reader, value: Value, weight: Value, axes: Axes, options: Options, span: Span) -> Value:
    graph = reader.graph
    rules = Meeting(reader.rules.strict, reader.rules.meant or bool(axes))
    met, kind, guards = meet(graph, [value, weight], span, rules, [False, True])
    met[1] = graph.value("broadcast", (met[1], met[0]), (), kind, span, guards)
    return reduced(reader, "weighted_mean", met, kind, axes, options, span, [])


def along(reader: Reader, name: str, nodes: Values, axes: Axes, options: Options, span: Span) -> Value:
    """`softmax log_softmax unit`: the axis stays."""
    graph = reader.graph
    value = as_float(graph, tensor(graph, reader.read(nodes["x"])))
    extras = [as_tensor(graph, tensor(graph, reader.read(nodes["where"])))] if "where" in nodes else []
    axis = _one_axis(reader, name, [value, *extras], axes, options, span)
    met, kind, guards = meet(graph, [value, *extras], span, reader.rules, [False] + [True] * len(extras))
    if extras:
        met = _filled(graph, met, kind, span, guards)
    dim = (
        dim_of(kind.axes, axis)
        if kind.axes is not None and isinstance(axis, str)
        else _checked_dim(met[:1], axis, guards, span)
    )
    return graph.value("along", met, (name, dim), kind, span, guards)


def _checked_dim(values: Sequence[Value], axis: str | int, guards: list[Guard], span: Span) -> int:
    place, sample = int(axis), any(value.kind.sample for value in values)
    guards.append(Guard("has_axis", tuple(values), (place, sample), span))
    return place + (1 if sample and place >= 0 else 0)


def _one_axis(reader: Reader, name: str, values: list[Value], axes: Axes, options: Options, span: Span) -> str | int:
    """The axis of a function along one: a name for declared values, a whole number for undeclared ones."""
    graph = reader.graph
    _check_axes(reader, name, None, values, axes, options, span)
    declared = any(value.kind.declared for value in values)
    if declared and len(axes) != 1:
        names = unique(axis for value in values for axis in value.kind.names)
        raise graph.shape_error(
            f"`{name}` of a value with named axes goes along one of them.",
            span,
            f"axes [{shown(names)}]",
            f"write {name}(..., {shown(names[-1:])})",
        )
    if not declared and all(value.kind.scalar for value in values):
        raise graph.shape_error(
            f"`{name}` goes along an axis.", span, "a value without axes", "give it a tensor with axes"
        )
    return axes[0] if declared else int(options["axis"])  # type: ignore[arg-type]


def pair(reader: Reader, name: str, nodes: Values, axes: Axes, options: Options, span: Span) -> Value:
    """`dot cosine distance`: two values meet and lose one axis."""
    graph = reader.graph
    sides = [as_float(graph, as_tensor(graph, tensor(graph, reader.read_meant(nodes[key])))) for key in ("a", "b")]
    axis = _one_axis(reader, name, sides, axes, options, span)
    if not isinstance(axis, str):
        met, kind, guards = meet(graph, sides, span, reader.rules)
        dim = _checked_dim(met, axis, guards, span)
        after = with_kind(kind, shape=graph.new_shape(), kept=())
        return graph.value("pairwise", met, (name, dim), after, span, guards)
    for side in sides:
        if axis not in (side.kind.axes or ()):
            raise graph.shape_error(
                f"both values of `{name}` have the axis it goes along.",
                span,
                f"axis `{shown([axis])}`, axes [{shown(side.kind.names)}]",
                f"name it in both: {name}(a[i, {shown([axis])}], b[j, {shown([axis])}], {shown([axis])})",
            )
    if name == "cosine":
        sides = [graph.value("along", (s,), ("unit", dim_of(s.kind.axes or (), axis)), s.kind, s.span) for s in sides]
    if name in ("dot", "cosine"):
        return contract(graph, product_value(graph, [Factor(side) for side in sides], span), (axis,), False, span)
    return _distance(graph, sides, axis, span)


def _distance(graph: Graph, sides: list[Value], axis: str, span: Span) -> Value:
    """Between every two rows where the values cross, else row by row; neither expands the square."""
    left, right = (tuple(n for n in side.kind.axes or () if n != axis) for side in sides)
    batch = tuple(name for name in left if name in right)
    only = tuple(n for n in left if n not in right), tuple(n for n in right if n not in left)
    if len(only[0]) == len(only[1]) == 1 and REST not in batch:
        laid = [lay(graph, side, (*batch, *mine, axis)) for side, mine in zip(sides, only, strict=True)]
        kind = Kind(axes=(*batch, *only[0], *only[1]), written=_less(sides, axis), data=any(s.kind.data for s in sides))
        guards = [Guard("room", tuple(laid), (laid[0].kind.axes, laid[1].kind.axes), span)]
        return graph.value("distances", laid, (), kind, span, guards)
    aligned, kind, guards = align(graph, sides, span)
    own = kind.axes or ()
    after = with_kind(kind, axes=tuple(n for n in own if n != axis), written=_less(sides, axis))
    return graph.value(
        "pairwise", aligned, ("distance", dim_of(own, axis) - (0 if REST in own else len(own))), after, span, guards
    )


def _less(sides: list[Value], axis: str) -> tuple[Axes, ...]:
    return tuple(unique(tuple(n for n in order if n != axis) for side in sides for order in side.kind.written))
