"""From graph to one Python function, whose lines are those of the user's text.

Each value becomes one statement that carries its place in the text, and the text is in `linecache`: tracebacks and
pdb show the formula. A value is let go after its last use. Nothing is read from the module beforehand, so that
nothing can go stale.
"""

from __future__ import annotations

import ast
import hashlib
import linecache
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from .analysis import Analysis
from .checks import CHECKS, WITH_LEAVES, Check, Sizes
from .emission import ALIASES, EXPRESSIONS, Front, Writer, is_inline
from .graph import REST, Graph, Guard, Value, in_order
from .lowering import lowered
from .tree import Span
from .tuning import sums_first, tuned

Function = Callable[..., Any]
FILENAME = "<wye formula {}>"


@dataclass(frozen=True)
class Signature:
    """How the function is called.

    Args:
        inputs: names of its arguments, in order.
        optional: those that may be left out, for the formula does not read them.
        assumed: whether inputs are taken for floating tensors, and anything else goes to the module's `_otherwise`.
        numbers: whether the module has numbers, so that a capturing framework is sent to its `_traced`.
        traced: whether numbers are read from their buffers.
        callables: parts that are no modules.
        finish: a method of the module that makes the result out of the value and the terms.
    """

    inputs: tuple[str, ...]
    optional: frozenset[str] = frozenset()
    assumed: bool = True
    numbers: bool = False
    traced: bool = False
    callables: frozenset[str] = frozenset()
    finish: str = ""


def function(
    analysis: Analysis, front: Front, signature: Signature, terms: Mapping[str, Value] | None = None
) -> FunctionType:
    """A function `(self, *inputs)` that computes the formula; with `terms` it returns those in a dict as well."""
    body = Body(analysis, front, signature)
    wanted = [*analysis.outputs, *(terms or {}).values()]
    roots = tuned(lowered(analysis.graph, [*wanted, *named_inputs(analysis.graph)]))
    values = sums_first(in_order(roots))
    body.leaves = [value for value in values if body.is_given(value)]
    body.writer.like = first_floats(values)
    for value in values:
        body.value(value)
    roots = roots[: len(wanted)]
    words = [body.writer.of(root) for root in roots]
    count = len(analysis.outputs)
    returned = words[0] if count == 1 else f"({', '.join(words[:count])})"
    if terms is not None:
        pairs = ", ".join(f"{key!r}: {word}" for key, word in zip(terms, words[count:], strict=True))
        returned = f"{returned}, {{{pairs}}}"
    if signature.finish:
        returned = f"_self.{signature.finish}({returned})"
    body.statements.append((f"return {returned}", roots[0].span))
    return body.compiled()


def first_floats(values: Sequence[Value]) -> list[str]:
    """The first input or part of floats as the function finds it, or nothing: in its dtype whole numbers become floats."""
    for value in values:
        source = value
        while source.op in ALIASES:
            source = source.args[0]
        if value.kind.dtype == "float" and source.op in ("input", "part"):
            return [f"_self.{source.facts[0]}" if source.op == "part" else str(source.facts[0])]
    return []


def named_inputs(graph: Graph) -> list[Value]:
    """Inputs and parts with names for their axes: a name has one size in lines that nothing reads, too."""

    def given(value: Value) -> bool:
        return value.op in ("input", "part") or (value.op in ALIASES and given(value.args[0]))

    return [value for value in graph.values() if value.op == "bind" and given(value)]


@dataclass
class Body:
    """Statements on the way to becoming a function."""

    analysis: Analysis
    front: Front
    signature: Signature
    statements: list[tuple[str, Span]] = field(default_factory=list[tuple[str, Span]])
    binders: dict[str, tuple[Value, int]] = field(default_factory=dict[str, tuple[Value, int]])
    leaves: list[Value] = field(default_factory=list[Value])
    tested: dict[str, bool] = field(default_factory=dict[str, bool])

    def __post_init__(self) -> None:
        self.writer = Writer(self.front, self.signature.traced, callables=self.signature.callables)

    # statements

    def value(self, value: Value) -> None:
        """The checks of a value, then the value."""
        writer = self.writer
        for guard in value.guards:
            self.guard(guard)
        if value.op == "tensor_only":
            self.tensor_only(value)
        if value.op == "float_only":
            self.float_only(value)
        if value.op in ALIASES:
            writer.names[id(value)] = writer.of(value.args[0])
        elif value.op == "input":
            writer.names[id(value)] = str(value.facts[0])
        elif is_inline(value):
            writer.names[id(value)] = repr(value.facts[0])
        else:
            expression = EXPRESSIONS[value.op](writer, value)
            writer.names[id(value)] = f"_{len(self.statements)}"
            self.statements.append((f"{writer.of(value)} = {expression}", value.span))
        if value.op in ("tensor_only", "part") and value not in self.leaves:
            self.leaves.append(value)

    def is_given(self, value: Value) -> bool:
        """Whether it is an input that is a tensor, as `opening` or the caller has seen to; it takes its name."""
        source = value.args[0] if value.op == "tensor_only" else value
        known = value is source or self.signature.assumed
        if source.op != "input" or not known or not value.kind.tensor or value.kind.number:
            return False
        self.writer.names[id(value)] = str(source.facts[0])
        return True

    def tensor_only(self, value: Value) -> None:
        """Inputs are tested at the start, what parts return and what is no tensor of floats when it comes."""
        source, writer = value.args[0], self.writer
        if source.op == "input" and self.signature.assumed:
            self.tested.setdefault(str(source.facts[0]), False)
            return
        refuse = writer.constant(self.front.not_a_tensor(self.analysis.graph, source))
        word = writer.of(source)
        self.statements.append((f"isinstance({word}, {writer.kernel('Tensor')}) or {refuse}({word})", value.span))

    def float_only(self, value: Value) -> None:
        """An input on its way to being computed with, under whatever names its axes have by now."""
        source = value
        while source.op != "input":
            source = source.args[0]
        self.tested[str(source.facts[0])] = True

    def guard(self, guard: Guard) -> None:
        writer, text = self.writer, self.analysis.graph.text
        args: Sequence[Value] = guard.args
        if guard.check == "sizes":
            check, args = self.sizes(guard)
        else:
            check: Check = CHECKS[guard.check](guard, text, self.front.capturing)
        if guard.check in WITH_LEAVES:
            args = [*args, *self.leaves]
        call = f"{writer.constant(check)}({writer.all_of(args)})"
        if guard.check == "exact_mse" or (guard.check == "meet" and args[0].kind.data == args[1].kind.data):
            left, right = map(writer.of, args[:2])  # data and context rarely have one rank
            call = f"{left}.shape == {right}.shape or {call}"
        self.statements.append((call, guard.span))

    def sizes(self, guard: Guard) -> tuple[Sizes, Sequence[Value]]:
        """The check of named axes, against the values that named them first."""
        value, graph = guard.args[0], self.analysis.graph
        axes: tuple[str, ...] = guard.facts[0]  # type: ignore[assignment]
        known: list[tuple[str, int, int]] = []
        others: list[Value] = []
        for place, name in enumerate(axes):
            if name == REST or "#" in name:
                continue
            dim = place - len(axes) if REST in axes[:place] else place
            source, source_dim = self.binders.setdefault(name, (value, dim))
            if (source, source_dim) != (value, dim):
                others += [source] if source not in others else []
                known.append((name, others.index(source) + 1, source_dim))
        check = Sizes(guard, graph.text, self.front.capturing, known)
        check.others = [graph.written_at(source.span) for source in others]
        return check, [value, *others]

    # the function

    def compiled(self) -> FunctionType:
        """The statements as a function; each stands where its value is written."""
        places = Places(self.analysis.graph.text)
        head = ", ".join(["_self", *(self.argument(name) for name in self.signature.inputs)])
        tree = ast.parse(f"def forward({head}): pass")
        definition = tree.body[0]
        assert isinstance(definition, ast.FunctionDef)
        whole = (0, len(self.analysis.graph.text))
        body = [(line, whole) for line in self.opening()] + let_go(self.statements, self.signature.inputs)
        definition.body = [places.statement(source, span) for source, span in body]
        places.put(definition, whole, only=True)
        writer = self.writer
        writer.globals["_absent"] = ABSENT
        code = compile(tree, places.remember(), "exec")
        exec(code, writer.globals)
        made: FunctionType = writer.globals.pop("forward")
        made.__doc__ = "\n".join(source for source, _ in body)
        return made

    def argument(self, name: str) -> str:
        behind = self.signature.inputs[: self.signature.inputs.index(name)]
        optional = name in self.signature.optional or any(other in self.signature.optional for other in behind)
        return f"{name}=_absent" if optional else name

    def opening(self) -> list[str]:
        """What is asked before anything is computed: is all given, a tensor of floats, and in eager?"""
        inputs, writer, found = self.signature.inputs, self.writer, list[str]()
        defaults = [name for name in inputs if self.argument(name) != name and name not in self.signature.optional]
        if defaults:
            found.append(f"if {' or '.join(f'{name} is _absent' for name in defaults)}: _self._refuse_missing()")
        if self.signature.assumed:
            tests = [
                f"not isinstance({name}, {writer.kernel('Tensor')})"
                + (f" or {name}.dtype not in {writer.kernel('floats')}" if floats else "")
                for name, floats in self.tested.items()
            ]
            if tests:
                found.append(f"if {' or '.join(tests)}: return _self._otherwise({', '.join(inputs)})")
        if self.signature.numbers and not self.signature.traced:
            writer.globals["_capturing"] = self.front.capturing
            found.append(f"if _capturing() or {' or '.join(self.swapped())}: return _self._traced({', '.join(inputs)})")
        return found

    def swapped(self) -> list[str]:
        """Tests for numbers in whose place a tensor was put, as `functional_call` does."""
        names = {str(value.facts[0]) for value in self.analysis.graph.values() if value.op == "number"}
        return [f"_self._buffers[{name!r}] is not _self._mirrors[{name!r}]" for name in sorted(names)]


class Absent:
    """The value of an input that was not given."""

    def __repr__(self) -> str:
        return "not given"

    def __reduce__(self) -> str:
        return "ABSENT"


ABSENT = Absent()
INTERNAL = re.compile(r"\b_\d+\b")


def let_go(statements: Sequence[tuple[str, Span]], inputs: Sequence[str]) -> list[tuple[str, Span]]:
    """The statements, each followed by `del` of the values that are not used any more."""
    last: dict[str, int] = {}
    for place, (source, _) in enumerate(statements):
        last.update((name, place) for name in INTERNAL.findall(source))
    ended: dict[int, list[str]] = {}
    for name, place in last.items():
        ended.setdefault(place, []).append(name)
    found: list[tuple[str, Span]] = []
    for place, (source, span) in enumerate(statements):
        found.append((source, span))
        if place in ended and place < len(statements) - 1:
            found.append((f"del {', '.join(ended[place])}", span))
    return found


class Places:
    """Lines and columns of a text, for the positions in code."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def at(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1]

    def put(self, tree: ast.AST, span: Span, only: bool = False) -> None:
        (line, column), (end_line, end_column) = self.at(span[0]), self.at(max(span[0], span[1]))
        for node in [tree] if only else ast.walk(tree):
            if "lineno" in node._attributes:
                node.lineno, node.col_offset = line, column  # type: ignore[attr-defined]
                node.end_lineno, node.end_col_offset = end_line, end_column  # type: ignore[attr-defined]
        if only and isinstance(tree, ast.FunctionDef):
            self.put(tree.args, span)

    def statement(self, source: str, span: Span) -> ast.stmt:
        holder = ast.parse(f"def f():\n {source}").body[0]
        assert isinstance(holder, ast.FunctionDef)
        self.put(holder.body[0], span)
        return holder.body[0]

    def remember(self) -> str:
        """Puts the text where tracebacks look for source; returns its file name."""
        name = FILENAME.format(hashlib.sha256(self.text.encode()).hexdigest()[:12])
        lines = [f"{line}\n" for line in self.text.split("\n")]  # a last line without an end would shift the carets
        linecache.cache[name] = (len(self.text), None, lines, name)
        return name
