"""Calls of losses that are formulas alone: the formula is read with the arguments for its names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .axes import seen_order, shown, unique
from .brackets import renamed
from .catalogue.loss import Loss
from .expansion import behind, program_of
from .graph import REST, SAMPLE, Axes, Graph, Guard, Kind, Value, with_kind
from .meeting import lay
from .reader import Reader, as_float, numbers_only, tensor
from .reducing import Options, as_tensor
from .tree import Node, Span


def expanded(reader: Reader, loss: Loss, nodes: Mapping[str, Node], axes: Axes, options: Options, span: Span) -> Value:
    """The value of a loss by its formula; the same call of the same values is one value."""
    graph = reader.graph
    given = {name: tensor(graph, reader.read(nodes[name])) for name in loss.arguments if name in nodes}
    if numbers_only([given[name] for name in loss.values]):
        text = graph.written_at(span)
        raise graph.shape_error(
            f"`{loss.name}` takes tensors.", span, text, f"write {loss.name}({', '.join(loss.values)})"
        )
    key = (loss.name, axes, *map(id, given.values()), *given, *options.items())
    if key not in graph.expanded:
        declared = any(value.kind.declared for value in given.values())
        _check_settings(reader, loss, declared, axes, options, span)
        values = _in_their_roles(reader, loss, given)
        prefix = f"{loss.name}{graph.new_shape()}:"
        read = _by_name if declared else _by_position
        found = read(reader, loss, values, axes, options, prefix, span)
        floats = [value for name, value in values.items() if _is_of_floats(loss, name) and not value.kind.number]
        graph.expanded[key] = graph.value("as_given", (found, *floats), (), found.kind, span)
    return graph.expanded[key]


def _is_of_floats(loss: Loss, name: str) -> bool:
    return loss.arguments[name].role == "floats"


def _call(loss: Loss, extra: str = "") -> str:
    """How it is called with names for the axes."""
    written = {"...": "[b]" if loss.over else "[b, k]", "..., k": "[b, k]", "k": "[k]"}
    words = [name + written[one.axes] for name, one in loss.values.items()]
    words += ["k"] if loss.named else []
    words += [f"{extra}={extra}[k]"] if extra in loss.extra else []
    return f"{loss.name}({', '.join(words)})"


def _check_settings(reader: Reader, loss: Loss, declared: bool, axes: Axes, options: Options, span: Span) -> None:
    """Names of axes for declared values, `dims=` for undeclared ones."""
    graph = reader.graph
    if axes and not declared:
        raise graph.shape_error(
            f"`{loss.name}` of undeclared values has no names to go over.",
            span,
            "undeclared axes",
            f"name them: {_call(loss)}",
        )
    if declared and options.get("dims") is not None:
        raise graph.shape_error(
            f"`{loss.name}` of values with named axes takes their names, not `dims=`.",
            span,
            f"dims={options['dims']}",
            f"write {_call(loss)}",
        )


def _in_their_roles(reader: Reader, loss: Loss, given: Mapping[str, Value]) -> dict[str, Value]:
    """Floats as such, ids as whole numbers, signs as 1 and -1."""
    graph = reader.graph
    first = as_float(graph, as_tensor(graph, next(iter(given.values()))))
    found: dict[str, Value] = {}
    for name, value in given.items():
        role = loss.arguments[name].role
        if name in loss.values:
            value = as_tensor(graph, value)
        if role == "ids":
            value = graph.value("ids", (value,), (), with_kind(value.kind, dtype="int"), value.span)
        elif role == "signs":
            value = graph.value("signs", (value, first), (), with_kind(value.kind, dtype="float"), value.span)
        else:
            value = as_float(graph, value)
        found[name] = value
    return found


def full(graph: Graph, value: Value) -> Value:
    """Floats of 16 bits as those of 32, in which a loss is computed."""
    return graph.value("full", (value,), (), value.kind, value.span)


def _computed(
    reader: Reader, loss: Loss, values: Mapping[str, Value], options: Options, span: Span
) -> dict[str, Value]:
    """What the names of the formula stand for: the values, and the settings that are numbers."""
    graph = reader.graph
    numbers = {key: value for key, value in options.items() if isinstance(value, int | float)}
    exact = {name for name, value in values.items() if value.kind.number or loss.arguments[name].role == "ids"}
    return {
        **{key: graph.number(value, span) for key, value in numbers.items()},
        **{name: value if name in exact else full(graph, value) for name, value in values.items()},
    }


def _by_position(
    reader: Reader, loss: Loss, values: dict[str, Value], axes: Axes, options: Options, prefix: str, span: Span
) -> Value:
    """Of undeclared values, whose shapes are exactly those that the catalogue says."""
    graph = reader.graph
    count = {"all": options.get("dims") or 0}.get(loss.over, 1)
    assert isinstance(count, int)
    tensors = {name: value for name, value in values.items() if not value.kind.number}
    samples = tuple(value.kind.sample or value.kind.axes == (SAMPLE,) for value in tensors.values())
    layout = tuple(loss.arguments[name].axes for name in tensors)
    facts = (layout, samples, count)
    guard = Guard("exact_axes", tuple(tensors.values()), facts, span)
    sample, mark, ready = any(samples), graph.new_shape(), dict(values)
    first, *others = tensors
    for name in (first, *others):
        value = tensors[name]
        kind = value.kind
        if kind.axes is None and loss.arguments[name].axes != "k" and kind.sample == sample:
            alike = loss.arguments[name].axes == loss.arguments[first].axes
            kind = with_kind(kind, shape=mark if alike else graph.new_shape(), kept=(), unless=())
        # The others come after the first, and so after the check of all.
        args, guards = ((value,), (guard,)) if name == first else ((value, ready[first]), ())
        ready[name] = graph.value("same", args, ("exact", kind.shape), kind, value.span, guards)
    bare = [name for name, value in ready.items() if value.kind.scalar or value.kind.number]
    program = program_of(loss, options, [name for name in loss.extra if name in values], count, bare)
    computed = _computed(reader, loss, ready, options, span)
    graph.trusted = True  # the guard has seen that all fit
    try:
        found = reader.expand(program, computed, prefix, span)
    finally:
        graph.trusted = False
    if not found.kind.declared:
        return found
    sample = SAMPLE in (found.kind.axes or ())
    kind = Kind(data=found.kind.data, sample=sample, shape=graph.new_shape())
    return graph.value("same", (found,), ("undeclared", kind.shape), kind, span)


def _by_name(
    reader: Reader, loss: Loss, values: dict[str, Value], axes: Axes, options: Options, prefix: str, span: Span
) -> Value:
    """Of values with named axes, which meet by name; `k` is the axes that are named, or that a value lacks."""
    over = _axes_over(reader, loss, values, axes, span)
    ready, count = dict(values), len(over)
    bare = list(values)
    if over:
        _check_named(reader, loss, values, over, span)
        private = dict(zip(over, (prefix + name for name in behind(count)), strict=True))
        for name in (name for name in values if loss.arguments[name].axes != "..."):
            ready[name] = _laid(reader, values[name], over, private)
            bare.remove(name)
    program = program_of(loss, options, [name for name in loss.extra if name in values], count, bare)
    found = reader.expand(program, _computed(reader, loss, ready, options, span), prefix, span)
    written = orders(list(values.values()), found.kind.axes or ())
    return reader.graph.value("same", (found,), ("loss",), with_kind(found.kind, written=written), span)


def _laid(reader: Reader, value: Value, over: Axes, private: Mapping[str, str]) -> Value:
    """The value with the axes `over` last, called by names of the loss's own."""
    order, _ = seen_order(value.kind)
    lead = (SAMPLE,) if SAMPLE in (value.kind.axes or ()) else ()
    axes = (*lead, *(name for name in order if name not in over), *over)
    value = renamed(reader.graph, lay(reader.graph, value, axes), lambda name: private.get(name, name), value.span)
    kind = with_kind(value.kind, written=(value.kind.names,))
    return reader.graph.value("same", (value,), ("laid",), kind, value.span)


def _axes_over(reader: Reader, loss: Loss, values: Mapping[str, Value], axes: Axes, span: Span) -> Axes:
    if loss.over in ("", "all") or axes:
        return axes
    kinds = {name: value.kind for name, value in values.items() if name in loss.values}
    lacking = {axis for name, kind in kinds.items() if loss.values[name].axes == "..." for axis in kind.names}
    rows = [kind.names for name, kind in kinds.items() if loss.values[name].axes == "..., k"]
    found = tuple(axis for axis in rows[0] if axis not in lacking and all(axis in names for names in rows))
    if loss.over == "lacked" and len(found) == 1 and REST not in found:
        return found
    lacks = [name for name, one in loss.values.items() if one.axes == "..."]
    what = f"goes along the one axis that `{lacks[0]}` lacks." if lacks else "of values with named axes goes along one."
    raise reader.graph.shape_error(
        f"`{loss.name}` {what}",
        span,
        ", ".join(f"{name} {_axes_of(kind)}" for name, kind in kinds.items()),
        f"write {_call(loss)}",
    )


def _check_named(reader: Reader, loss: Loss, values: Mapping[str, Value], over: Axes, span: Span) -> None:
    """Every value has the axes that the loss goes over, but those that are to lack them."""
    for name, value in values.items():
        own, wanted = value.kind.names, loss.arguments[name].axes
        fits = {"...": not set(over) & set(own), "..., k": set(over) <= set(own), "k": set(own) == set(over)}
        if not fits[wanted]:
            rule = {"...": "is to lack", "..., k": "is to have", "k": "is to have alone"}[wanted]
            raise reader.graph.shape_error(
                f"`{loss.name}` goes along [{shown(over)}], which `{name}` {rule}.",
                span,
                f"{name} {_axes_of(value.kind)}",
                f"write {_call(loss, name)}",
            )


def _axes_of(kind: Kind) -> str:
    return "undeclared" if kind.axes is None else f"[{shown(kind.names)}]"


def orders(values: Sequence[Value], axes: Axes) -> tuple[Axes, ...]:
    """The orders written inside of values, of these axes alone."""
    written = (order for value in values for order in value.kind.written)
    return tuple(unique(tuple(axis for axis in order if axis in axes) for order in written))
