"""Calls of contrastive losses: rows of features against rows of features."""

from __future__ import annotations

from dataclasses import dataclass

from .axes import shown
from .functions import FUNCTIONS
from .graph import REST, SAMPLE, Axes, Guard, Kind, Value
from .meeting import lay
from .reader import Reader, as_float, tensor
from .reducing import Options, Values
from .tree import Span

ROWS = frozenset({"a", "b", "query", "key", "x"})
NUMBERS = frozenset({"temperature", "bias"})
CONTRASTS = ("info_nce", "clip_loss", "siglip_loss", "nt_xent", "sup_con")


@dataclass(frozen=True)
class Order:
    """The names of the axes where they are declared: of the rows, of what they are compared with, of the features."""

    rows: str
    columns: str
    features: str

    def of(self, role: str) -> Axes:
        return {
            "label": (self.rows,),
            "key_label": (self.columns,),
            "target": (self.rows, self.columns),
            "b": (self.columns, self.features),
            "key": (self.columns, self.features),
        }.get(role, (self.rows, self.features))


def contrast(reader: Reader, name: str, nodes: Values, options: Options, span: Span) -> Value:
    """The value of a contrastive loss: one kernel of the front."""
    graph = reader.graph
    function = FUNCTIONS[name]
    written = [role for role in (*function.values, *function.extra) if role in nodes]
    given = {role: tensor(graph, reader.read(nodes[role])) for role in written}
    for role, value in given.items():
        given[role] = _checked(reader, name, role, value)
    order = _order(reader, name, given, span)
    if order is not None:
        given = {role: value if role in NUMBERS else _laid(reader, role, value, order) for role, value in given.items()}
    args, roles = tuple(given.values()), tuple(given)
    tensors = {role: value for role, value in given.items() if not value.kind.number}
    guard = Guard("exact_contrast", tuple(tensors.values()), (name, tuple(tensors)), span)
    kind = Kind(axes=(), data=any(value.kind.data for value in args))
    if options["reduction"] == "none":
        kind = Kind(axes=(order.rows,) if order else None, data=kind.data, shape=None if order else graph.new_shape())
    facts = (name, roles, *options.items())
    return graph.value("contrast", args, facts, kind, span, (guard,))


def _checked(reader: Reader, name: str, role: str, value: Value) -> Value:
    """The value as the kernel takes it."""
    graph = reader.graph
    if value.kind.sample or SAMPLE in (value.kind.axes or ()):
        raise graph.shape_error(
            f"`{name}` compares samples with one another, and here each is read by itself.",
            value.span,
            graph.written_at(value.span),
            "compute it outside and give it as an input",
        )
    if role in NUMBERS:
        return value if value.kind.number else as_float(graph, value)
    if value.kind.number:
        raise graph.shape_error(
            f"`{role}` of `{name}` is a tensor.", value.span, graph.written_at(value.span), "give a tensor"
        )
    return value if role in ("label", "key_label") else as_float(graph, value)


def _order(reader: Reader, name: str, given: dict[str, Value], span: Span) -> Order | None:
    """The axes by name; None where none are declared."""
    sides = [value for role, value in given.items() if role in ROWS]
    others = [value for role, value in given.items() if role not in NUMBERS]
    if not any(value.kind.declared for value in others):
        return None
    first, last = sides[0].kind.names, sides[-1].kind.names
    shared = [axis for axis in first if axis in last]
    features = shared[0] if len(shared) == 1 else first[-1] if first else ""
    own = [axis for axis in first if axis != features]
    theirs = [axis for axis in last if axis != features]
    if REST in (*first, *last) or features not in last or (len(first), len(last)) != (2, 2):
        raise _misnamed(reader, name, given, span)
    order = Order(own[0], theirs[0], features)
    for role, value in given.items():
        if role not in NUMBERS and sorted(value.kind.names) != sorted(order.of(role)):
            raise _misnamed(reader, name, given, span)
    if order.rows == order.columns and "target" in given:
        raise _misnamed(reader, name, given, span)
    return order


def _misnamed(reader: Reader, name: str, given: dict[str, Value], span: Span) -> Exception:
    shapes = [
        f"{role} {'undeclared' if value.kind.axes is None else f'[{shown(value.kind.names)}]'}"
        for role, value in given.items()
        if role not in NUMBERS
    ]
    letters = Order("i", "i" if name == "sup_con" else "j", "d")
    named = [role if role in NUMBERS else f"{role}[{', '.join(letters.of(role))}]" for role in given]
    extra = FUNCTIONS[name].extra
    named = [f"{role}={text}" if role in extra else text for role, text in zip(given, named, strict=True)]
    return reader.graph.shape_error(
        f"`{name}` takes rows of features, which both sides share; labels have the axis of the rows.",
        span,
        ", ".join(shapes),
        f"write {name}({', '.join(named)})",
    )


def _laid(reader: Reader, role: str, value: Value, order: Order) -> Value:
    return lay(reader.graph, value, order.of(role))
