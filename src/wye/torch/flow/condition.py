"""Conditions and times: what decides, for each sample or for the batch, and what it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import FunctionType
from typing import Any, NoReturn

import torch
from torch import Tensor

from ...formula.codegen import Signature, function
from ...formula.deciding import COUNTS, FLOWING, NUMBERS, Code, Decider
from ...formula.graph import SAMPLE
from ...formula.recipe import Recipe
from ..failures import explained
from ..front import FRONT, capturing
from ..making import dtype_class
from ..parts import Parts
from .refusal import refuse
from .values import inhabited

is_exporting = torch.compiler.is_exporting
Made = tuple[FunctionType, bool]
"""The function, and whether its value is per sample."""


class Wants(Parts):
    """A module of a flow, as the one around it sees it: it says which side inputs it wants."""

    wants: frozenset[str]
    shared: frozenset[str]


class Condition(Decider):
    """What decides, on torch tensors, in eager and within a capture.

    Args:
        source: see `Decider`; so are the recipe, `per` and `what`.
        node: the module that holds its parts; numbers, tensors and modules are read from there, and so is which side
            inputs are not per sample.
    """

    def __init__(self, source: Any, node: Wants, recipe: Recipe | None, per: str, what: str) -> None:
        super().__init__(source, recipe, per, what, "token" if getattr(node, "per", per) == "token" else "sample")
        self.node = node
        self.made: dict[tuple[Code, ...], Made] = {}
        self.traced: dict[tuple[Code, ...], Made] = {}
        self.plain: FunctionType | None = None  # of those, the one from plain numbers to a plain number

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
        return "one" if value.dim() == 0 else "shared" if shared else "each", dtype_class(value.dtype)

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
        kinds = dict(zip(self.inputs, map(self.kind, codes), strict=True))
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
            raise self.not_a_number(got)
        if value.numel() == 1 and (not sample or value.dim() == 0):
            return value.item()
        if sample and value.shape[:1] == (size,) and value.numel() == size:
            return value if value.dim() == 1 else value.reshape(size)
        raise self.several(f"shape {tuple(value.shape)} for {size} {self.each}s")

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

    def _number(self, value: Any) -> Any:
        if isinstance(value, NUMBERS):
            if value != value and self.what not in COUNTS:  # NaN, which Python takes for true
                raise self.not_a_number("NaN")
            return value
        if getattr(value, "shape", None) == () and hasattr(value, "item"):
            return value.item()
        raise self.undecided(value)

    def _refuse_axes(self, axes: int) -> None:
        """Within a capture; Dynamo runs this as it is, and the message comes through."""
        raise self.several(f"{axes} {'axis' if axes == 1 else 'axes'}")

    def _refuse_missing(self, name: str, given: tuple[str, ...]) -> NoReturn:
        raise self.missing(name, given)

    _refuse_axes._dynamo_marked_constant = _refuse_missing._dynamo_marked_constant = True  # type: ignore[attr-defined]
