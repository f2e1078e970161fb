"""wye's own modules in files: what each is built from, and how it is built again. All that it is has to be said."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from ...formula.formula import Formula
from ...formula.schedule import Schedule
from ..edges import Edges, held
from ..flow.branching import When
from ..flow.chain import Chain
from ..flow.exiting import EarlyExit
from ..flow.looping import While
from ..flow.node import Node
from ..flow.repeating import Repeat
from ..flow.stage import Called, Takes
from ..flow.switching import RandomChoice, Switch
from ..join import Frozen, Join
from ..objective import Objective
from ..parts import Parts, saved_tables
from ..table import Table
from .values import Held

Child = Callable[[str], nn.Module]
Empty = Callable[[str], torch.Tensor]
Given = Callable[[str], Table]
Settings = dict[str, Any]


# what they are built from


def arguments_of(module: nn.Module) -> Settings:
    """What one of wye's modules is built from, without the modules inside.

    Args:
        module: of a class in MODULES.
    """
    if isinstance(module, Takes):
        return {"names": module.names}
    if isinstance(module, Called):
        return {"function": module.function}
    if isinstance(module, Edges):
        weight = module.weight
        return {
            "num_nodes": module.num_nodes,
            "weight": None if weight is None else Held("parameter" if isinstance(weight, nn.Parameter) else "buffer"),
        }
    if isinstance(module, Join):
        return _of_join(module)
    return _of_node(module) if isinstance(module, Node) else {}


def _of_parts(module: Parts) -> Settings:
    """The parts by name, in order; and how often schedules have moved."""
    parts = {name: _part(module, name, kind) for name, kind in module._kinds.items()}
    tables = {name: more for name in module._tables if (more := _of_table(module, name))}
    found: Settings = {"parts": parts, "tables": tables}
    kept = {name: value for name, value in found.items() if value}
    return {**kept, **({"step": module._step} if module._schedules else {})}


def _of_table(module: Parts, name: str) -> Settings:
    """What a table is beside its tensor and the input that reads it."""
    update, outside = module._updates.get(name), name not in saved_tables(module)
    return {**({"update": update} if update else {}), **({"outside": True} if outside else {})}


def _part(module: Parts, name: str, kind: str) -> Any:
    if kind == "table":
        return Held(kind, module._tables[name] or "")
    home = {"formula": module._formulas, "schedule": module._schedules, "callable": module._callables}
    if kind in home:
        return home[kind][name]
    if kind == "number":
        return module.__dict__[name]
    if kind in ("parameter", "buffer"):  # one may have been assigned in the place of the other
        return Held("parameter" if name in module._parameters else "buffer")
    return Held("module" if kind == "edges" else kind)


def _of_join(join: Join) -> Settings:
    found: Settings = {"formula": join.formula, "inputs": list(join.inputs)}
    if not join._strict:
        found["strict"] = False
    if isinstance(join, Objective) and join._on_nonfinite != "keep":
        found["on_nonfinite"] = join._on_nonfinite
    return found | _of_parts(join)


def _of_node(node: Node) -> Settings:
    found: Settings = {"stages": node.stage_names(), "wants": sorted(node.wants)}
    if node.shared:
        found["shared"] = sorted(node.shared)
    if isinstance(node, Chain):
        return found
    if "_condition" in node.__dict__:
        source = node._condition.source
        found[node._condition.what] = Held("module") if isinstance(source, nn.Module) else source
    for name in ("max_steps", "on_limit", "weights", "all_exits"):
        if name in node.__dict__ or isinstance(getattr(type(node), name, None), property):
            value = getattr(node, name)
            found[name] = list(value) if isinstance(value, tuple) else value
    defaults: Settings = {"per": node._usual, "eval": None}
    found |= {name: value for name, value in (("per", node.per), ("eval", node._eval)) if value != defaults[name]}
    if isinstance(node, Switch | RandomChoice):
        found["passes"] = node._passes
    if isinstance(node, Repeat):
        found["one"] = node._many is None
    if "dice" in node._modules:
        found["dice"] = True
    return found | _of_parts(node)


def switched_of(module: nn.Module) -> Settings:
    """What may have been assigned since a module of a class derived from one of wye's was built."""
    if not isinstance(module, Parts):
        return {}
    found: Settings = {**module._formulas, **module._schedules}
    if isinstance(module, Join):
        found["formula"] = module.formula
    elif isinstance(module, Node) and "_condition" in module.__dict__:
        found[module._condition.what] = module._condition.source
    return {name: value for name, value in found.items() if isinstance(value, Formula | Schedule | bool | int | float)}


def switch(module: nn.Module, settings: Settings) -> None:
    """Assigns what `switched_of` tells."""
    for name, value in settings.items():
        if switched_of(module).get(name) != value:
            setattr(module, name, value)


def tensors_of(module: nn.Module) -> set[str]:
    """The names of the tensors that one of wye's modules has by itself."""
    if isinstance(module, Edges):
        return {"index", *(["weight"] if module.weight is not None else [])}
    if not isinstance(module, Parts):
        return set()
    held = {name for name, kind in module._kinds.items() if kind in ("parameter", "buffer")} | saved_tables(module)
    return held | module._mirrors.keys() | ({"step"} if module._schedules else set())


def numbers_of(module: nn.Module) -> set[str]:
    """Of those, the ones that only mirror numbers, which the description has exactly."""
    return {*module._mirrors, *(["step"] if module._schedules else [])} if isinstance(module, Parts) else set()


# how they are built


def built(kind: str, settings: Settings, child: Child, empty: Empty, given: Given) -> nn.Module:
    """One of wye's modules again.

    Args:
        kind: its name in MODULES.
        settings: what `arguments_of` says; used up.
        child: gives a module inside by its name.
        empty: gives a tensor of this module by its name, of which only dtype and shape are known yet.
        given: gives a table of this module that the file does not hold.

    Raises:
        WyeError, LookupError, TypeError, ValueError: nothing can be built from them.
    """
    cls = MODULES[kind]
    if cls is Edges:
        weight = settings["weight"]
        return held(empty("index"), weight and _filled("weight", weight, child, empty), settings["num_nodes"])
    step = settings.pop("step", 0)
    tables, parts = settings.pop("tables", {}), settings.pop("parts", {})
    for name, part in parts.items():
        is_table = isinstance(part, Held) and part.kind == "table"
        own = tables.get(name, {})
        parts[name] = _table(name, part.by, own, empty, given) if is_table else _filled(name, part, child, empty)
    module = _join(cls, settings, parts) if issubclass(cls, Join) else BUILD[cls](settings, child, parts)
    if isinstance(module, Parts) and module._schedules:
        module._step = step
        module._refresh()
    return module


def _filled(name: str, part: Any, child: Child, empty: Empty) -> Any:
    if not isinstance(part, Held):
        return part
    if part.kind == "module":
        return child(name)
    tensor = empty(name)
    return nn.Parameter(tensor, tensor.is_floating_point()) if part.kind == "parameter" else tensor


def _table(name: str, by: str, more: Settings, empty: Empty, given: Given) -> Table:
    """A table with the tensor of the file, or with that of the caller; read and updated as it was."""
    one = given(name) if more.get("outside") else Table(empty(name), by or None, update=more.get("update"))
    return Table(one.tensor, by or None, persistent=one.persistent, update=more.get("update"))


def _join(cls: type[Join], settings: Settings, parts: Settings) -> Join:
    """A Join with the inputs that it was built with, of which a formula assigned later may read fewer."""
    formula, inputs = settings.pop("formula"), settings.pop("inputs")
    join = cls.__new__(cls)
    join._inputs = tuple(inputs)
    join.__init__(formula, **settings, **parts)
    return join


def _frozen(settings: Settings, child: Child, parts: Settings) -> nn.Module:
    return Frozen(child("module"))


def _takes(settings: Settings, child: Child, parts: Settings) -> nn.Module:
    return Takes(child("module"), **settings["names"])


def _called(settings: Settings, child: Child, parts: Settings) -> nn.Module:
    return Called(settings["function"])


def _chain(settings: Settings, child: Child, parts: Settings) -> nn.Module:
    chain = Chain()
    chain._hold_stages({name: child(name) for name in settings["stages"]}, settings.get("shared", ()))
    chain.wants |= frozenset(settings["wants"])
    return chain


def _node(cls: type[Node], settings: Settings, child: Child, parts: Settings) -> nn.Module:
    """A node that parts samples; its dice and the side inputs that it knows are as they were."""
    inner: list[Any] = [child(name) for name in settings.pop("stages")]
    dice, wants = settings.pop("dice", False), settings.pop("wants")
    if settings.pop("passes", False):
        inner = [None if type(one) is nn.Identity else one for one in inner]
    what = DECIDES.get(cls)
    source = settings.pop(what) if what else None
    if isinstance(source, Held):
        source = child(str(what))
    if cls is Repeat:
        inner = [inner[0] if settings.pop("one") else inner, source]
    elif cls is EarlyExit:
        half = len(inner) // 2
        inner = [inner[:half], inner[half:], source]
    elif what:
        inner = [source, *inner]
    node = cls(*inner, **settings, **parts)
    node.wants |= frozenset(wants)
    if dice:
        node._throw()
    return node


DECIDES: dict[type[Node], str] = {
    When: "condition",
    While: "condition",
    Repeat: "times",
    Switch: "index",
    EarlyExit: "until",
}
PARTED = (*DECIDES, RandomChoice)
BUILD: dict[type[nn.Module], Callable[[Settings, Child, Settings], nn.Module]] = {
    Frozen: _frozen,
    Takes: _takes,
    Called: _called,
    Chain: _chain,
    **{cls: partial(_node, cls) for cls in PARTED},
}
MODULES: dict[str, type[nn.Module]] = {f"wye.{cls.__name__}": cls for cls in (Join, Objective, Edges, *BUILD)}
KINDS = {cls: name for name, cls in MODULES.items()}
