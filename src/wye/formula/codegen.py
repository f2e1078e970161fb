"""From graph to one Python function, whose lines are those of the user's text.

Each value becomes one statement that carries its place in the text, and the text is in `linecache`: tracebacks and
pdb show the formula. A value is let go after its last use. Nothing is read from the module beforehand, so that
nothing can go stale.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FunctionType
from typing import Any

from .analysis import Analysis
from .check import Check
from .checks import CHECKS, WITH_LEAVES, Sizes
from .emission import ALIASES, EXPRESSIONS, FloatTensor, Front, Writer, is_inline
from .graph import REST, Graph, Guard, Value, in_order
from .lowering import lowered
from .statements import Places, let_go
from .tree import Span
from .tuning import in_chain, meet_alike, sums_first, tuned

Function = Callable[..., Any]


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
    wanted = [*analysis.outputs, *(terms or {}).values(), *named_inputs(analysis.graph)]
    entries = [value for _, update in analysis.updates.values() for value in update]
    roots = tuned(lowered(analysis.graph, [*wanted, *entries]))
    roots, entries = roots[: len(wanted)], roots[len(wanted) :]
    values = sums_first(in_order(roots))
    known = {id(value) for value in values}
    values += [value for value in sums_first(in_order(entries)) if id(value) not in known]
    body.leaves = [value for value in values if body.is_given(value)]
    body.heads = {id(v.args[0]) for v in values if v.guards and in_chain(v.guards[0], v)}
    if sum(value.op == "call" and value.facts[0] not in signature.callables for value in values) > 1:
        body.writer.modules = "_m"
    body.writer.like = first_floats(values)
    for value in values[: len(known)]:
        body.value(value)
    words = [body.writer.of(root) for root in roots]
    count = len(analysis.outputs)
    returned = words[0] if count == 1 else f"({', '.join(words[:count])})"
    if terms is not None:
        pairs = ", ".join(f"{key!r}: {word}" for key, word in zip(terms, words[count:], strict=False))
        returned = f"{returned}, {{{pairs}}}"
    if signature.finish:
        returned = f"_self.{signature.finish}({returned})"
    if analysis.updates:
        body.updates(returned, roots[0].span, values[len(known) :], entries)
    else:
        body.statements.append((f"return {returned}", roots[0].span))
    return body.compiled()


def first_floats(values: Sequence[Value]) -> list[str]:
    """The first input or part of floats as the function finds it, if any: whole numbers take its dtype."""
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
    shapes: dict[int, str] = field(default_factory=dict[int, str])
    heads: set[int] = field(default_factory=set[int])

    def __post_init__(self) -> None:
        self.writer = Writer(self.front, self.signature.traced, callables=self.signature.callables)

    # statements

    def value(self, value: Value) -> None:
        """The checks of a value, then the value."""
        writer = self.writer
        for guard in value.guards:
            self.guard(guard, value)
        if value.op == "float_only":
            self.float_only(value)
        if value.op == "tensor_only":
            self.tensor_only(value)
        elif value.op in ALIASES:
            writer.names[id(value)] = writer.of(value.args[0])
        elif value.op == "input":
            writer.names[id(value)] = str(value.facts[0])
        elif value.op == "float_tensor":
            self.float_tensor(value)
        elif is_inline(value):
            writer.names[id(value)] = repr(value.facts[0])
        else:
            expression = EXPRESSIONS[value.op](writer, value)
            writer.names[id(value)] = f"_{len(self.statements)}"
            self.statements.append((f"{writer.of(value)} = {expression}", value.span))
        if value.op in ("tensor_only", "float_tensor", "part") and value not in self.leaves:
            self.leaves.append(value)

    def updates(self, returned: str, span: Span, values: Sequence[Value], entries: Sequence[Value]) -> None:
        """The value of the formula first; then, in training, what only the new entries of tables need, and these."""
        self.statements += [(f"_out = {returned}", span), ("if not _self._renews(): return _out", span)]
        for value in values:
            self.value(value)
        left = iter(entries)
        for name, (place, update) in self.analysis.updates.items():
            *ids, new = [next(left) for _ in update]
            word = self.writer.all_of(ids) or None
            self.statements.append((f"_self._renew({name!r}, {word}, {self.writer.of(new)})", place))
        self.statements.append(("return _out", span))

    def is_given(self, value: Value) -> bool:
        """Whether it is an input that is a tensor, as `opening` or the caller has seen to; it takes its name."""
        source = value.args[0] if value.op == "tensor_only" else value
        known = value is source or self.signature.assumed
        if source.op != "input" or not known or not value.kind.tensor or value.kind.number:
            return False
        self.writer.names[id(value)] = str(source.facts[0])
        return True

    def tensor_only(self, value: Value) -> None:
        """Inputs are tested at the start; of what parts return and of items, numbers become tensors when they come."""
        source, writer = value.args[0], self.writer
        word = writer.names[id(value)] = writer.of(source)
        if source.op == "input" and self.signature.assumed:
            self.tested.setdefault(str(source.facts[0]), False)
            return
        taken = writer.constant(self.front.not_a_tensor(self.analysis.graph, source))
        other = f"{taken}({', '.join([word, *writer.like])})"
        writer.names[id(value)] = f"_{len(self.statements)}"
        test = f"isinstance({word}, {writer.kernel('Tensor')})"
        self.statements.append((f"{writer.of(value)} = {word} if {test} else {other}", value.span))

    def float_only(self, value: Value) -> None:
        """An input on its way to being computed with, under whatever names its axes have by now."""
        source = value
        while source.op != "input":
            source = source.args[0]
        self.tested[str(source.facts[0])] = True

    def float_tensor(self, value: Value) -> None:
        """What a part returned: a tensor of floats by one test; all else is refused or made floats."""
        source, writer, kernels = value.args[0], self.writer, self.front.kernels
        taken = self.front.not_a_tensor(self.analysis.graph, source)
        call = writer.constant(FloatTensor(kernels["Tensor"], taken, kernels[str(value.facts[0])]))
        word, floats = writer.of(source), writer.kernel("floats")
        other = f"{call}({', '.join([word, *writer.like])})"
        dtype = f"getattr({word}, 'dtype', None)"
        if value.facts[1]:
            writer.names[id(value)] = word
            self.statements.append((f"if {dtype} not in {floats}: {word} = {other}", value.span))
            return
        writer.names[id(value)] = f"_{len(self.statements)}"
        self.statements.append((f"{writer.of(value)} = {word} if {dtype} in {floats} else {other}", value.span))

    def guard(self, guard: Guard, value: Value) -> None:
        writer, text = self.writer, self.analysis.graph.text
        args: Sequence[Value] = guard.args
        if guard.check == "sizes":
            check, args = self.sizes(guard)
        else:
            check: Check = CHECKS[guard.check](guard, text, self.front.capturing)
        if guard.check in WITH_LEAVES:
            args = [*args, *self.leaves]
        name = writer.constant(check)
        call = f"{name}({writer.all_of(args)})"
        if in_chain(guard, value):
            self.chained(value, name)
            return
        if guard.check == "exact_mse" or meet_alike(guard):
            left, right = map(writer.of, args[:2])
            call = f"{left}.shape == {right}.shape or {call}"
        self.statements.append((call, guard.span))

    def chained(self, value: Value, check: str) -> None:
        """The check of two values where the shape of the left one is known from the last check, and of their result."""
        (left, right), span = value.args, value.guards[0].span
        words = self.writer.all_of((left, right))
        known = self.shapes.get(id(left))
        if known is None:
            known = f"{self.writer.of(left)}.shape"
            if id(value) in self.heads:
                self.statements.append((f"_s{len(self.shapes)} = {known}", span))
                known = f"_s{len(self.shapes)}"
                self.shapes[id(left)] = known
        test = f"{self.writer.of(right)}.shape == {known}"
        if id(value) not in self.heads:
            self.statements.append((f"{test} or {check}({words})", span))
            return
        joint = self.shapes[id(value)] = f"_s{len(self.shapes)}"
        self.statements.append((f"{joint} = {known} if {test} else {check}.joint({words})", span))

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
        if self.analysis.updates:
            found.append("_self._refuse_recompute()")
        if writer.modules == "_m":
            found.append("_m = _self._modules")
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
