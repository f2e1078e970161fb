"""What a layer is made of: the kinds of parts, and how each is held."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from ..errors import PartError
from ..formula.formula import Formula
from ..formula.graph import NUMBER, Kind
from ..formula.naming import check_names
from ..formula.schedule import Schedule
from ..formula.tables import check_pointers
from .edges import Edges
from .holding import Holder
from .kernels import NARROW, WHOLE, Array, Tensor, constant, ops
from .making import dtype_class, value_of
from .table import Table
from .tabled import Tabled

NUMBERS = (bool, int, float)
CALLED = ("module", "callable")
OF_BACKENDS = frozenset(
    """
    T_destination add_module apply bfloat16 buffers call_super_init children compiled_loss compiled_metrics
    compute_loss_and_updates cpu cuda distribute_reduction_method distribute_strategy double dump_patches eval
    extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu jax_state_sync
    load_state_dict modules mtia named_buffers named_children named_modules named_parameters parameters
    register_backward_hook register_buffer register_forward_hook register_forward_pre_hook
    register_full_backward_hook register_full_backward_pre_hook register_load_state_dict_post_hook
    register_load_state_dict_pre_hook register_module register_parameter register_state_dict_post_hook
    register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory state_dict to to_empty
    torch_params train training type unrolled_steps_per_execution xpu zero_grad
    """.split()
)
"""The attributes that layers have on one backend alone: a file is to be read on all of them."""


def part_kind(name: str, value: object) -> str:
    """`module parameter buffer number schedule formula table edges` or `callable`.

    Raises:
        PartError: the value is none of these.
    """
    if isinstance(value, keras.Layer):
        return "edges" if isinstance(value, Edges) else "module"
    if isinstance(value, keras.Variable):
        return "parameter" if value.trainable else "buffer"
    if isinstance(value, keras.KerasTensor):
        fix = f"let the formula read it as an input: give {name}=... in the call"
        raise PartError(f"`{name}` is a symbol, which has no value.", f"{name}=...", "a KerasTensor", fix)
    if is_torch_module(value):
        fix = f"wrap it, for Keras on torch: {name}=keras.layers.TorchModuleWrapper({name})"
        raise PartError(f"`{name}` is no layer of Keras.", f"{name}=...", type(value).__name__, fix)
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (NUMBERS, "number"),
        (Schedule, "schedule"),
        ((Formula, str), "formula"),
        (Table, "table"),
    )
    for types, kind in kinds:
        if isinstance(value, types):
            return kind
    if isinstance(value, Tensor) or (hasattr(value, "__array__") and not isinstance(value, type)):
        return "buffer"
    if isinstance(value, type) and issubclass(value, keras.Layer):
        word = value.__name__
        raise PartError(
            f"`{name}` is a class, not a module.", f"{name}={word}", f"the class {word}", f"write {name}={word}(...)"
        )
    if callable(value):
        return "callable"
    fix = "give a layer, a Variable, a tensor, a number, a formula, a Schedule, a Table, Edges or a callable"
    raise PartError(f"`{name}` is no part.", f"{name}=...", type(value).__name__, fix)


def is_torch_module(value: object) -> bool:
    """Whether it is one of torch's that is no layer; torch is not loaded to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and not isinstance(value, keras.Layer) and isinstance(value, torch.nn.Module)


class Parts(Tabled):
    """A layer that holds parts by name: numbers as variables, schedules with their step, and the rest."""

    def _hold(self, parts: Mapping[str, Any]) -> None:
        check_names(parts, reserved(type(self)))
        self._held = Holder()
        for name, value in parts.items():
            self._held.kinds[name] = part_kind(name, value)
            self._set_part(name, value)
        check_pointers([name for name, by in self._held.tables.items() if by is None], parts)
        if self._held.schedules:
            self._steps = constant("step", 0, WHOLE)

    def _names(self) -> tuple[frozenset[str], frozenset[str]]:
        """The names of parts that are called: layers, and callables that are none."""
        kinds = self._held.kinds
        by_kind = [frozenset(n for n, k in kinds.items() if k == kind) for kind in CALLED]
        return by_kind[0], by_kind[1]

    def _value_kinds(self) -> dict[str, Kind]:
        """What is known of the parts that are values."""
        known = {"number": NUMBER, "schedule": NUMBER, "edges": Kind(data=False, dtype="any", tensor=False)}
        return {
            name: known[kind] if kind in known else Kind(data=False, dtype=dtype_class(self._held.part(name).dtype))
            for name, kind in self._held.kinds.items()
            if kind not in (*CALLED, "formula")
        }

    def _settings(self) -> list[str]:
        """Formulas, schedules and numbers, as they were typed."""
        held, words = self._held, list[str]()
        for name, kind in held.kinds.items():
            if kind == "formula":
                words.append(f"{name}={held.formulas[name].text!r}")
            elif kind == "schedule":
                words.append(f"{name}={held.schedules[name]!r}")
            elif kind == "number":
                words.append(f"{name}={held.numbers[name]!r}")
        return words

    def _replace_formula(self, name: str, formula: Formula) -> None:
        self._held.formulas[name] = formula

    def _set_part(self, name: str, value: Any) -> None:
        held, kind = self._held, self._held.kinds[name]
        if kind == "formula":
            held.formulas[name] = Formula(value)
        elif kind == "schedule":
            held.schedules[name] = value
            self._set_number(name, value(int(self._steps) if hasattr(self, "_steps") else 0))
        elif kind == "number":
            self._set_number(name, value)
        elif kind == "table":
            self._hold_table(name, value)
        elif kind == "buffer" and not isinstance(value, keras.Variable):
            tensor: Array = value if isinstance(value, Tensor) else ops.convert_to_tensor(value)
            self._track(name, constant(name, tensor, keras.backend.standardize_dtype(tensor.dtype)))
        elif kind == "callable":
            held.hold(name, value)
        else:
            self._track(name, value)

    def _track(self, name: str, value: Any) -> None:
        """A layer or a variable is Keras's to track, too."""
        held = self._held
        old = held._modules.get(name)  # pyright: ignore[reportPrivateUsage]
        others = [held._modules[other] for other in held._modules if other != name]  # pyright: ignore
        if old is not None and old is not value and all(old is not other for other in others):
            private: Any = self
            private._tracker.untrack(old)  # Keras would keep on training and counting what is replaced
        super().__setattr__(name, value)
        held.hold(name, value)  # last: TensorFlow keeps no attribute that is there already

    def _set_number(self, name: str, value: float) -> None:
        held = self._held
        try:
            as_float = float(value)
        except OverflowError:
            got = f"{str(value)[:12]}... of {len(str(value))} digits"
            raise PartError(f"the number `{name}` is too large.", f"{name}=...", got, "give one below 1e308") from None
        held.numbers[name] = float(value) if type(value) is int and abs(value) >= 2**63 else value
        if name in held._buffers:  # pyright: ignore[reportPrivateUsage]
            held.variable(name).assign(as_float)
            return
        variable = constant(name, as_float, NARROW.get("float64", "float64"))
        self._track_variable(variable)  # no attribute: by that name one reads the number itself
        held.hold(name, variable)

    def __getattr__(self, name: str) -> Any:
        held: Holder | None = self.__dict__.get("_held")
        if held is None or name not in held.kinds or name == "_held":
            inherited: Callable[[str], Any] | None = getattr(super(), "__getattr__", None)
            if inherited is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            return inherited(name)
        kind = held.kinds[name]
        if kind in ("number", "schedule"):
            held.synced()
            if kind == "schedule":
                return held.schedules[name](int(self._steps))
            old, variable = held.numbers[name], held.variable(name)
            return old if rounded(old, variable.dtype) == float(variable) else like(old, float(variable))
        return held.formulas[name] if kind == "formula" else held.part(name)

    def __setattr__(self, name: str, value: Any) -> None:
        held: Holder | None = self.__dict__.get("_held")
        if held is None or name not in held.kinds:
            super().__setattr__(name, value)
            return
        before, kind = held.kinds[name], part_kind(name, value)
        if kind == before == "formula":
            self._replace_formula(name, Formula(value))
        elif kind == before and kind in ("number", "schedule"):
            held.synced()
            self._set_part(name, value)
            if kind == "schedule":
                held.renewed()  # a captured step holds the formula of the old one
        elif kind == before == "callable":
            self._set_part(name, value)
            held.renewed()
        elif before == "table" and kind in ("table", "buffer"):
            self._fill_table(name, value)
        elif {kind, before} <= {"parameter", "buffer"}:
            held.synced()
            held.variable(name).assign(value)
        elif kind == before and kind in ("module", "edges"):
            self._track(name, value)
            held.renewed()
        else:
            before, kind = ("graph" if one == "edges" else one for one in (before, kind))
            raise PartError(
                f"`{name}` is a {before}, not a {kind}.",
                f"{type(self).__name__}.{name} = ...",
                type(value).__name__,
                f"assign a {before}",
            )

    def advance(self) -> None:
        """Counts one optimizer step; schedules move, those of layers inside too."""
        self._held.synced()
        move_all(self)

    def _move(self) -> None:
        held = self._held
        if not held.schedules:
            return
        self._steps.assign_add(1)
        step = ops.convert_to_tensor(self._steps)
        for name, schedule in held.schedules.items():
            variable = held.variable(name)
            variable.assign(ops.cast(value_of(schedule.formula.text, {"step": step}, True), variable.dtype))


def move_all(model: Any) -> None:
    """Moves the schedules of a model and of all layers inside; a captured step holds their variables already."""
    for layer in model._flatten_layers():
        if isinstance(layer, Parts):
            layer._move()  # pyright: ignore[reportPrivateUsage]


def rounded(number: float, dtype: str) -> float:
    """A number as a variable of this dtype holds it."""
    return float(np.asarray(number, dtype))


def like(old: float, new: float) -> float:
    """A number read back, of the type that the old one has, where it can be."""
    if isinstance(old, float) or not new.is_integer():
        return new
    return bool(new) if isinstance(old, bool) and new in (0, 1) else int(new)


def reserved(cls: type) -> frozenset[str]:
    """The attributes of layers and models on any backend, which no part may hide."""
    return OF_BACKENDS | {*dir(cls), *dir(keras.Model()), "step", "strict"}
