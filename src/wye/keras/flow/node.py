"""`Node`: what all layers of a flow have in common: side inputs, stages and conditions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import keras

from ...errors import InputError
from ...formula.deciding import FLOWING, Decides, as_source, check_same_sides
from ...formula.formula import Formula
from ...formula.naming import check_names
from ...formula.parting import (
    cannot_hold,
    check_settings,
    not_per_sample,
    not_taken,
    nothing_drawn,
    unlike,
)
from ...formula.recipe import Recipe
from ..kernels import FLOATS, Array, Tensor, as_it_stands, dtype_name, one_number, ops
from ..layers import Named, untraced
from ..parts import NUMBERS
from ..symbolic import fresh
from ..writing import announce, read_parts, written_parts, written_source
from .chance import Dice
from .condition import Condition
from .stage import Stage, Wants, as_layer, share, stage
from .values import (
    Value,
    alike,
    batch_size,
    floating,
    leaves,
    mapped,
    rows_alike,
    shapes,
    symbols,
)

PER = ("sample", "batch")
OWN = frozenset({"dice", "max_steps", "on_limit", "per", "shared", "wants", "line"})
"""Names that every node of a flow needs for itself."""


class Stages:
    """Stages by name, out of the sight of Keras, which tracks the layers themselves."""

    def __init__(self) -> None:
        self.by_name: dict[str, Stage] = {}


class Node(Named, Wants):
    """A layer of a flow. One value flows; side inputs go by name to the stages and conditions that read them."""

    _condition: Condition
    _eval: float | None = None
    _usual = "sample"  # what `per` is where nobody says
    _trains = False
    _outlines = False

    # what it is made of

    def _settle(self, stages: Mapping[str, Any], per: str, shared: Iterable[str], parts: Mapping[str, Any]) -> None:
        """Holds stages and parts, and says which side inputs they want."""
        kind = type(self).__name__
        check_settings(kind, per, PER, shared, parts)
        check_names(parts, OWN | stages.keys())
        self._hold(parts)
        fix = "update it in an Objective, or in a Join that is a stage"
        self._held.refuse_updates(kind, "a condition only reads", fix)
        self._held.__dict__["_fall"] = self._fall
        self.per, self.shared = per, frozenset(shared)
        self._stages = Stages()
        for name, layer in stages.items():
            held = as_layer(layer, f"{kind}({name}=...)" if name.isidentifier() else f"{kind}(...)")
            self._stages.by_name[name] = stage(held)
            setattr(self, name, held)
        self.wants = frozenset(name for one in self._stages.by_name.values() for name in one.sides)
        share(self, self.shared)

    def _decide_by(self, source: Any, what: str, later: bool = False) -> None:
        """Takes a condition or times; one that comes later reads no more than the first."""
        source = as_source(source, what, Tensor)
        recipe = self._recipe(source) if isinstance(source, Formula) else None
        condition = Condition(source, self._held, self.shared, recipe, self.per, what)
        self._check_decider(condition)
        if later:
            check_same_sides(condition, self.wants)
        if condition.dice:
            self._throw()
        self.wants |= frozenset(condition.sides)
        self._condition = condition
        self._held.renewed()

    def _check_decider(self, condition: Condition) -> None:
        """Refuses what this node cannot go by."""

    def _recipe(self, formula: Formula) -> Recipe:
        held = self._held
        return Recipe(formula, dict(held.formulas), *self._names(), self._value_kinds(), tables=held.read_by()[0])

    def _replace_formula(self, name: str, formula: Formula) -> None:
        before = self._held.formulas[name]
        self._held.formulas[name] = formula
        try:
            self._decide_by(self._condition.source, self._condition.what, later=True)
        except Exception:
            self._held.formulas[name] = before
            raise

    def _remake(self) -> None:
        if "_condition" in self.__dict__:
            self._decide_by(self._condition.source, self._condition.what, later=True)

    # what it goes by

    def _asked(self, x: Value, sides: Mapping[str, Any], size: int | None) -> Any:
        """What the condition says; in eval `eval=` speaks for one that throws dice."""
        if self._condition.dice and not self._trains and self._eval is not None:
            return self._eval
        self._condition.shared = self.shared
        return self._condition(x, sides, size)

    def _throw(self) -> None:
        """Gives it dice."""
        if not hasattr(self, "dice"):
            self.dice = Dice()

    def _fall(self, kind: str, place: int, *bounds: Any) -> Any:
        """One fall of a die or a coin; in eval nothing is drawn, and on symbols nothing falls."""
        if self._outlines:
            return bounds[0] if kind == "die" else True
        return self.dice.fall(kind, place, bounds) if self._trains else self._settled_fall(kind, bounds)

    def _settled_fall(self, kind: str, bounds: tuple[Any, ...]) -> Any:
        """What a die shows in eval; without a rule of its own it must be said."""
        raise nothing_drawn(self.line, kind)

    # calls

    def _by_name(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The value that flows as `x`, and side inputs by name; a dict that has an `x` is all of these."""
        place = f"{type(self).__name__}(x, ...)"
        if len(args) > 1 or (args and FLOWING in kwargs) or not (args or FLOWING in kwargs):
            got = f"{len(args)} by position" + (f", {', '.join(kwargs)} by name" if kwargs else "")
            raise InputError("one value flows.", place, got, "give side inputs by name: net(x, control=...)")
        if args and isinstance(args[0], Mapping) and FLOWING in args[0] and not kwargs:
            given = {name: value for name, value in args[0].items() if name == FLOWING or name in self.wants}  # pyright: ignore
        else:
            given = {FLOWING: args[0] if args else kwargs[FLOWING], **kwargs}
        for name in given:
            if name not in self.wants and name != FLOWING:
                raise not_taken(name, [one for one in given if one != FLOWING], self.wants, type(self).__name__)
        return {name: one_number(value) if isinstance(value, NUMBERS) else value for name, value in given.items()}

    @as_it_stands
    def call(self, inputs: dict[str, Any], training: bool | None = None) -> Value:
        self._seen()
        self._refuse_missing(inputs)
        self._trains, self._outlines = bool(training), False
        x, sides = inputs[FLOWING], {name: value for name, value in inputs.items() if name != FLOWING}
        size = batch_size(x, type(self).__name__)
        self._check_sides(sides, size)
        found = self._run(x, sides, size)
        if self._trains and hasattr(self, "dice"):
            self.dice.move()
        return found

    def compute_output_spec(self, inputs: dict[str, Any], training: bool | None = None, **_: Any) -> Any:
        """The same on symbols: what is asked is checked, each stage is built, and the result has this shape."""
        given = fresh(inputs)
        x, sides = given[FLOWING], {name: value for name, value in given.items() if name != FLOWING}
        self._trains, self._outlines = bool(training), True
        size = batch_size(x, type(self).__name__)
        self._check_sides(sides, size)
        with untraced(self):
            return self._outline(x, sides, size)

    def _check_sides(self, sides: Mapping[str, Any], size: int | None) -> None:
        for name, value in sides.items():
            for tensor in leaves(value):
                known = tensor.shape[0] if len(tensor.shape) else None
                if name not in self.shared and known is not None and size is not None and known != size:
                    raise not_per_sample(name, shapes(value), size, type(self).__name__)

    def _run(self, x: Value, sides: dict[str, Any], size: int | None) -> Value:
        raise NotImplementedError

    def _outline(self, x: Value, sides: dict[str, Any], size: int | None) -> Value:
        raise NotImplementedError

    def _moving(self, sides: Mapping[str, Any]) -> frozenset[str]:
        """The side inputs that travel with their samples."""
        return frozenset(n for n, v in sides.items() if n not in self.shared and any(len(t.shape) for t in leaves(v)))

    def _wanted(self, sides: Mapping[str, Any], *names: str) -> dict[str, Any]:
        """The side inputs that some stages want; of none named, those that any wants."""
        known = self._stages.by_name
        wanted = {side for name in names or known for side in known[name].sides}
        return {name: value for name, value in sides.items() if name in wanted}

    def _stage(self, name: str, x: Value, sides: Mapping[str, Any]) -> Value:
        """One stage on the value that flows."""
        known, layer = self._stages.by_name[name], getattr(self, name)
        if known.layer is not layer:  # another was assigned
            known = self._stages.by_name[name] = stage(layer)
        return known(x, sides)

    def _layers_of(self, *names: str) -> list[Any]:
        """The layers that are called for these stages, and for the condition."""
        parts = [self._held.part(name) for name, kind in self._held.kinds.items() if kind == "module"]
        return [*(getattr(self, name) for name in names), *parts]

    def _branch(self, name: str, x: Value, sides: Mapping[str, Any], keeps: bool = True) -> Value:
        """A stage on some of the samples; beside a pass-through it `keeps` the shape."""
        new = self._stage(name, x, self._wanted(sides, name))
        size = leaves(x)[0].shape[0]
        if not (alike(x, new) if keeps else rows_alike(new, size)):
            raise unlike(name, self.line, f"{shapes(x)} -> {shapes(new)}", rows_alike(new, size))
        if keeps:
            return mapped(lambda old, rows: self._cast(name, rows, dtype_name(old)), x, new)
        dtype = floating(x)
        return mapped(lambda rows: ops.cast(rows, dtype) if dtype and rows.dtype in FLOATS else rows, new)

    def _cast(self, name: str, rows: Array, dtype: str) -> Array:
        """What a branch returned, in the dtype of the value that flows."""
        own = dtype_name(rows)
        if own == dtype:
            return rows
        if rows.dtype in FLOATS and "float" not in dtype:
            raise cannot_hold(name, self.line, f"{own} beside {dtype}")
        return ops.cast(rows, dtype)

    def _on_nothing(self, name: str, x: Value, sides: Mapping[str, Any], keeps: bool) -> Value:
        """What a stage would return for no samples, found without running it; or, where its sizes are not known
        before the run, by running it on none and forgetting what it writes."""
        spec = self._branch(name, symbols(x), {n: symbols(v) for n, v in sides.items()}, keeps)
        if all(None not in one.shape[1:] for one in leaves(spec)):
            return mapped(lambda one: ops.zeros((0, *one.shape[1:]), one.dtype), spec)
        moving = self._moving(sides)
        x, *rest = (mapped(_none_of, value) for value in (x, *(sides[n] for n in sides if n in moving)))
        none = {**sides, **dict(zip((n for n in sides if n in moving), rest, strict=True))}
        with keras.StatelessScope(state_mapping=[(one, one.value) for one in self.variables]):
            found = self._branch(name, x, none, keeps)
        return mapped(ops.stop_gradient, found)

    # what a file holds of it

    def _written_options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"per": self.per, "eval": self._eval, "shared": sorted(self.shared)}
        return options

    def __dir__(self) -> Iterable[str]:
        # Keras saves what stands here by its name; on torch counted stages would be missing, and saved by another one
        return {*super().__dir__(), *(self._stages.by_name if "_stages" in self.__dict__ else ())}

    def get_config(self) -> dict[str, Any]:
        announce(self)
        write = keras.saving.serialize_keras_object
        stages = {name: write(getattr(self, name)) for name in self._stages.by_name}
        config = {"name": self.name, "stages": stages, "options": self._written_options()}
        config["parts"] = written_parts(self._held)
        if "_condition" in self.__dict__:
            config["decides"] = written_source(self._condition.source, self._condition.what)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:  # pyright: ignore
        read = keras.saving.deserialize_keras_object
        stages = {name: read(layer) for name, layer in config["stages"].items()}
        options = {**config["options"], "name": config["name"], **read_parts(config["parts"])}
        return cls._read(config.get("decides"), stages, options)

    @classmethod
    def _read(cls, decides: Any, stages: dict[str, Any], options: dict[str, Any]) -> Any:
        raise NotImplementedError

    # how it is shown

    @property
    def line(self) -> str:
        """It in one line, for errors."""
        return f"{type(self).__name__}({self.extra_repr()})"

    def extra_repr(self) -> str:
        return ""

    def __repr__(self) -> str:
        return self.line

    def _typed(self, *words: str) -> str:
        """What was typed: what decides, the options that are not the default, and the parts that have a text."""
        options = [f"per={self.per!r}"] if self.per != self._usual else []
        options += [f"eval={self._eval!r}"] if self._eval is not None else []
        options += [f"shared={tuple(sorted(self.shared))!r}"] if self.shared else []
        return ", ".join([*words, *options, *self._settings()])


class Parted(Node, keras.Layer):  # pyright: ignore[reportIncompatibleMethodOverride]
    """A node that sends samples different ways, by what decides, which can be exchanged while it runs."""


def _none_of(tensor: Array) -> Array:
    """The first no samples."""
    return tensor[:0] if len(tensor.shape) else tensor


def decider(name: str, words: str) -> property:
    """The attribute that decides, to be read and assigned."""

    def read(node: Node) -> Any:
        return node._condition.source  # pyright: ignore[reportPrivateUsage]

    def assign(node: Node, source: Decides) -> None:
        node._decide_by(source, name, later=True)  # pyright: ignore[reportPrivateUsage]

    return property(read, assign, doc=words)
