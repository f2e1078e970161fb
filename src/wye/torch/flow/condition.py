"""Conditions and times: what decides, for each sample or for the batch, and what it reads."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from ...errors import FlowError, FormulaError, InputError, PartError, Place, did_you_mean, listed
from ...formula.codegen import Signature, function
from ...formula.formula import Formula
from ...formula.graph import NUMBER, SAMPLE, Kind
from ...formula.schedule import Schedule
from ...formula.tree import Call, Name, walk
from ..failures import explained
from ..front import FRONT, capturing
from ..making import Recipe, dtype_class
from ..parts import Parts
from .refusal import refuse
from .values import inhabited

is_exporting = torch.compiler.is_exporting
FLOWING = "x"
DICE = ("die", "coin")
NUMBERS = (bool, int, float)
COUNTS = ("times", "index")
"""What is a whole number; all else that decides is a truth."""
Decides = str | Formula | Callable[..., Any] | bool | int
Code = tuple[str, str]
"""What an input is: a `number`, `one` value for the batch, `shared` or `each` sample's; and the class of its dtype."""
Made = tuple[FunctionType, bool]
"""The function, and whether its value is per sample."""


class Wants(Parts):
    """A module of a flow, as the one around it sees it: it says which side inputs it wants."""

    wants: frozenset[str]
    shared: frozenset[str]


class Condition:
    """A formula of the value that flows and of side inputs, decided for each sample or for the batch.

    Args:
        source: a formula, a callable that takes the batch and side inputs by name, or a constant.
        node: the module that holds its parts; numbers, tensors and modules are read from there, and so is which side
            inputs are not per sample.
        recipe: of the formula over those parts; None where it is no formula.
        per: `sample` or `batch`.
        what: what it is called in errors: `condition` or `times`.
    """

    def __init__(self, source: Any, node: Wants, recipe: Recipe | None, per: str, what: str) -> None:
        self.source: Formula | Callable[..., Any] | bool | int = source
        self.node, self.recipe, self.per, self.what = node, recipe, per, what
        self.title, self.shown = title(what), str(self)
        self.each = "token" if getattr(node, "per", per) == "token" else "sample"
        self.dice, self.bare_die = False, False
        self.die_sides: int | None = None
        self.made: dict[tuple[Code, ...], Made] = {}
        self.traced: dict[tuple[Code, ...], Made] = {}
        self.plain: FunctionType | None = None  # of those, the one from plain numbers to a plain number
        self.places: dict[str, Place] = {}
        if recipe is None:
            self.inputs = () if isinstance(source, NUMBERS) else parameters(source)[1:]
        else:
            self._read(recipe)
        self.sides = tuple(name for name in self.inputs if name != FLOWING)

    def _read(self, recipe: Recipe) -> None:
        """What the formula says before any value is seen."""
        calls = [node for node in walk(recipe.formula.program) if isinstance(node, Call) and node.function in DICE]
        bounds = {node.id for call in calls for node in walk(call) if isinstance(node, Name)} - recipe.kinds.keys()
        analysis = recipe.analysis(dict.fromkeys(bounds, NUMBER), dice=True)
        values = analysis.graph.values()
        self.inputs, self.text = analysis.inputs, analysis.graph.text
        self.calls = frozenset(value.span for value in values if value.op == "call")
        self.dice = any(value.op == "random" for value in values)
        self.bare_die = analysis.outputs[0].op == "random" and analysis.outputs[0].facts[0] == "die"
        if self.bare_die and analysis.outputs[0].args[1].op == "constant":
            self.die_sides = int(analysis.outputs[0].args[1].facts[0])  # type: ignore[call-overload]
        self.places = {str(value.facts[0]): Place(self.text, *value.span) for value in values if value.op == "input"}
        if len(analysis.outputs) > 1:
            got, fix = f"{len(analysis.outputs)} values", "join them: by and, by or, by +"
            raise FormulaError(f"{self.title} is several values, where one decides.", self.place, got, fix)

    def __str__(self) -> str:
        """As it was typed."""
        if isinstance(self.source, Formula):
            return self.source.text
        if isinstance(self.source, NUMBERS):
            return str(self.source)
        return getattr(self.source, "__name__", type(self.source).__name__)

    def __repr__(self) -> str:
        return repr(str(self)) if isinstance(self.source, Formula) else str(self)

    @property
    def place(self) -> Place | str:
        """The whole of it, for errors."""
        return Place(self.text, 0, len(str(self))) if isinstance(self.source, Formula) else str(self)

    @property
    def reads_flowing(self) -> bool:
        """Whether it may look at the value that flows."""
        return FLOWING in self.inputs if self.recipe else not isinstance(self.source, NUMBERS)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "made": {}, "traced": {}, "plain": None}

    def __call__(self, x: Any, sides: Mapping[str, Any], size: int) -> Any:
        """A plain number where the whole batch is decided at once, else a tensor with one element for each sample.

        In a capture, a tensor without axes decides for the batch.
        """
        if isinstance(self.source, NUMBERS):
            return self.source
        with torch.no_grad():
            sample = self.per == "sample"
            if capturing() and not sample:
                x = inhabited(x, size)
                sides = {n: v if n in self.node.shared else inhabited(v, size) for n, v in sides.items()}
            if self.recipe is None:
                value = self.source(x, **{name: sides[name] for name in self.sides if name in sides})  # type: ignore[operator]
            else:
                given = [x if name == FLOWING else self._side(sides, name) for name in self.inputs]
                codes = tuple([self._code(name, value) for name, value in zip(self.inputs, given, strict=True)])
                if capturing():
                    self._prepare(codes)
                    if any(isinstance(value, Tensor) for value in given):  # numbers as the parts' mirrors hold them
                        given = [torch.full((), v, dtype=torch.float64) if isinstance(v, NUMBERS) else v for v in given]
                    made, sample = self.traced[codes]
                    value = made(self.node, *given)
                else:
                    made, sample = self._function(codes)
                    value = self._run(made, given)
            return self._captured(value, sample) if capturing() else self._settled(value, sample, size)

    def of_numbers(self, sides: Mapping[str, Any]) -> Any:
        """The same where all that it reads are plain numbers; None where they are not."""
        plain, inputs = self.plain, self.inputs
        if plain is None or len(sides) != len(inputs) or is_exporting():
            return None
        if len(inputs) == 1:  # a list takes as long as all the rest
            value = sides.get(inputs[0])
            if not isinstance(value, NUMBERS):
                return None
            try:
                return plain(self.node, value)
            except Exception as error:
                raise self._told(error, plain) from None
        given = [sides.get(name) for name in inputs]
        return self._run(plain, given) if all(isinstance(value, NUMBERS) for value in given) else None

    # one formula, made for each kind of inputs

    def _side(self, sides: Mapping[str, Any], name: str) -> Any:
        if name not in sides:
            self._refuse_missing(name, tuple(sides))
        return sides[name]

    def _code(self, name: str, value: Any) -> Code:
        """What a value is."""
        if isinstance(value, NUMBERS):
            if is_exporting():
                what = f"an exported graph would keep the number `{name}` as it is now."
                refuse(what, self.shown, f"{name}={value}", f"give a tensor: {name}=torch.tensor({value})")
            return "number", "number"
        shared = name in self.node.shared
        if not isinstance(value, Tensor):
            return "shared" if shared else "each", "any"
        return "one" if value.dim() == 0 else "shared" if shared else "each", dtype_class(value)

    def _kind(self, code: Code) -> Kind:
        where, dtype = code
        if where == "number":
            return NUMBER
        if dtype == "any":
            return Kind(dtype="any", tensor=False, sample=self.per == "sample" and where == "each")
        if where == "one":
            return Kind(axes=(), dtype=dtype)
        return Kind(dtype=dtype, data=False) if where == "shared" else Kind(dtype=dtype, sample=self.per == "sample")

    def _function(self, codes: tuple[Code, ...]) -> Made:
        if codes not in self.made:
            self.made[codes] = self._make(codes, traced=False)
        return self.made[codes]

    def _prepare(self, codes: tuple[Code, ...]) -> None:
        """Makes the function for a capture; Dynamo runs this as it is, and looks into what it left."""
        if codes not in self.traced:
            self.traced[codes] = self._make(codes, traced=True)

    _prepare._dynamo_marked_constant = True  # type: ignore[attr-defined]

    def _make(self, codes: tuple[Code, ...], traced: bool) -> Made:
        assert self.recipe is not None
        kinds = dict(zip(self.inputs, map(self._kind, codes), strict=True))
        analysis = self.recipe.analysis(kinds, dice=True)
        signature = Signature(self.inputs, assumed=False, traced=traced, callables=self.recipe.callables)
        kind, made = analysis.outputs[0].kind, function(analysis, FRONT, signature)
        if kind.number and not traced and not self.dice and all(where == "number" for where, _ in codes):
            self.plain = made
        return made, kind.sample or SAMPLE in (kind.axes or ())

    def _run(self, made: FunctionType, given: Sequence[Any]) -> Any:
        try:
            return made(self.node, *given)
        except Exception as error:
            raise self._told(error, made) from None

    def _told(self, error: Exception, made: FunctionType) -> Exception:
        """The error in the words of the formula; the same one where it comes from within a part."""
        return explained(error, made.__code__, self.text, self.calls)

    def _settled(self, value: Any, sample: bool, size: int) -> Any:
        """One element for each sample, (B,) and (B, 1) alike, or one for all."""
        if not isinstance(value, Tensor):
            return self._number(value)
        if value.is_floating_point() and bool(value.isnan().any()):
            got = f"NaN for {int(value.isnan().sum())} of {size} {self.each}s" if value.dim() else "NaN"
            raise self._not_a_number(got)
        if value.numel() == 1 and (not sample or value.dim() == 0):
            return value.item()
        if sample and value.shape[:1] == (size,) and value.numel() == size:
            return value if value.dim() == 1 else value.reshape(size)
        raise self._several(f"shape {tuple(value.shape)} for {size} {self.each}s")

    def _captured(self, value: Any, sample: bool) -> Any:
        """The same as `_settled` within a capture: what is wrong with values alone is found when the graph runs."""
        if not isinstance(value, Tensor):
            return value
        if value.is_floating_point():
            torch._assert_async(~value.isnan().any(), f"{self.title} is not a number: {self.shown}")  # pyright: ignore
        while value.dim() > int(sample) and value.shape[-1] == 1:
            value = value.squeeze(-1)
        if value.dim() > int(sample):
            self._refuse_axes(value.dim())
        return value

    def _not_a_number(self, got: str) -> FlowError:
        fix = f"look into what it {'reads' if self.recipe else 'returns'}"
        fix += f", or compare it: {self} > 0" if self.recipe and self.what not in COUNTS else ""
        return FlowError(f"{self.title} is not a number.", self.place, got, fix)

    def _number(self, value: Any) -> Any:
        if isinstance(value, NUMBERS):
            if value != value and self.what not in COUNTS:  # NaN, which Python takes for true
                raise self._not_a_number("NaN")
            return value
        if getattr(value, "shape", None) == () and hasattr(value, "item"):
            return value.item()
        got, fix = type(value).__name__, "return a tensor with one element for each sample, or a number"
        raise FlowError(f"{self.title} is neither a tensor nor a number.", self.place, got, fix)

    def _several(self, got: str) -> FlowError:
        """There is more than one element for what is decided."""
        batch, whole = self.per == "batch", self.what in COUNTS
        fix = f"reduce it: max({self})" if whole else f"write any({self}) or all({self})"
        if not self.recipe:
            some = f"a tensor of one axis, with one element for each {self.each}"
            fix = f"return {'one element for the batch' if batch else some}"
        if not batch:
            return FlowError(f"{self.title} has not one element for each {self.each}.", self.place, got, fix)
        what = f"{self.title} has more than one element for the batch."
        return FlowError(what, self.place, got, f"{fix}; or per='sample'")

    def _refuse_axes(self, axes: int) -> None:
        """Within a capture; Dynamo runs this as it is, and the message comes through."""
        raise self._several(f"{axes} {'axis' if axes == 1 else 'axes'}")

    def _refuse_missing(self, name: str, given: tuple[str, ...]) -> NoReturn:
        what = f"{self.title} reads `{name}`, which is not given."
        raise InputError(what, self.places[name], f"side inputs: {listed(given)}", f"give {name}=...")

    _refuse_axes._dynamo_marked_constant = _refuse_missing._dynamo_marked_constant = True  # type: ignore[attr-defined]


def title(what: str) -> str:
    """What errors call it."""
    return "the condition" if what == "condition" else f"`{what}`"


def as_source(source: Any, what: str) -> Any:
    """What may decide: a formula, a callable or a number.

    Raises:
        PartError: it is none of these.
    """
    if isinstance(source, str):
        return Formula(source)
    if isinstance(source, Schedule):
        name = "bound" if what == "condition" else "depth"
        text = "norm(x) > bound" if what == "condition" else "depth"
        fix = f"give it a name: {text!r}, {name}={source!r}"
        raise PartError("a schedule is a number that a formula reads.", f"{what}={source!r}", "Schedule", fix)
    if isinstance(source, Formula | bool | int | float) or (callable(source) and not isinstance(source, type)):
        return source
    fix = "give a formula, a callable or a number"
    if isinstance(source, Tensor):
        fix = f"let a formula read it as a side input: {what}='given', then net(x, given=...)"
    raise PartError(f"{title(what)} is nothing that decides.", f"{what}=...", type(source).__name__, fix)


def parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a callable's arguments; those of a module's forward."""
    target = function.forward if isinstance(function, nn.Module) else function
    try:
        found = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return (FLOWING,)
    return tuple(one.name for one in found if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD))


def check_same_sides(new: Condition, wants: frozenset[str]) -> None:
    """A condition assigned later reads what the node was given when it was built, never more."""
    for name in new.sides:
        if name not in wants:
            known = listed(sorted(wants | {FLOWING}))
            fix = did_you_mean(name, wants, f"read {known} alone: side inputs are settled when the node is built")
            got = f"side inputs: {listed(sorted(wants))}"
            where = new.places.get(name, str(new))
            raise InputError(f"{new.title} reads `{name}`, which is no side input.", where, got, fix)
