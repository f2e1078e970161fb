"""Calls of losses: exact shapes where undeclared, by name where declared."""

from __future__ import annotations

from .axes import shown
from .contraction import Factor, contract, product_value
from .contrast_calls import CONTRASTS, contrast
from .formula_losses import expanded, full, orders
from .graph import REST, SAMPLE, Axes, Graph, Guard, Kind, Value, with_kind
from .losses import CATALOGUE
from .meeting import lay, meet
from .numeric import fold
from .operators import operator
from .reader import Reader, as_float, numbers_only, result_kind, tensor
from .reducing import Options, Values, as_tensor, reduced
from .tree import Span

PAIRS = frozenset({"pair", "pair_margin"})


def loss(reader: Reader, name: str, nodes: Values, axes: Axes, options: Options, span: Span) -> Value:
    """The value of a loss of the catalogue: of a kernel where there is one, else of its formula."""
    if name in CONTRASTS:
        return contrast(reader, name, nodes, options, span)
    if "edges" in nodes:
        return _of_edges(reader, name, nodes, options, span)
    if not CATALOGUE[name].kernel:
        return expanded(reader, CATALOGUE[name], nodes, axes, options, span)
    return (_of_pairs if name in PAIRS else _of_kernel)(reader, name, nodes, options, span)


def _of_kernel(reader: Reader, name: str, nodes: Values, options: Options, span: Span) -> Value:
    """`mse`, `cross_entropy`: one kernel of the front."""
    graph = reader.graph
    sides = [tensor(graph, reader.read(nodes[key])) for key in CATALOGUE[name].values]
    weight = as_float(graph, tensor(graph, reader.read(nodes["weight"]))) if "weight" in nodes else None
    if numbers_only(sides):
        if name == "mse":
            return fold(graph, "**", [fold(graph, "-", sides, span), graph.number(2, span)], span)
        raise _no_tensors(graph, name, span, "give it logits and class ids")
    sides = [as_tensor(graph, side) for side in sides]
    first = as_float(graph, sides[0])
    second = as_float(graph, sides[1]) if name == "mse" else sides[1]
    constants = tuple(value for key, value in options.items() if key != "reduction")
    facts = (name if weight is None else f"weighted_{name}", options["reduction"], *constants)
    if any(side.kind.declared for side in (first, second)):
        return _declared_loss(reader, facts, first, second, weight, span)
    sample = any(side.kind.sample or side.kind.axes == (SAMPLE,) for side in (first, second))
    kind = Kind(data=any(side.kind.data for side in sides), sample=sample, shape=graph.new_shape())
    if options["reduction"] != "none":
        kind = with_kind(kind, axes=(SAMPLE,) if sample else (), sample=False, shape=None)
    free = name == "mse" and not reader.rules.strict and not sample
    args = (first, second) if weight is None else (first, second, as_tensor(graph, weight))
    guard = Guard("free" if free else f"exact_{name}", args, (sample,), span)
    return graph.value("loss_rows" if sample else "loss", args, facts, kind, span, (guard,))


def _declared_loss(
    reader: Reader, facts: tuple[object, ...], first: Value, second: Value, weight: Value | None, span: Span
) -> Value:
    graph, name = reader.graph, str(facts[0])
    if name == "mse":
        aligned, kind, guards = meet(graph, [first, second], span, reader.rules)
        inner: Axes = kind.axes or ()
    else:
        inner = _class_last(reader, first, second, span)
        kind = with_kind(second.kind, data=first.kind.data or second.kind.data, dtype="float")
        aligned = [lay(graph, first, inner), second]
        guards = []
        if weight is not None:
            aligned.append(_of_classes(reader, weight, inner[-1:], span))
    if facts[1] == "none":
        axes = inner if name == "mse" else second.kind.axes or ()
        after = with_kind(kind, axes=axes, written=orders([first, second], axes))
        return graph.value("loss", aligned, facts, after, span, guards)
    if SAMPLE in inner:
        return graph.value("loss_rows", aligned, facts, Kind(axes=(SAMPLE,), data=kind.data), span, guards)
    return graph.value("loss", aligned, facts, Kind(axes=(), data=kind.data), span, guards)


def _class_last(reader: Reader, logits: Value, target: Value, span: Span) -> Axes:
    """The axes of the logits in the order of the target's, the classes last."""
    ours, theirs = logits.kind.axes or (), target.kind.axes or ()
    classes = [axis for axis in ours if axis not in theirs]
    if len(classes) != 1 or len(ours) != len(theirs) + 1:
        raise reader.graph.shape_error(
            "logits have one axis more than the class ids: that of the classes.",
            span,
            f"logits [{shown(ours)}], class ids [{shown(theirs)}]",
            "write cross_entropy(logits[b, k], target[b])",
        )
    return (*theirs, classes[0])


def _of_edges(reader: Reader, name: str, nodes: Values, options: Options, span: Span) -> Value:
    """`edge_cosine_loss`, `edge_distance_loss`: of all nodes at once; only the front can read the edges."""
    graph, x = reader.graph, tensor(reader.graph, reader.read(nodes["x"]))
    if x.kind.scalar or x.kind.declared or x.kind.sample:
        declared = x.kind.declared
        got = f"axes [{shown(x.kind.names)}]" if declared else "one sample" if x.kind.sample else "a number"
        fix = "leave the brackets out" if declared else f"write {name}(x, edges), with a row of x for each node"
        raise graph.shape_error(f"`{name}` takes all nodes at once: x of shape (nodes, features).", x.span, got, fix)
    found = [reader.read(nodes[key]) for key in ("edges", "negatives") if key in nodes]
    for one in found:
        if one.kind.tensor:
            text = graph.written_at(one.span)
            got = "named axes" if one.kind.declared else "a number" if one.kind.number else "a tensor"
            fix = f"build them and give them: {text.split('[')[0]}=wye.Edges.from_dense(adj)"
            raise graph.error(f"`{text}` is not the edges of a graph.", one.span, got, fix)
    kind = Kind(axes=(), data=x.kind.data)
    told = [options["reduction"], *(value for key, value in options.items() if key != "reduction")]
    return graph.value("edge_loss", (as_float(graph, x), *found), (name, *told), kind, span)


def _of_classes(reader: Reader, weight: Value, classes: Axes, span: Span) -> Value:
    """The weights of the classes, which have that axis alone."""
    if weight.kind.names != classes:
        graph, name = reader.graph, shown(classes)
        got = f"axes [{shown(weight.kind.names)}]" if weight.kind.declared else "undeclared axes"
        fix = f"write cross_entropy(logits[b, {name}], target[b], weight=weight[{name}])"
        raise graph.shape_error(f"the weights have the axis of the classes, `{name}`.", span, got, fix)
    return weight


def _no_tensors(graph: Graph, name: str, span: Span, fix: str) -> Exception:
    return graph.shape_error(f"`{name}` takes tensors.", span, graph.written_at(span), fix)


def _of_pairs(reader: Reader, name: str, nodes: Values, options: Options, span: Span) -> Value:
    """`pair`, `pair_margin`: the sum of products, and what the label makes of it, in the words of the catalogue."""
    graph = reader.graph
    a, b, label = (tensor(graph, reader.read(node)) for node in nodes.values())
    if any(side.kind.number for side in (a, b, label)):
        raise _no_tensors(graph, name, span, f"write {name}(a, b, label), with a label for each row of a and b")
    floats = as_float(graph, a), as_float(graph, b)
    sides = full(graph, floats[0]), full(graph, floats[1])
    declared = any(side.kind.declared for side in (*sides, label))
    alike, label = (_alike_by_name if declared else _alike)(reader, name, *sides, label, span)

    def arithmetic(sign: str, left: Value | float, right: Value | float) -> Value:
        sides = [one if isinstance(one, Value) else graph.number(one, span) for one in (left, right)]
        return operator(reader, sign, sides[0], sides[1], span)

    def above_zero(value: Value) -> Value:
        return graph.value("apply", (value,), ("relu", None), value.kind, span)

    margin: float = options["margin"]  # type: ignore[assignment]
    together = arithmetic("-", 1, alike) if name == "pair" else above_zero(arithmetic("-", margin, alike))
    apart = above_zero(arithmetic("+", alike, margin))
    if isinstance(weights := options["label_weights"], tuple):
        of_zero, of_one = weights
        together, apart = arithmetic("*", together, of_one), arithmetic("*", apart, of_zero)
    met, kind, guards = meet(graph, [label, together, apart], label.span, reader.rules)
    kind = with_kind(result_kind(kind, "float"), written=orders([alike, label], kind.axes or ()))
    entry = graph.value("apply", met, ("by_label", None), kind, label.span, guards)
    if options["reduction"] != "none":
        everything: Options = {"axis": None, "keepdims": False}
        entry = reduced(reader, str(options["reduction"]), [entry], kind, (), everything, span, [])
    return graph.value("as_given", (entry, *floats), (), entry.kind, span)


def _alike(reader: Reader, name: str, a: Value, b: Value, label: Value, span: Span) -> tuple[Value, Value]:
    """How alike the rows of undeclared values are, and the label, now known to be of that shape."""
    graph, sides = reader.graph, (a, b, label)
    sample = any(side.kind.sample or side.kind.axes == (SAMPLE,) for side in sides)
    kind = Kind(data=any(side.kind.data for side in sides), sample=sample, shape=graph.new_shape())
    guard = Guard("exact_pair", sides, (name, sample), span)
    alike = graph.value("pairwise", (a, b), ("dot", -1), kind, span, (guard,))
    same = with_kind(kind, data=label.kind.data, dtype=label.kind.dtype)
    return alike, graph.value("same", (label,), ("label", kind.shape), same, label.span)


def _alike_by_name(reader: Reader, name: str, a: Value, b: Value, label: Value, span: Span) -> tuple[Value, Value]:
    """How alike rows are along the axis that both values have and the label lacks, and the label."""
    graph = reader.graph
    left, right, own = (side.kind.names for side in (a, b, label))
    lost = [axis for axis in left if axis in right and axis not in own]
    if len(lost) != 1 or lost[0] == REST or {*left, *right} - {*lost} != {*own}:
        raise graph.shape_error(
            "both values of a pair share one axis that the label lacks; it has all others.",
            span,
            "{} and {}, label {}".format(*map(_axes_of, (a, b, label))),
            f"write {name}(a[b, k], c[b, k], label[b])",
        )
    product = product_value(graph, [Factor(a), Factor(b)], span)
    return contract(graph, product, tuple(lost), False, span), label


def _axes_of(value: Value) -> str:
    return "undeclared" if value.kind.axes is None else f"[{shown(value.kind.names)}]"
