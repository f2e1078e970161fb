"""`Decider`: what decides in a flow, for each sample or for the batch: what it reads, and what errors call it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..errors import FlowError, FormulaError, InputError, PartError, Place, did_you_mean, listed
from .formula import Formula
from .graph import NUMBER, Kind
from .recipe import Recipe
from .schedule import Schedule
from .tree import Call, Name, walk

FLOWING = "x"
DICE = ("die", "coin")
NUMBERS = (bool, int, float)
COUNTS = ("times", "index")
"""What is a whole number; all else that decides is a truth."""
Decides = str | Formula | Callable[..., Any] | bool | int
Code = tuple[str, str]
"""What an input is: a `number`, `one` value for the batch, `shared` or `each` sample's; and the class of its dtype."""


class Decider:
    """A formula of the value that flows and of side inputs, decided for each sample or for the batch.

    Args:
        source: a formula, a callable that takes the batch and side inputs by name, or a constant.
        recipe: of the formula over the parts of the node; None where it is no formula.
        per: `sample` or `batch`.
        what: what it is called in errors: `condition` or `times`.
        each: what each element stands for: a `sample`, or a `token`.
    """

    def __init__(self, source: Any, recipe: Recipe | None, per: str, what: str, each: str) -> None:
        self.source: Formula | Callable[..., Any] | bool | int = source
        self.recipe, self.per, self.what, self.each = recipe, per, what, each
        self.title, self.shown = title(what), str(self)
        self.dice, self.bare_die = False, False
        self.die_sides: int | None = None
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

    def kind(self, code: Code) -> Kind:
        where, dtype = code
        if where == "number":
            return NUMBER
        if dtype == "any":
            return Kind(dtype="any", tensor=False, sample=self.per == "sample" and where == "each")
        if where == "one":
            return Kind(axes=(), dtype=dtype)
        return Kind(dtype=dtype, data=False) if where == "shared" else Kind(dtype=dtype, sample=self.per == "sample")

    def not_a_number(self, got: str) -> FlowError:
        fix = f"look into what it {'reads' if self.recipe else 'returns'}"
        fix += f", or compare it: {self} > 0" if self.recipe and self.what not in COUNTS else ""
        return FlowError(f"{self.title} is not a number.", self.place, got, fix)

    def several(self, got: str) -> FlowError:
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

    def undecided(self, value: object) -> FlowError:
        """What a callable returned is neither a tensor nor a number."""
        got, fix = type(value).__name__, "return a tensor with one element for each sample, or a number"
        return FlowError(f"{self.title} is neither a tensor nor a number.", self.place, got, fix)

    def missing(self, name: str, given: tuple[str, ...]) -> InputError:
        """A side input that is not given."""
        what = f"{self.title} reads `{name}`, which is not given."
        return InputError(what, self.places[name], f"side inputs: {listed(given)}", f"give {name}=...")


def title(what: str) -> str:
    """What errors call it."""
    return "the condition" if what == "condition" else f"`{what}`"


def as_source(source: Any, what: str, tensor: type) -> Any:
    """What may decide: a formula, a callable or a number; `tensor` is the type of a front's tensors.

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
    if isinstance(source, tensor):
        fix = f"let a formula read it as a side input: {what}='given', then net(x, given=...)"
    raise PartError(f"{title(what)} is nothing that decides.", f"{what}=...", type(source).__name__, fix)


def parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a callable's arguments; those of a module's forward, or of a layer's call."""
    target = getattr(function, "forward", None) or getattr(function, "call", None) or function
    try:
        found = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return (FLOWING,)
    return tuple(one.name for one in found if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD))


def check_same_sides(new: Decider, wants: frozenset[str]) -> None:
    """A condition assigned later reads what the node was given when it was built, never more."""
    for name in new.sides:
        if name not in wants:
            known = listed(sorted(wants | {FLOWING}))
            fix = did_you_mean(name, wants, f"read {known} alone: side inputs are settled when the node is built")
            got = f"side inputs: {listed(sorted(wants))}"
            where = new.places.get(name, str(new))
            raise InputError(f"{new.title} reads `{name}`, which is no side input.", where, got, fix)
