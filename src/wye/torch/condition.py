"""Conditions and times: what decides, for each sample or for the batch, and what it reads."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import FlowError, FormulaError, PartError, Place, did_you_mean, listed
from ..formula.codegen import Signature, function
from ..formula.formula import Formula
from ..formula.graph import NUMBER, Kind, Value
from .failures import explained
from .front import FRONT
from .making import Recipe, dtype_class

FLOWING = "x"
NUMBERS = (bool, int, float)
Decides = str | Formula | Callable[..., Any] | bool | int


class Condition:
    """A formula of the value that flows and of side inputs, decided for each sample or for the batch.

    Args:
        source: a formula, a callable that takes the batch and side inputs by name, or a constant.
        node: the module that holds its parts; numbers, tensors and modules are read from there.
        recipe: makes the recipe of a formula over those parts.
        per: `sample` or `batch`.
        shared: names of side inputs that are not per sample.
        what: what it is called in errors: `condition` or `times`.
    """

    def __init__(
        self,
        source: Decides,
        node: nn.Module,
        recipe: Callable[[Formula], Recipe],
        per: str,
        shared: frozenset[str],
        what: str,
    ) -> None:
        self.node, self.per, self.shared, self.what = node, per, shared, what
        self.source: Formula | Callable[..., Any] | bool | int | float
        self.dice: list[Value]
        self.made: dict[tuple[Kind, ...], tuple[FunctionType, bool]] = {}
        if isinstance(source, str | Formula):
            self.source = Formula(source)
            self.recipe = recipe(self.source)
            analysis = self.recipe.analysis({}, dice=True)
            self.inputs = analysis.inputs
            self.text = analysis.graph.text
            self.calls = frozenset(v.span for v in analysis.graph.values() if v.op == "call")
            self.dice = [value for value in analysis.graph.values() if value.op == "random"]
        elif isinstance(source, bool | int | float) or callable(source):
            self.source = source
            self.dice = []
            self.inputs = () if isinstance(source, NUMBERS) else parameters(source)[1:]
        else:
            raise PartError(
                f"the {what} decides nothing.", what, type(source).__name__, "give a formula, a callable or a number"
            )
        self.sides = tuple(name for name in self.inputs if name != FLOWING)

    def __str__(self) -> str:
        return (
            str(self.source)
            if isinstance(self.source, Formula | bool | int)
            else getattr(self.source, "__name__", "callable")
        )

    def __call__(self, x: Any, sides: Mapping[str, Any], size: int) -> Any:
        """A plain number where the whole batch is decided at once, else a tensor with one element for each sample."""
        if isinstance(self.source, NUMBERS):
            return self.source
        with torch.no_grad():
            if not isinstance(self.source, Formula):
                value = self.source(x, **{name: sides[name] for name in self.sides if name in sides})
                return self._settled(value, isinstance(value, Tensor) and value.dim() > 0, size)
            given = [x if name == FLOWING else self._side(sides, name) for name in self.inputs]
            made, sample = self._function(given)
            return self._settled(self._run(made, given), sample, size)

    def of_numbers(self, sides: Mapping[str, Any]) -> Any:
        """The same where all that it reads are plain numbers; None where they are not."""
        given = tuple([sides.get(name) for name in self.inputs])
        for value in given:
            if value.__class__ not in NUMBERS:
                return None
        made = self.made.get((NUMBER,) * len(given))
        return None if made is None else made[0](self.node, *given)

    # one formula, made for each kind of inputs

    def _side(self, sides: Mapping[str, Any], name: str) -> Any:
        if name not in sides:
            raise FlowError(
                f"the {self.what} reads `{name}`, which is not given.",
                str(self),
                f"side inputs {listed(sides)}",
                f"give {name}=...",
            )
        return sides[name]

    def _kind(self, name: str, value: Any) -> Kind:
        """What a value is: a number, one for the batch, or one for each sample."""
        if isinstance(value, NUMBERS):
            return NUMBER
        if not isinstance(value, Tensor):
            return Kind(dtype="any", tensor=False, sample=self.per == "sample" and name not in self.shared)
        dtype = dtype_class(value)
        if value.dim() == 0:
            return Kind(axes=(), dtype=dtype)
        if name in self.shared:
            return Kind(dtype=dtype, data=False)
        return Kind(dtype=dtype, sample=self.per == "sample")

    def _function(self, given: Sequence[Any]) -> tuple[FunctionType, bool]:
        kinds = tuple([self._kind(name, value) for name, value in zip(self.inputs, given, strict=True)])
        if kinds not in self.made:
            analysis = self.recipe.analysis(dict(zip(self.inputs, kinds, strict=True)), dice=True)
            result = analysis.outputs[0].kind
            if len(analysis.outputs) > 1:
                raise FormulaError(
                    "a condition is one value.", str(self), f"{len(analysis.outputs)} values", "join them by and, or"
                )
            signature = Signature(self.inputs, assumed=False, callables=self.recipe.callables)
            sample = result.sample or "*" in (result.axes or ())
            self.made[kinds] = function(analysis, FRONT, signature), sample
        return self.made[kinds]

    def _run(self, made: FunctionType, given: Sequence[Any]) -> Any:
        try:
            return made(self.node, *given)
        except Exception as error:
            told = explained(error, made.__code__, self.text, self.calls)
            if told is error:
                raise
            raise told from None

    def _settled(self, value: Any, sample: bool, size: int) -> Any:
        """One element for each sample, (B,) and (B, 1) alike, or one for all."""
        if not isinstance(value, Tensor):
            return value
        if value.numel() == 1 and not sample:
            return value.item()
        if sample and value.shape[:1] == (size,) and value.numel() == size:
            return value.reshape(size)
        text = str(self)
        place = Place(self.text, 0, len(text)) if isinstance(self.source, Formula) else text
        what = (
            f"the {self.what} has one element for each sample."
            if self.per == "sample"
            else f"the {self.what} has one element."
        )
        raise FlowError(
            what, place, f"shape {tuple(value.shape)} for {size} samples", f"write any({text}) or all({text})"
        )


def parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a callable's arguments; those of a module's forward."""
    target = function.forward if isinstance(function, nn.Module) else function
    try:
        return tuple(inspect.signature(target).parameters)
    except (TypeError, ValueError):
        return (FLOWING,)


def check_same_sides(new: Condition, wants: frozenset[str]) -> None:
    """A condition assigned later reads what the node was given when it was built, never more."""
    for name in new.sides:
        if name not in wants:
            known = listed(sorted(wants | {FLOWING}))
            fix = did_you_mean(name, wants, f"read {known} alone: side inputs are settled when the node is built")
            got = f"side inputs {listed(sorted(wants))}"
            raise FlowError(f"the {new.what} reads `{name}`, which is no side input.", str(new), got, fix)
