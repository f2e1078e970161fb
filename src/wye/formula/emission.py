"""How each operation of the graph is written in Python: an expression over names and kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from .graph import Graph, Value
from .numeric import INLINE, compute
from .pairs import pair_recipe

ALIASES = frozenset({"same", "bind", "tensor_only", "float_only"})
"""Operations that change what is known of a value, not the value."""


class Front(Protocol):
    """What a framework gives: kernels by name, whether it captures a graph, and what is made of what is no tensor."""

    promotes: bool
    """Whether Python's operators on its tensors promote as its kernels do; else each operator is a kernel."""

    @property
    def kernels(self) -> Mapping[str, Any]: ...
    def capturing(self) -> bool: ...
    def not_a_tensor(self, graph: Graph, value: Value) -> Callable[..., Any]: ...


@dataclass
class Writer:
    """The names of values and of what the function finds in its globals.

    `like` holds the name of the first value of floats: whole numbers that become floats by themselves take its dtype.
    """

    front: Front
    traced: bool = False
    names: dict[int, str] = field(default_factory=dict[int, str])
    globals: dict[str, Any] = field(default_factory=dict[str, Any])
    like: list[str] = field(default_factory=list[str])
    callables: frozenset[str] = frozenset()
    modules: str = "_self._modules"

    def kernel(self, name: str) -> str:
        self.globals[f"_{name}"] = self.front.kernels[name]
        return f"_{name}"

    def constant(self, value: object) -> str:
        name = f"_k{len(self.globals)}"
        self.globals[name] = value
        return name

    def of(self, value: Value) -> str:
        return self.names[id(value)]

    def all_of(self, values: Iterable[Value]) -> str:
        return ", ".join(map(self.of, values))

    def mixed(self, value: Value) -> list[str]:
        """The arguments; a traced number takes the dtype of the values that it meets."""
        partner = next((arg for arg in value.args if not arg.kind.number), None)
        if not self.traced or partner is None:
            return [self.of(arg) for arg in value.args]
        weak = [arg.kind.number and arg.op != "constant" for arg in value.args]
        like = self.of(partner)
        return [
            f"{self.kernel('number_like')}({self.of(arg)}, {like})" if is_weak else self.of(arg)
            for arg, is_weak in zip(value.args, weak, strict=True)
        ]


@dataclass(frozen=True)
class FloatTensor:
    """What is done with a part's value that is no tensor of floats."""

    tensor: type
    taken: Callable[..., Any]
    convert: Callable[[Any], Any]

    def __call__(self, value: Any, *like: Any) -> Any:
        return self.convert(value if isinstance(value, self.tensor) else self.taken(value, *like))


def is_inline(value: Value) -> bool:
    """Whether the value is a literal."""
    return value.op == "constant"


def _kernel(name: str) -> Callable[[Writer, Value], str]:
    def write(writer: Writer, value: Value) -> str:
        words = [*writer.mixed(value), *map(repr, value.facts)]
        return f"{writer.kernel(name)}({', '.join(words)})"

    return write


def _named_kernel(prefix: str) -> Callable[[Writer, Value], str]:
    """A kernel called by the first fact, the other facts behind its arguments."""

    def write(writer: Writer, value: Value) -> str:
        name, *facts = value.facts
        words = [*writer.mixed(value), *map(repr, facts)]
        return f"{writer.kernel(f'{prefix}_{name}')}({', '.join(words)})"

    return write


CALLED = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}
"""Operators that a framework's function does in less time than Python's operator, which looks it up by type."""
OPERATORS = {
    **CALLED,
    "**": "power",
    "%": "remainder",
    "==": "equal",
    "!=": "unequal",
    "<": "below",
    "<=": "at_most",
    ">": "above",
    ">=": "at_least",
}
"""The kernels of all operators, for fronts on which Python's own do not promote."""


def _operator(writer: Writer, value: Value) -> str:
    sign = str(value.facts[0])
    left, right = writer.mixed(value)
    if not writer.front.promotes:
        return f"{writer.kernel(OPERATORS[sign])}({left}, {right})"
    if value.args[0].kind.number and sign in "+*" and not writer.traced:
        left, right = right, left
    elif any(arg.kind.number for arg in value.args[:1]) or sign not in CALLED:
        return f"{left} {sign} {right}"
    name = {"-": "less", "/": "over"}.get(sign, "") if _is_smaller(value.args[1], value.args[0]) else ""
    return f"{writer.kernel(name or CALLED[sign])}({left}, {right})"


def _is_smaller(value: Value, other: Value) -> bool:
    """Whether a value with named axes lacks some of the other's."""
    if value.kind.number or value.kind.axes is None or other.kind.axes is None:
        return False
    inserted = value.op == "view" and value.facts[0] == "insert"
    return inserted or len(value.kind.axes) < len(other.kind.axes)


def _numeric(writer: Writer, value: Value) -> str:
    name, dtype = value.facts
    args = [writer.of(arg) for arg in value.args]
    if name in INLINE:
        return f"{args[0]} {name} {args[1]}"
    if name == "negative":
        return f"-{args[0]}"
    if writer.traced:
        return f"{writer.kernel('traced_number')}({name!r}, ({', '.join(args)},), {dtype!r})"
    writer.globals["_compute"] = compute
    return f"_compute({name!r}, ({', '.join(args)},), {dtype!r})"


def _apply(writer: Writer, value: Value) -> str:
    name, dtype = value.facts
    words = writer.mixed(value) + ([repr(dtype)] if dtype is not None else [])
    if name == "where" and all(arg.kind.number for arg in value.args[1:]):
        name, words = "where_numbers", [*words, *writer.like]
    return f"{writer.kernel(f'f_{name}')}({', '.join(words)})"


def _reduce(writer: Writer, value: Value) -> str:
    name, dims, keep = value.facts
    words = [writer.of(arg) for arg in value.args]
    if len(words) > 1:
        kernel = writer.kernel(f"reduce_where_{name}" if name != "weighted_mean" else "reduce_weighted_mean")
        return f"{kernel}({', '.join(words)}, {dims!r}, {keep!r})"
    if dims is None and keep:
        return f"{writer.kernel(f'reduce_{name}')}({words[0]}, tuple(range(len({words[0]}.shape))), True)"
    if dims is None:
        return f"{writer.kernel(f'reduce_all_{name}')}({words[0]})"
    return f"{writer.kernel(f'reduce_{name}')}({words[0]}, {dims!r}{', True' if keep else ''})"


def _reduce_rows(writer: Writer, value: Value) -> str:
    """Over all but the samples: the other axes as one."""
    rows = writer.kernel("rows")
    name = value.facts[0]
    words = ", ".join(f"{rows}({writer.of(arg)})" for arg in value.args)
    where = len(value.args) > 1
    kernel = f"reduce_where_{name}" if where and name != "weighted_mean" else f"reduce_{name}"
    return f"{writer.kernel(kernel)}({words}, (1,), False)" if where else f"{writer.kernel(kernel)}({words}, (1,))"


def _view(writer: Writer, value: Value) -> str:
    what, facts = value.facts
    word = writer.of(value.args[0])
    if what == "permute":
        return f"{writer.kernel('permute')}({word}, {facts!r})"
    if what == "insert":
        for place in facts:  # type: ignore[attr-defined]
            word = f"{writer.kernel('insert')}({word}, {place})"
        return word
    first, second = facts  # type: ignore[misc]
    return f"{writer.kernel(str(what))}({word}, {first}, {second})"


def _size(writer: Writer, value: Value) -> str:
    """The length of an axis; a front on which it may be unknown before the run has a kernel for it."""
    word, (dim,) = writer.of(value.args[0]), value.facts
    return f"{writer.kernel('size')}({word}, {dim})" if "size" in writer.front.kernels else f"{word}.shape[{dim}]"


def _call(writer: Writer, value: Value) -> str:
    name, keywords, _ = value.facts
    words = [writer.of(arg) for arg in value.args]
    count = len(words) - len(keywords)  # type: ignore[arg-type]
    named = [f"{key}={word}" for key, word in zip(keywords, words[count:], strict=True)]  # type: ignore[call-overload]
    home = "_self._callables" if name in writer.callables else writer.modules
    return f"{home}[{name!r}]({', '.join([*words[:count], *named])})"


def _pair(writer: Writer, value: Value) -> str:
    facts: tuple[Any, ...] = value.facts
    plan, mean, inverses, left, right = facts
    recipe = pair_recipe(plan, left, right, mean, inverses)
    return f"{writer.kernel('pair')}({writer.constant(recipe)}, {writer.all_of(value.args)})"


def _contrast(writer: Writer, value: Value) -> str:
    """Everything by keyword, for some may be left out."""
    name, roles, *options = value.facts
    words = [f"{role}={word}" for role, word in zip(roles, writer.mixed(value), strict=True)]  # type: ignore[call-overload]
    words += [f"{key}={constant!r}" for key, constant in options]  # type: ignore[misc]
    return f"{writer.kernel(f'contrast_{name}')}({', '.join(words)})"


def _contract(writer: Writer, value: Value) -> str:
    axes, lost, kept, mean = value.facts
    planner = writer.front.kernels["contraction"](axes, lost, kept, mean)
    return f"{writer.constant(planner)}({writer.all_of(value.args)})"


def _number(writer: Writer, value: Value) -> str:
    return f"_self._buffers[{value.facts[0]!r}]" if writer.traced else f"_self.{value.facts[0]}"


def _spread(writer: Writer, value: Value) -> str:
    first, *others = [writer.of(arg) for arg in value.args]
    own, axes, *their_axes = value.facts
    pairs = ", ".join(f"({word}, {theirs!r})" for word, theirs in zip(others, their_axes, strict=True))
    return f"{writer.kernel('spread')}({first}, {own!r}, {axes!r}, [{pairs}])"


def _pick(writer: Writer, value: Value) -> str:
    facts = ", ".join(map(repr, value.facts))
    return f"{writer.kernel('pick')}({writer.all_of(value.args)}, {facts})"


def _widen(kernel: str) -> Callable[[Writer, Value], str]:
    def write(writer: Writer, value: Value) -> str:
        word, floats = writer.of(value.args[0]), writer.kernel("floats")
        return f"{word} if {word}.dtype in {floats} else {writer.kernel(kernel)}({word})"

    return write


def _edge_loss(writer: Writer, value: Value) -> str:
    """The rows of the nodes, the edges, and the negatives or None."""
    name, *options = value.facts
    words = [*map(writer.of, value.args), *(["None"] if len(value.args) < 3 else []), *map(repr, options)]
    return f"{writer.kernel(f'loss_{name}')}({', '.join(words)})"


def _tuple_kernel(name: str) -> Callable[[Writer, Value], str]:
    """A kernel that takes its values as one tuple."""

    def write(writer: Writer, value: Value) -> str:
        words = ", ".join([f"({writer.all_of(value.args)},)", *map(repr, value.facts)])
        return f"{writer.kernel(name)}({words})"

    return write


EXPRESSIONS: dict[str, Callable[[Writer, Value], str]] = {
    "part": lambda writer, value: f"_self.{value.facts[0]}",
    "number": _number,
    "numeric": _numeric,
    "call": _call,
    "item": _kernel("item"),
    "unpack": _kernel("unpack"),
    "operator": _operator,
    "square": _kernel("square"),
    "squared_difference": _kernel("squared_difference"),
    "standard": _kernel("standard"),
    "sum_of_weighted_difference": _kernel("sum_of_weighted_difference"),
    "negative": lambda writer, value: f"-{writer.of(value.args[0])}",
    "apply": _apply,
    "reduce": _reduce,
    "reduce_rows": _reduce_rows,
    "along": lambda writer, value: _named_kernel("along_where" if len(value.args) > 1 else "along")(writer, value),
    "pairwise": _named_kernel("pairwise"),
    "distances": _kernel("distances"),
    "loss": _named_kernel("loss"),
    "loss_rows": _named_kernel("loss_rows"),
    "edge_loss": _edge_loss,
    **{name: _kernel(name) for name in ("ids", "signs", "full", "as_given")},
    "contrast": _contrast,
    "broadcast": _kernel("broadcast"),
    "view": _view,
    "spread": _spread,
    "pick": _pick,
    "pick_one": lambda writer, value: f"{writer.kernel('pick_one')}({writer.all_of(value.args)}, {value.facts[0]})",
    "pair": _pair,
    "contract": _contract,
    "positions": lambda writer, value: f"{writer.kernel('positions')}({writer.of(value.args[0])}, {value.facts[0]})",
    "size": _size,
    "size_of": _size,
    "matmul": _kernel("matmul"),
    "fit": _kernel("fit"),
    "level": _tuple_kernel("level"),
    "to_float": lambda writer, value: (
        f"{writer.kernel('to_float')}({', '.join([writer.of(value.args[0]), *writer.like])})"
    ),
    "float_like": _kernel("to_float"),
    "widen": _widen("widen"),
    "as_float": _widen("to_float"),
    "to_tensor": lambda writer, value: (
        f"{writer.kernel('to_tensor')}({', '.join([writer.of(value.args[0]), *writer.like])})"
    ),
    "structure": lambda writer, value: _tuple_kernel(f"structure_{value.facts[0]}")(
        writer, Value(value.op, value.args, value.facts[1:], value.kind, value.span)
    ),
    "random": lambda writer, value: f"_self._fall({value.facts[0]!r}, {value.span[0]}, {writer.all_of(value.args)})",
}
