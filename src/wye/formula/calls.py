"""Calls of listed functions: what each argument means, and how the result's axes follow from theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from ..errors import FormulaError, ShapeError, did_you_mean
from . import loss_calls, reducing
from .axes import shown
from .constants import constant
from .functions import FUNCTIONS, LATER, OUTSIDE, WRITTEN, Function, Option
from .graph import NUMBER, SAMPLE, Graph, Guard, Kind, Value
from .meeting import meet
from .numeric import fold
from .reader import Reader, arithmetic, as_float, numbers_only, result_kind, tensor
from .tree import Call, Name, Node, Number, Span, Text


@dataclass(frozen=True)
class Bound:
    """A call whose arguments have found their places."""

    function: Function
    values: dict[str, Node]
    more: tuple[Node, ...]
    axes: tuple[str, ...]
    options: dict[str, Option]
    span: Span


def read_function(reader: Reader, node: Call) -> Value:
    """The value of a call of a listed function."""
    bound = bind_call(reader, node)
    function = bound.function
    if function.kind == "random":
        return _random(reader, bound)
    if function.name == "size":
        return _size(reader, bound)
    if function.kind == "structure":
        return _structure(reader, bound)
    if function.kind == "reduction" and bound.more:
        return elementwise(reader, function.name, [*bound.values.values(), *bound.more], bound)
    if function.kind == "elementwise":
        return elementwise(reader, function.name, list(bound.values.values()), bound)
    rule = {"reduction": reducing.reduction, "along": reducing.along, "pair": reducing.pair, "loss": loss_calls.loss}
    return rule[function.kind](reader, function.name, bound.values, bound.axes, bound.options, bound.span)


def unknown_function(reader: Reader, node: Call, parts: Sequence[str]) -> FormulaError:
    """What to say of a called name that is neither a part nor a function."""
    name = node.function
    span = (reader.at(node)[0], reader.at(node)[0] + len(name))
    if name in LATER:
        return reader.graph.error(
            f"`{name}` is not yet part of the language.", span, name, "compute it outside and give it as an input"
        )
    otherwise = f"give a part of that name: {name}=..."
    if name in WRITTEN and name not in parts:
        fix = f"write {WRITTEN[name]}"
    else:
        fix = otherwise if name in OUTSIDE else did_you_mean(name, [*parts, *FUNCTIONS], otherwise)
    return reader.graph.error(f"there is no function and no part called `{name}`.", span, name, fix)


def bind_call(reader: Reader, node: Call) -> Bound:
    """Arguments to parameters; what is missing, unknown or too many is an error that shows the signature."""
    function, span = FUNCTIONS[node.function], reader.at(node)
    args = list(node.args)
    axes = _axis_names(reader, function, args)
    names = function.values if function.takes_axes else (*function.values, *function.extra)
    if function.name == "cast" and len(args) == 2 and isinstance(args[1], Text):
        node = Call(node.function, (args[0],), (*node.keywords, ("dtype", args.pop(1))), span=node.span)
    values = dict(zip(names, args, strict=False))
    more = tuple(args[len(names) :])
    if more:
        _check_more(reader, function, node, more, axes)
    options: dict[str, Option] = dict(function.options)
    for keyword, value in node.keywords:
        place = reader.at(value)
        if keyword in values:
            raise _refused(reader, function, place, f"is given `{keyword}` twice.", "leave one out")
        if keyword in (*function.values, *function.extra):
            values[keyword] = value
        elif keyword in options:
            options[keyword] = constant(function, keyword, value, partial(_refused, reader, function, place))
        else:
            known = [*function.values, *function.extra, *options]
            raise _refused(
                reader,
                function,
                place,
                f"has no keyword `{keyword}`.",
                did_you_mean(keyword, known, f"keywords: {', '.join(known)}"),
            )
    missing = [name for name in function.values if name not in values]
    if missing:
        raise _refused(reader, function, span, f"lacks `{missing[0]}`.", f"write {function.signature}")
    return Bound(function, values, more, axes, options, span)


def _check_more(reader: Reader, function: Function, node: Call, more: Sequence[Node], axes: Sequence[str]) -> None:
    """Values behind the required ones: `max` and `min` join any number of them, and then reduce nothing."""
    name, place, write = function.name, reader.at(more[0]), reader.graph.written_at
    if function.kind == "reduction" and function.variadic and (axes or node.keywords):
        joined = f"{name}({', '.join(write(reader.at(arg)) for arg in node.args[: len(more) + 1])})"
        over = [
            *(shown((axis,)) for axis in axes),
            *(f"{key}={write(reader.at(value))}" for key, value in node.keywords),
        ]
        fix = f"reduce what is joined: {name}({joined}, {', '.join(over)})"
        raise _refused(reader, function, reader.at(node), "of several values joins them, entry by entry.", fix)
    if function.variadic:
        return
    if not function.takes_axes:
        raise _refused(reader, function, place, "is given too many values.", f"write {function.signature}")
    if isinstance(more[0], Name):
        raise reader.refuse_axis(more[0])
    fix = f"name its axes: {name}(value[b, k], k); of an undeclared value say axis=1"
    if isinstance(more[0], Number):
        values = [write(reader.at(arg)) for arg in node.args[: len(function.values)]]
        fix = f"write {name}({', '.join(values)}, axis={write(place)})"
    raise _refused(reader, function, place, "takes names of axes behind its values.", fix)


def _refused(reader: Reader, function: Function, span: Span, what: str, fix: str) -> FormulaError:
    return reader.graph.error(f"`{function.name}` {what}", span, reader.graph.written_at(span), fix)


def _axis_names(reader: Reader, function: Function, args: list[Node]) -> tuple[str, ...]:
    """Takes the names of axes off the end of the arguments."""
    if not function.takes_axes:
        return ()
    found: list[str] = []
    while len(args) > len(function.values) and isinstance(args[-1], Name) and reader.is_axis(args[-1]):
        found.insert(0, reader.axis(args.pop().id))  # type: ignore[union-attr]
    for name in found:
        if found.count(name) > 1:
            raise reader.graph.error(
                f"the axis `{shown([name])}` is named twice.", reader.at(args[0]), shown(found), "name it once"
            )
    return tuple(found)


def elementwise(reader: Reader, name: str, nodes: Sequence[Node], bound: Bound) -> Value:
    """A function of each entry; several arguments meet by name."""
    graph, span = reader.graph, bound.span
    values = [tensor(graph, reader.read(node)) for node in nodes]
    if name == "clamp":
        bounds = [key for key in ("low", "high") if key in bound.values]
        if not bounds:
            raise _refused(reader, bound.function, span, "needs `low` or `high`.", "write clamp(x, 0, 1)")
        values = [tensor(graph, reader.read(bound.values[key])) for key in ("x", *bounds)]
        name = "clamp" if len(bounds) == 2 else f"clamp_{bounds[0]}"
    if numbers_only(values):
        return fold(graph, name, values, span, dtype=bound.options.get("dtype"))
    if name in ("stop", "cast"):
        dtype = bound.options.get("dtype")
        kinds = {"bool": "small", "int32": "int", "int64": "int"}
        result = values[0].kind.dtype if name == "stop" else kinds.get(str(dtype), "float")
        return graph.value("apply", values, (name, dtype), result_kind(values[0].kind, result), span)
    condition = values[:1] if name == "where" else []
    branches = arithmetic(graph, values[len(condition) :])
    if name in ("where", "max", "min") or name.startswith("clamp"):
        ready = [*condition, *branches]
    else:
        ready = [as_float(graph, value) if name not in ("abs", "sign", "relu") else value for value in branches]
    stretch = [name == "where" and place == 0 for place in range(len(ready))]
    met, kind, guards = meet(graph, ready, span, reader.rules, stretch)
    dtype = (
        "int" if all(value.kind.dtype == "int" for value in branches) and name in ("abs", "sign", "relu") else "float"
    )
    return graph.value("apply", met, (name, None), result_kind(kind, dtype), span, guards)


def _random(reader: Reader, bound: Bound) -> Value:
    if not reader.dice:
        raise reader.graph.error(
            f"`{bound.function.name}` falls only in conditions, times and indices.",
            bound.span,
            reader.graph.written_at(bound.span),
            "give it to When or Repeat",
        )
    values = [reader.read(node) for node in bound.values.values()]
    if not numbers_only(values):
        raise _refused(reader, bound.function, bound.span, "takes numbers.", f"write {bound.function.signature}")
    return reader.graph.value("random", values, (bound.function.name,), NUMBER, bound.span)


def _size(reader: Reader, bound: Bound) -> Value:
    node, graph = bound.values["x"], reader.graph
    if isinstance(node, Name) and reader.is_axis(node):
        if bound.options["axis"] is not None:
            raise _refused(
                reader,
                bound.function,
                bound.span,
                "takes the name of an axis, or a value and `axis=`.",
                "write size(b)",
            )
        return graph.value("size", (), (reader.axis(node.id),), NUMBER, bound.span)
    value = tensor(graph, reader.read(node))
    axis = bound.options["axis"]
    if value.kind.declared or axis is None:
        raise _refused(
            reader,
            bound.function,
            bound.span,
            "takes the name of an axis, or an undeclared value and `axis=`.",
            "write size(b), or size(x, axis=0)",
        )
    guard = Guard("has_axis", (value,), (axis, value.kind.sample), bound.span)
    return graph.value("size_of", (value,), (_shift(axis, value.kind.sample),), NUMBER, bound.span, (guard,))


def _shift(axis: Option, sample: bool) -> int:
    """An axis as written, counted with the axis of the samples where there is one."""
    place = int(axis or 0)  # type: ignore[arg-type]
    return place + 1 if sample and place >= 0 else place


def _structure(reader: Reader, bound: Bound) -> Value:
    """`take concat stack last expand_as`: values with undeclared axes; those without axes are stacked or expanded."""
    graph, name, span = reader.graph, bound.function.name, bound.span
    values = [tensor(graph, reader.read(node)) for node in (*bound.values.values(), *bound.more)]
    for place, value in enumerate(values):
        bare = name == "stack" or (name == "expand_as" and place == 0 and value.kind.axes == ())
        if value.kind.declared or (value.kind.scalar and not bare):
            what = "has no axes" if not value.kind.declared else f"has the named axes [{shown(value.kind.names)}]"
            raise graph.error(
                f"`{name}` takes values with undeclared axes; `{graph.written_at(value.span)}` {what}.",
                value.span,
                graph.written_at(value.span),
                "leave the brackets out" if value.kind.declared else "give it a tensor with axes",
                ShapeError,
            )
    values = _one_for_each(graph, [reducing.as_tensor(graph, value) for value in values])
    sample = any(value.kind.sample or value.kind.axes == (SAMPLE,) for value in values)
    whole = name == "take" and not values[0].kind.sample  # what all samples share has no axis of theirs to go by
    axis = _shift(bound.options.get("axis"), sample and not whole)
    data = any(value.kind.data for value in values)
    dtype = values[0].kind.dtype if len({value.kind.dtype for value in values}) == 1 or name == "take" else "any"
    shape = values[1].kind.shape if name == "expand_as" else graph.new_shape()
    kind = Kind(data=data, dtype=dtype, sample=sample, shape=shape)
    guard = Guard(name, tuple(values), (axis, tuple(value.kind.sample for value in values)), span)
    return graph.value("structure", values, (name, axis), kind, span, (guard,))


def _one_for_each(graph: Graph, values: list[Value]) -> list[Value]:
    """What has no axes is repeated for the samples, where other values have one of them for each."""
    rows = next((value for value in values if value.kind.axes == (SAMPLE,)), None)
    if rows is None:
        return values
    return [
        graph.value("broadcast", (value, rows), (), rows.kind, value.span) if value.kind.axes == () else value
        for value in values
    ]
