"""Conditions and times on Keras tensors, in eager, in captured graphs and on symbols."""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import Any

from ...formula.codegen import Signature, function
from ...formula.deciding import COUNTS, FLOWING, NUMBERS, Code, Decider
from ...formula.graph import SAMPLE
from ...formula.recipe import Recipe
from ..failures import explained
from ..front import FRONT
from ..holding import Holder
from ..kernels import FLOATS, Array, Tensor, ops, reshape, sizes, truth
from ..making import as_value, dtype_class

Made = tuple[FunctionType, bool]
"""The function, and whether its value is per sample."""


class Condition(Decider):
    """What decides.

    Args:
        source: see `Decider`; so are the recipe, `per` and `what`.
        held: where its parts are found.
        shared: the names of side inputs that are not per sample.
    """

    def __init__(
        self, source: Any, held: Holder, shared: frozenset[str], recipe: Recipe | None, per: str, what: str
    ) -> None:
        super().__init__(source, recipe, per, what, "sample")
        self.held, self.shared = held, shared
        self.made: dict[tuple[Code, ...], Made] = {}

    def __call__(self, x: Any, sides: Mapping[str, Any], size: int | None) -> Any:
        """A plain number where the whole batch is decided and it is known how; else a tensor: without axes for the
        whole batch, or with one element for each sample."""
        if isinstance(self.source, NUMBERS):
            return self.source
        sample = self.per == "sample"
        if self.recipe is None:
            given = {name: sides[name] for name in self.sides if name in sides}
            value = self.source(x, **given)  # type: ignore[operator]
        else:
            values = [x if name == FLOWING else self._side(sides, name) for name in self.inputs]
            codes = tuple(self._code(name, value) for name, value in zip(self.inputs, values, strict=True))
            made, sample = self.made.get(codes) or self._make(codes)
            value = self._run(made, values)
        return self._settled(value, sample, size)

    def _side(self, sides: Mapping[str, Any], name: str) -> Any:
        if name not in sides:
            raise self.missing(name, tuple(sides))
        return as_value(sides[name])

    def _code(self, name: str, value: Any) -> Code:
        """What a value is."""
        if isinstance(value, NUMBERS):
            return "number", "number"
        shared = name in self.shared
        if not isinstance(value, Tensor):
            return "shared" if shared else "each", "any"
        return "one" if len(value.shape) == 0 else "shared" if shared else "each", dtype_class(value.dtype)

    def _make(self, codes: tuple[Code, ...]) -> Made:
        assert self.recipe is not None
        kinds = dict(zip(self.inputs, map(self.kind, codes), strict=True))
        analysis = self.recipe.analysis(kinds, dice=True)
        signature = Signature(self.inputs, assumed=False, traced=True, callables=self.recipe.callables)
        kind = analysis.outputs[0].kind
        found = self.made[codes] = function(analysis, FRONT, signature), kind.sample or SAMPLE in (kind.axes or ())
        return found

    def _run(self, made: FunctionType, values: list[Any]) -> Any:
        try:
            return made(self.held.reading, *values)
        except Exception as error:
            raise explained(error, made.__code__, self.text, self.calls) from None

    def _settled(self, value: Any, sample: bool, size: int | None) -> Any:
        """One element for each sample, (B,) and (B, 1) alike, or one for all."""
        if isinstance(value, NUMBERS):
            if value != value and self.what not in COUNTS:  # NaN, which Python takes for true
                raise self.not_a_number("NaN")
            return value
        if not isinstance(value, Tensor):
            raise self.undecided(value)
        whole: tuple[Any, ...] = tuple(value.shape)
        if value.dtype in FLOATS:
            self._refuse_nan(value, size)
        if not sample or (self.recipe is None and len(whole) == 0):
            sample = False
        while len(value.shape) > int(sample) and value.shape[-1] in (1, None):  # a run tells of a size not yet known
            value = reshape(value, sizes(value)[:-1])
        if len(value.shape) != int(sample) or (sample and None not in (size, *whole[:1]) and whole[:1] != (size,)):
            raise self.several(f"shape {whole} for {'some' if size is None else size} {self.each}s")
        return ops.stop_gradient(value) if sample else self._known(value)

    def _refuse_nan(self, value: Array, size: int | None) -> None:
        """In eager; in a captured graph nobody waits for the entries, and NaN decides as false."""
        wrong = ops.isnan(value)
        if truth(ops.any(wrong)):
            count = int(ops.sum(ops.cast(wrong, "int32")))
            raise self.not_a_number(f"NaN for {count} of {size} {self.each}s" if len(value.shape) else "NaN")

    def _known(self, value: Array) -> Any:
        """What a tensor without axes holds, where that is known already."""
        if truth(ops.equal(value, value)) is None:
            return value
        number = float(value)
        return int(number) if number.is_integer() else number
