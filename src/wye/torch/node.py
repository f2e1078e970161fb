"""`Node`: what all modules of a flow have in common: side inputs, stages, conditions and counts."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ..errors import FlowError, InputError, PartError, did_you_mean, listed
from ..formula.formula import Formula
from .chance import Dice
from .condition import FLOWING, Condition, Decides, check_same_sides
from .join import Join
from .making import Recipe
from .parts import Parts
from .values import Value, alike, leaves, mapped, shapes

PER = ("sample", "batch")


class Count:
    """How often a path ran, and on how many samples."""

    __slots__ = ("calls", "samples")

    def __init__(self) -> None:
        self.calls = 0
        self.samples = 0

    def add(self, samples: int) -> None:
        self.calls += 1
        self.samples += samples

    def __repr__(self) -> str:
        return f"Count(calls={self.calls}, samples={self.samples})"


@dataclass(frozen=True)
class Stage:
    """How a module is called: where the flowing value goes, and which side inputs it takes by name.

    Args:
        module: the module.
        flowing: the keyword of the flowing value; None: it comes first.
        sides: for each side input the keyword that takes it.
        required: side inputs that must be given.
    """

    module: nn.Module
    flowing: str | None
    sides: Mapping[str, str]
    required: frozenset[str] = frozenset()

    def __call__(self, x: Value, sides: Mapping[str, Any]) -> Value:
        if not self.sides:
            return self.module(x) if self.flowing is None else self.module(**{self.flowing: x})
        missing = [name for name in self.required if name not in sides]
        if missing:
            raise InputError(
                f"a stage takes the side input `{missing[0]}`, which is not given.",
                type(self.module).__name__,
                f"side inputs {listed(sides)}",
                f"give {missing[0]}=..., or rename it: Takes(module, {missing[0]}='...')",
            )
        taken = {keyword: sides[name] for name, keyword in self.sides.items() if name in sides}
        return self.module(x, **taken) if self.flowing is None else self.module(**{self.flowing: x}, **taken)


def stage(module: nn.Module) -> Stage:
    """How to call a module, from its own declaration or from the signature of its forward."""
    if isinstance(module, Node):
        return Stage(module, None, {name: name for name in sorted(module.wants)})
    if isinstance(module, Takes):
        inner = stage(module.module)
        renamed = {module.names.get(keyword, name): keyword for name, keyword in inner.sides.items()}
        renamed |= {name: keyword for keyword, name in module.names.items()}
        return Stage(module, None, renamed, frozenset(module.names.get(name, name) for name in inner.required))
    if isinstance(module, Join):
        flowing = FLOWING if FLOWING in module.inputs else module.inputs[0] if module.inputs else None
        sides = {name: name for name in module.inputs if name != flowing}
        return Stage(module, flowing, sides, frozenset(sides))
    return _plain_stage(module)


def _plain_stage(module: nn.Module) -> Stage:
    try:
        found = list(inspect.signature(module.forward).parameters.values())[1:]
    except (TypeError, ValueError):
        found = []
    named = [one for one in found if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    required = frozenset(one.name for one in named if one.default is one.empty)
    return Stage(module, None, {one.name: one.name for one in named}, required)


class Takes(nn.Module):
    """A module whose keywords are fed from side inputs of other names.

    Args:
        module: the module.
        **names: for each of its keywords the side input that it takes.

    Example:
        >>> import torch, wye
        >>> layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        >>> net = wye.Chain(wye.Takes(layer, src_key_padding_mask="padding"))
        >>> net(torch.zeros(2, 3, 8), padding=torch.zeros(2, 3, dtype=torch.bool)).shape
        torch.Size([2, 3, 8])
    """

    def __init__(self, module: nn.Module, /, **names: str) -> None:
        super().__init__()
        self.module = module
        self.names = names

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def extra_repr(self) -> str:
        return ", ".join(f"{keyword}={name!r}" for keyword, name in self.names.items())


def as_module(value: Any, where: str) -> nn.Module:
    """A module as it is; a formula as a Join of its inputs."""
    if isinstance(value, nn.Module):
        return value
    if isinstance(value, str | Formula):
        return Join(value)
    raise PartError("a stage is a module.", where, type(value).__name__, 'give a module, or a formula: "relu(x)"')


class Node(Parts):
    """A module of a flow. One value flows; side inputs go by name to the stages and conditions that read them."""

    wants: frozenset[str]
    paths: dict[str, Count]

    def _settle(self, stages: Mapping[str, Any], per: str, shared: Iterable[str], parts: Mapping[str, Any]) -> None:
        """Holds stages and parts, and says which side inputs they want."""
        if per not in PER:
            raise PartError(
                f"a {type(self).__name__} decides per sample or per batch.",
                f"per={per!r}",
                repr(per),
                "write per='sample'",
            )
        self._hold(parts)
        self.per, self.shared = per, frozenset(shared)
        self.paths = {}
        for name, module in stages.items():
            self.add_module(name, as_module(module, f"{type(self).__name__}({name}=...)"))
        self._stages = {name: stage(self._modules[name]) for name in stages}  # type: ignore[arg-type]
        self.wants = frozenset(name for one in self._stages.values() for name in one.sides)
        self._share(self.shared)

    def _share(self, names: frozenset[str]) -> None:
        """Side inputs that are not per sample are so all the way down."""
        self.shared |= names
        for module in self.children():
            if isinstance(module, Node):
                module._share(self.shared)

    def _condition_of(self, source: Decides, what: str) -> Condition:
        if isinstance(source, nn.Module):
            self.add_module(what, source)
        condition = Condition(source, self, self._recipe, self.per, self.shared, what)
        if condition.dice and "dice" not in self._modules:
            self.add_module("dice", Dice(self))
        return condition

    def _recipe(self, formula: Formula) -> Recipe:
        return Recipe(formula, dict(self._formulas), *self._names(), self._value_kinds())

    def _decided(self, new: Condition) -> Condition:
        """A condition assigned while the net runs."""
        check_same_sides(new, self.wants)
        return new

    def _fall(self, kind: str, *bounds: float) -> float:
        """One fall of a die or a coin; in eval nothing is drawn."""
        dice: Dice = self.get_submodule("dice")  # type: ignore[assignment]
        if not self.training:
            return self._settled_fall(kind, bounds)
        bits = dice.bits(0)
        if kind == "coin":
            return bits < bounds[0] * 2**32
        low, high = int(bounds[0]), int(bounds[1])
        if low > high:
            raise FlowError(
                "a die has a lowest and a highest side.",
                f"die({low}, {high})",
                f"{low} > {high}",
                f"write die({high}, {low})",
            )
        return low + bits % (high - low + 1)

    def _settled_fall(self, kind: str, bounds: tuple[float, ...]) -> float:
        """What a die shows in eval; without a rule of its own it must be said."""
        raise FlowError(
            "nothing is drawn in eval.", f"{type(self).__name__}({kind}(...))", kind, "say what holds instead: eval=..."
        )

    # what watchers ask

    def stage_names(self) -> list[str]:
        """The names of its stages."""
        return list(self._stages)

    def ways_apart(self) -> list[str]:
        """The paths that each sample takes exactly one of."""
        return list(self.paths)

    # calls

    def _stage(self, name: str, x: Value, sides: Mapping[str, Any]) -> Value:
        """One stage on the value that flows."""
        module, known = self._modules[name], self._stages[name]
        if known.module is not module:
            known = self._stages[name] = stage(module)  # type: ignore[arg-type]
        return known(x, sides)

    def _checked(self, sides: Mapping[str, Any], size: int) -> None:
        """Side inputs are known, and per sample where they have axes."""
        for name, value in sides.items():
            if name not in self.wants:
                fix = did_you_mean(name, self.wants, f"side inputs are {listed(sorted(self.wants))}")
                raise InputError(f"nobody takes the side input `{name}`.", type(self).__name__, f"{name}=...", fix)
            if name in self.shared or value.__class__ in (float, int, bool):
                continue
            for tensor in leaves(value):
                if tensor.dim() and tensor.shape[0] != size:
                    raise InputError(
                        f"the side input `{name}` has not the batch first.",
                        type(self).__name__,
                        f"{name} {tuple(tensor.shape)} for {size} samples",
                        f"give one row for each sample, or say shared=({name!r},)",
                    )

    def _per_sample(self, sides: Mapping[str, Any]) -> list[str]:
        """The side inputs that travel with their samples."""
        return [n for n, v in sides.items() if n not in self.shared and any(tensor.dim() for tensor in leaves(v))]

    def _kept(self, name: str, x: Value, sides: Mapping[str, Any]) -> Value:
        """A stage beside a pass-through: it keeps the shape, and does not write into its input."""
        versions = [_version(tensor) for tensor in leaves(x)]
        new = self._lone(name, x, sides)
        if versions != [_version(tensor) for tensor in leaves(x)]:
            fix = "use the one that returns a new tensor, such as ReLU() for ReLU(inplace=True)"
            raise FlowError(
                f"the branch `{name}` writes into its input.", repr_line(self), "an in-place operation", fix
            )
        if not alike(x, new):
            raise FlowError(
                f"the branch `{name}` changes the shape beside samples that pass unchanged.",
                repr_line(self),
                f"{shapes(x)} -> {shapes(new)}",
                "keep the shape, or give `otherwise` a branch of the same width",
            )
        return mapped(lambda rows, old: rows if rows.dtype is old.dtype else rows.to(old.dtype), new, x)

    def _lone(self, name: str, x: Value, sides: Mapping[str, Any]) -> Value:
        """A stage; a batch norm that is sent one sample alone is told so."""
        try:
            return self._stage(name, x, sides)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise FlowError(
                f"the branch `{name}` was sent one sample, and its batch norm needs two.",
                repr_line(self),
                shapes(x),
                "use LayerNorm or GroupNorm in branches, or per='batch'",
            ) from None

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        dice = self._modules.get("dice")
        if isinstance(dice, Dice):
            dice.belongs_to(self)


def _version(tensor: Tensor) -> int:
    """How often a tensor was written into; inference mode does not count."""
    return 0 if tensor.is_inference() else tensor._version


def repr_line(node: Node) -> str:
    """A node in one line, for errors and tables."""
    words = node.extra_repr()
    return f"{type(node).__name__}({words})"
