"""`Node`: what all modules of a flow have in common: side inputs, stages, conditions and counts."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from ...errors import FlowError
from ...formula.deciding import as_source, check_same_sides
from ...formula.formula import Formula
from ...formula.naming import check_names
from ...formula.parting import check_settings, unlike
from ...formula.recipe import Recipe
from ..front import capturing
from ..keras_layer import adopted
from .chance import Dice, version
from .condition import Condition, Wants
from .counts import Count
from .refusal import refuse
from .sides import check_sides
from .stage import as_module, share, stage
from .values import Value, alike, floating, holds, leaves, mapped, rows_alike, shapes, take

PER = ("sample", "batch", "token")
OWN = frozenset({"dice", "max_steps", "on_limit", "paths", "per", "shared", "wants", "line", "runs"})
"""Names that every node of a flow needs for itself."""

NODES: weakref.WeakSet[Node] = weakref.WeakSet()
"""All nodes there are, for what happens at an optimizer's step."""


def versions(x: Value) -> object:
    """How often the tensors of a value were written into."""
    return version(x) if isinstance(x, Tensor) else [version(tensor) for tensor in leaves(x)]


class Node(Wants):
    """A module of a flow. One value flows; side inputs go by name to the stages and conditions that read them."""

    paths: dict[str, Count]
    _condition: Condition
    _eval: float | None = None
    _usual = "sample"  # what `per` is where nobody says

    # what it is made of

    def _settle(self, stages: Mapping[str, Any], per: str, shared: Iterable[str], parts: Mapping[str, Any]) -> None:
        """Holds stages and parts, and says which side inputs they want."""
        kind = type(self).__name__
        check_settings(kind, per, PER, shared, parts)
        check_names(parts, OWN | stages.keys())
        self._hold(parts)
        self._refuse_updates("a condition only reads", "update it in an Objective, or in a Join that is a stage")
        self.per, self.shared = per, frozenset(shared)
        self.paths = {name: Count() for name in stages}
        for name, module in stages.items():
            self._modules[name] = as_module(module, f"{kind}({name}=...)" if name.isidentifier() else f"{kind}(...)")
        self._stages = {name: stage(cast(nn.Module, self._modules[name])) for name in stages}
        self.wants = frozenset(name for one in self._stages.values() for name in one.sides.values())
        share(self, self.shared)
        self.runs = [self._run_of(name) for name in stages]
        NODES.add(self)

    def _decide_by(self, source: Any, what: str, later: bool = False) -> None:
        """Takes a condition or times; one that comes later reads no more than the first."""
        source = as_source(adopted(source, what, f"{type(self).__name__}({what}=...)"), what, Tensor)
        recipe = self._recipe(source) if isinstance(source, Formula) else None
        condition = Condition(source, self, recipe, "batch" if self.per == "batch" else "sample", what)
        self._check_decider(condition)
        if later:
            check_same_sides(condition, self.wants)
        self._modules.pop(what, None)
        if isinstance(source, nn.Module):
            self._modules[what] = source
        if condition.dice:
            self._throw()
        self.wants |= frozenset(condition.sides)
        self._condition = condition

    def _check_decider(self, condition: Condition) -> None:
        """Refuses what this node cannot go by."""

    def _recipe(self, formula: Formula) -> Recipe:
        kinds = self._value_kinds()
        return Recipe(formula, dict(self._formulas), *self._names(), kinds, tables=self._read_by()[0])

    def _replace_formula(self, name: str, formula: Formula) -> None:
        before = self._formulas[name]
        self._formulas[name] = formula
        try:
            self._decide_by(self._condition.source, self._condition.what, later=True)
        except Exception:
            self._formulas[name] = before
            raise

    # what it goes by

    def _asked(self, x: Value, sides: Mapping[str, Any], size: int) -> Any:
        """What the condition says; in eval `eval=` speaks for one that throws dice."""
        if self._condition.dice and not self.training and self._eval is not None:
            return self._eval
        if self._condition.dice and self.training and not capturing():
            cast(Dice, self._modules["dice"]).wait()  # here, for the condition itself is asked without gradients
        return self._condition(x, sides, size)

    def _throw(self) -> None:
        """Gives it dice."""
        if "dice" not in self._modules:
            self._modules["dice"] = Dice(self).to(self.runs[0].device)

    def _bits(self) -> Any:
        """32 random bits: a number, or a tensor without axes in a capture."""
        dice = cast(Dice, self._modules["dice"])
        return dice.captured_bits(0) if capturing() else dice.bits(0)

    def _fall(self, kind: str, place: int, *bounds: float) -> Any:
        """One fall of a die or a coin; in eval nothing is drawn."""
        if not self.training:
            return self._settled_fall(kind, bounds)
        dice = cast(Dice, self._modules["dice"])
        return dice.captured_fall(kind, place, bounds) if capturing() else dice.fall(kind, place, bounds)

    def _settled_fall(self, kind: str, bounds: tuple[float, ...]) -> float:
        """What a die shows in eval; without a rule of its own it must be said."""
        refuse("nothing is drawn in eval.", self.line, f"a {kind}", "say what holds instead: eval=...")
        return bounds[0]

    # what watchers ask

    def stage_names(self) -> list[str]:
        """The names of its stages."""
        return list(self._stages)

    def decided_by(self) -> str:
        """What decides, as it was typed; nothing decides in a Chain."""
        return str(self._condition) if "_condition" in self.__dict__ else ""

    def decider_names(self) -> list[str]:
        """The names of what only decides: the parts, and a condition that is a module."""
        return [*self._kinds, self._condition.what] if "_condition" in self.__dict__ else []

    def ways_apart(self) -> list[str]:
        """The paths that each sample takes exactly one of."""
        return list(self.paths)

    # calls

    def _checked(self, sides: Mapping[str, Any], size: int) -> None:
        """Side inputs are known, and per sample where they have axes."""
        if sides:
            check_sides(sides, size, self.wants, self.shared, type(self).__name__)

    def _per_sample(self, sides: Mapping[str, Any]) -> frozenset[str]:
        """The side inputs that travel with their samples."""
        return frozenset(n for n, v in sides.items() if n not in self.shared and any(t.dim() for t in leaves(v)))

    def _run_of(self, stage: str) -> Count:
        """How often a stage ran."""
        return self.paths[stage]

    def _counts(self) -> list[Count]:
        """All that it counts."""
        return list(self.paths.values())

    def catch_up(self) -> None:
        """Before a step: captured graphs may have counted since the last one."""
        for count in self._counts():
            count.catch_up()

    def since(self, tick: int | None) -> tuple[list[nn.Module], list[nn.Module]]:
        """The stages that took no sample since then, though the node was called, and those that did."""
        newest = max([max(count.last, count.visited) for count in self._counts()])
        if tick is None:  # the optimizer never stepped: its interval began before the node's last call
            tick = newest
        if newest < max(tick, 0):
            return [], []
        parted: tuple[list[nn.Module], list[nn.Module]] = [], []
        for name, count in zip(self._stages, self.runs, strict=True):
            if (module := self._modules.get(name)) is not None:  # a stage may have been taken out
                parted[count.last >= tick].append(module)
        return parted

    def _with(self, stage: str, sides: Mapping[str, Any], index: Tensor) -> dict[str, Any]:
        """The side inputs that a stage wants, of the samples at `index`."""
        wanted = {name: sides[name] for name in self._stages[stage].sides.values() if name in sides}
        moving = self._per_sample(wanted)
        return {name: take(value, index) if name in moving else value for name, value in wanted.items()}

    def _stage(self, name: str, x: Value, sides: Mapping[str, Any]) -> Value:
        """One stage on the value that flows."""
        module, known = self._modules[name], self._stages[name]
        if known.module is not module:
            known = self._stages[name] = stage(cast(nn.Module, module))
        return known(x, sides)

    def _branch(self, name: str, x: Value, sides: Mapping[str, Any], size: int, keeps: bool = True) -> Value:
        """A stage on some of the samples, which writes not into them; beside a pass-through it `keeps` the shape."""
        if capturing():
            return self._captured_branch(name, x, sides, keeps)
        before = versions(x)
        new = self._lone(name, x, sides)
        if before != versions(x):
            fix = "use the one that returns a new tensor, such as ReLU() for ReLU(inplace=True)"
            raise FlowError(f"the branch `{name}` writes into its input.", self.line, "an in-place operation", fix)
        if x.__class__ is new.__class__ is Tensor and x.shape == new.shape and x.dtype is new.dtype:
            return new  # most are so, and the rest takes as long as a small layer
        if not (alike(x, new) if keeps else rows_alike(new, size)):
            raise unlike(name, self.line, f"{shapes(x)} -> {shapes(new)}", rows_alike(new, size))
        return self._as_flowing(name, x, new, keeps)

    def _on_nothing(self, name: str, x: Value, sides: Mapping[str, Any]) -> Value:
        """A stage on an empty batch: it says which shape comes out, and learns nothing from it."""
        with torch.no_grad():
            new = self._branch(name, x, sides, 0, keeps=False)
        # The way back to x stays open, as it would be with samples.
        given = [tensor.sum() for tensor in leaves(x) if tensor.requires_grad]
        return mapped(lambda rows: sum(given, rows) if rows.is_floating_point() else rows, new) if given else new

    def _captured_branch(self, name: str, x: Value, sides: Mapping[str, Any], keeps: bool) -> Value:
        """The same within a capture, where the number of samples is not known."""
        self._refuse_lone(name)
        if self._writes(name):  # a graph may hand a branch the value itself, which eager would refuse
            x = mapped(torch.clone, x)
        new = self._stage(name, x, sides)
        if keeps and not alike(x, new, 1):
            refuse(
                f"the branch `{name}` changes the shape beside samples that pass unchanged.",
                self.line,
                f"{shapes(x, 1)} -> {shapes(new, 1)} for each sample",
                "keep the shape, or widen all samples in a stage before",
            )
        return self._as_flowing(name, x, new, keeps)

    def _writes(self, name: str) -> bool:
        """Whether a layer says that it writes into its input; Dynamo runs this as it is."""
        return any(getattr(module, "inplace", False) for module in cast(nn.Module, self._modules[name]).modules())

    _writes._dynamo_marked_constant = True  # type: ignore[attr-defined]

    def _refuse_lone(self, name: str) -> None:
        """A captured graph cannot tell a batch norm how many samples it was sent; Dynamo runs this as it is."""
        branch = cast(nn.Module, self._modules[name])
        if any(isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training for module in branch.modules()):  # pyright: ignore
            raise FlowError(
                f"the branch `{name}` holds a batch norm, which must know how many samples it is sent.",
                self.line,
                "training within torch.compile or torch.export",
                "use LayerNorm or GroupNorm in branches, or leave this node out of the capture",
            )

    _refuse_lone._dynamo_marked_constant = True  # type: ignore[attr-defined]

    def _as_flowing(self, name: str, x: Value, new: Value, keeps: bool) -> Value:
        """What a branch returned, in the dtype of the value that flows."""
        if keeps:
            return mapped(lambda old, rows: self._cast(name, rows, old.dtype), x, new)
        dtype = floating(x)
        return mapped(lambda rows: rows.to(dtype) if dtype and rows.is_floating_point() else rows, new)

    def _cast(self, name: str, rows: Tensor, dtype: torch.dtype) -> Tensor:
        if rows.dtype is dtype:
            return rows
        if holds(dtype, rows.dtype):
            return rows.to(dtype)
        got = f"{str(rows.dtype)[6:]} beside {str(dtype)[6:]}"
        what, fix = "returns what the value that flows cannot hold.", "let floats flow, or return whole numbers"
        refuse(f"the branch `{name}` {what}", self.line, got, fix)

    def _lone(self, name: str, x: Value, sides: Mapping[str, Any]) -> Value:
        """A stage; a batch norm that is sent one sample alone is told so."""
        try:
            return self._stage(name, x, sides)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise FlowError(
                f"the branch `{name}` was sent one sample, and its batch norm needs two.",
                self.line,
                shapes(x),
                "use LayerNorm or GroupNorm in branches, or per='batch'",
            ) from None

    # what torch asks of a module

    def __setattr__(self, name: str, value: Any) -> None:
        # A condition that is a module is held under that name; torch would take only modules for it from then on.
        if isinstance(getattr(type(self), name, None), property):
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        NODES.add(self)
        if "_condition" in self.__dict__:
            self._condition.node = self  # the state may be that of another node
        dice = self._modules.get("dice")
        if isinstance(dice, Dice):
            dice.belongs_to(self)

    @property
    def line(self) -> str:
        """It in one line, for errors and tables."""
        return f"{type(self).__name__}({self.extra_repr()})"

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        super()._apply(fn, recurse)
        for count in self._counts():
            count.move(fn)
        return self

    def _typed(self, *words: str) -> str:
        """What was typed: what decides, the options that are not the default, and the parts that have a text."""
        options = [f"per={self.per!r}"] if self.per != self._usual else []
        options += [f"eval={self._eval!r}"] if self._eval is not None else []
        options += [f"shared={tuple(sorted(self.shared))!r}"] if self.shared else []
        return ", ".join([*words, *options, *self._settings()])
