"""What a module is made of: the kinds of parts, and the names that they may bear."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, Self, TypeGuard, cast

import torch
from torch import Tensor, nn

from ..errors import PartError
from ..formula.formula import Formula
from ..formula.graph import NUMBER, Kind
from ..formula.naming import check_names
from ..formula.schedule import Schedule
from ..formula.tables import check_entries, check_pointers, pointer_of
from .edges import Edges, sides_of
from .keras_layer import adopted, is_layer
from .making import dtype_class
from .renewing import pushed, renew
from .sources import Source
from .table import Table


def part_kind(name: str, value: object) -> str:
    """`module parameter buffer number schedule formula table edges` or `callable`.

    Raises:
        PartError: the value is none of these.
    """
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (Edges, "edges"),
        (nn.Module, "module"),
        (nn.Parameter, "parameter"),
        (Tensor, "buffer"),
        ((bool, int, float), "number"),
        (Schedule, "schedule"),
        ((Formula, str), "formula"),
        (Table, "table"),
    )
    for types, kind in kinds:
        if isinstance(value, types):
            return kind
    if is_layer(value):
        return "module"  # of another backend, which `adopted` refuses
    if isinstance(value, type) and issubclass(value, nn.Module):
        word = value.__name__
        raise PartError(
            f"`{name}` is a class, not a module.", f"{name}={word}", f"the class {word}", f"write {name}={word}(...)"
        )
    if callable(value):
        return "callable"
    raise PartError(
        f"`{name}` is no part.",
        f"{name}=...",
        type(value).__name__,
        "give a module, a Parameter, a tensor, a number, a formula, a Schedule, a Table, Edges or a callable",
    )


class Parts(nn.Module):
    """A module that holds parts by name: numbers with their mirrors, schedules with their step, and the rest."""

    def _hold(self, parts: Mapping[str, Any]) -> None:
        check_names(parts, reserved(type(self)))
        self._kinds: dict[str, str] = {}
        self._formulas: dict[str, Formula] = {}
        self._schedules: dict[str, Schedule] = {}
        self._callables: dict[str, Callable[..., Any]] = {}
        self._tables: dict[str, str | None] = {}  # by which input each is read; None: a bank
        self._updates: dict[str, Formula] = {}
        self._mirrors: dict[str, Tensor] = {}
        self._step = 0
        for name, value in parts.items():
            self._kinds[name] = part_kind(name, value)
            self._set_part(name, value)
        check_pointers([name for name, by in self._tables.items() if by is None], parts)
        if self._schedules:
            self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def _names(self) -> tuple[frozenset[str], frozenset[str]]:
        """The names of parts that are called: modules, and callables that are none."""
        by_kind = [frozenset(n for n, k in self._kinds.items() if k == kind) for kind in ("module", "callable")]
        return by_kind[0], by_kind[1]

    def _value_kinds(self) -> dict[str, Kind]:
        """What is known of the parts that are values."""
        known = {"number": NUMBER, "schedule": NUMBER, "edges": Kind(data=False, dtype="any", tensor=False)}
        return {
            name: known[kind] if kind in known else Kind(data=False, dtype=dtype_class(getattr(self, name).dtype))
            for name, kind in self._kinds.items()
            if kind not in ("module", "callable", "formula")
        }

    def _settings(self) -> list[str]:
        """Formulas, schedules and numbers, as they were typed."""
        words: list[str] = []
        for name, kind in self._kinds.items():
            if kind in ("formula", "schedule", "number"):
                value = {"formula": self._formulas, "schedule": self._schedules}.get(kind, self.__dict__)[name]
                words.append(f"{name}={value.text!r}" if isinstance(value, Formula) else f"{name}={value!r}")
        return words

    def _replace_formula(self, name: str, formula: Formula) -> None:
        self._formulas[name] = formula

    def _set_part(self, name: str, value: Any) -> None:
        kind = self._kinds[name]
        if kind == "formula":
            self._formulas[name] = Formula(value)
        elif kind == "schedule":
            self._schedules[name] = value
            self._set_number(name, value(self._step))
        elif kind == "callable":
            self._callables[name] = value
        elif kind == "number":
            self._set_number(name, value)
        elif kind == "table":
            self._hold_table(name, value)
        elif kind == "buffer":
            self.register_buffer(name, value)
        elif kind == "edges":
            super().__setattr__(name, value)
            if not value.index.is_meta:
                sides_of(value)  # now, while no graph is captured
        else:
            super().__setattr__(name, adopted(value, name, f"{type(self).__name__}({name}=...)"))

    def _set_number(self, name: str, value: float, device: torch.device | None = None) -> None:
        """A number, and its mirror in a new buffer: what was captured reads it, and backward keeps the old one."""
        old = self._buffers.get(name)
        place = device or (old.device if old is not None else torch.device("cpu"))
        dtype = torch.float32 if place.type == "mps" else torch.float64
        try:
            mirror = torch.tensor(float(value), dtype=dtype, device=place)
        except OverflowError:
            got = f"{str(value)[:12]}... of {len(str(value))} digits"
            raise PartError(f"the number `{name}` is too large.", f"{name}=...", got, "give one below 1e308") from None
        self.__dict__[name] = float(value) if type(value) is int and abs(value) >= 2**63 else value
        self._buffers[name] = self._mirrors[name] = mirror

    def __setattr__(self, name: str, value: Any) -> None:
        kinds = self.__dict__.get("_kinds", {})
        if name not in kinds:
            super().__setattr__(name, adopted(value, name, f"{type(self).__name__}.{name} = ..."))
            return
        kind = part_kind(name, value)
        before = kinds[name]
        if kind == before == "formula":
            self._replace_formula(name, Formula(value))
        elif kind == before and kind in ("number", "schedule", "callable"):
            self._set_part(name, value)
        elif before == "table" and kind in ("table", "buffer"):
            self._fill_table(name, value)
        elif kind == before or {kind, before} == {"parameter", "buffer"}:
            super().__setattr__(name, adopted(value, name, f"{type(self).__name__}.{name} = ..."))
        else:
            before, kind = ("graph" if one == "edges" else one for one in (before, kind))
            raise PartError(
                f"`{name}` is a {before}, not a {kind}.",
                f"{type(self).__name__}.{name} = ...",
                type(value).__name__,
                f"assign a {before}",
            )

    def _hold_table(self, name: str, table: Table) -> None:
        self._tables[name] = table.by
        if isinstance(table.tensor, Source):
            self.__dict__[name] = table.tensor
            return
        if table.update is not None:
            self._updates[name] = table.update
        held = table.tensor if table.update is None else table.tensor.detach().clone()
        self.register_buffer(name, held, table.persistent)
        if table.by is None:
            oldest = torch.zeros((), dtype=torch.int64, device=held.device)
            self.register_buffer(pointer_of(name), oldest, table.persistent)

    def _read_by(self) -> tuple[dict[str, str], dict[str, tuple[str | None, Formula]]]:
        """By which input tables are read, and their updates."""
        updates = {name: (self._tables[name], update) for name, update in self._updates.items()}
        return {name: by for name, by in self._tables.items() if by is not None}, updates

    def _refuse_updates(self, why: str, fix: str) -> None:
        for name, update in self._updates.items():
            what = f"the table `{name}` cannot be updated here: {why}."
            raise PartError(what, f"{name}=Table(..., update={update.text!r})", type(self).__name__, fix)

    def _renews(self) -> bool:
        """Whether this call updates tables."""
        return self.training and torch.is_grad_enabled()

    def _renew(self, name: str, ids: Tensor | None, new: object) -> None:
        """The update of a table, from what its formula gave."""
        held = cast(Tensor, self._buffers[name])
        if ids is not None:
            renew(held, ids, new)
            return
        pointer = pointer_of(name)
        self._buffers[name], self._buffers[pointer] = pushed(held, cast(Tensor, self._buffers[pointer]), new)

    def _fill_table(self, name: str, value: Table | Tensor) -> None:
        """Other entries for a table, in its dtype; a graph that was captured reads them too."""
        old = getattr(self, name)
        by, new = (value.by, value.tensor) if isinstance(value, Table) else (None, value)
        held, given = (self._tables[name], tuple(old.shape)), (by, tuple(new.shape))
        where = f"{type(self).__name__}.{name} = ..."
        check_entries(name, where, held, given)
        if isinstance(old, Source) != isinstance(new, Source):
            got, fix = f"{type(new).__name__} for {type(old).__name__}", "give one of the same kind, or build it anew"
            raise PartError(f"the table `{name}` is held in another way.", where, got, fix)
        if isinstance(value, Table) and value.update not in (None, self._updates.get(name)):
            got, fix = f"update={str(value.update)!r}", "give entries alone, or build it anew"
            raise PartError(f"the table `{name}` keeps its update.", where, got, fix)
        if isinstance(new, Source):
            self.__dict__[name] = new
        else:
            super().__setattr__(name, new.to(old, copy=name in self._updates))

    def advance(self) -> None:
        """Counts one optimizer step; schedules move, those of modules inside too."""
        for module in self.modules():
            if isinstance(module, Parts):
                module._step += 1
                module._refresh()

    def _refresh(self) -> None:
        if not self._schedules:
            return
        device = cast(Tensor, self._buffers["step"]).device
        self._buffers["step"] = torch.tensor(self._step, device=device)
        for name, schedule in self._schedules.items():
            self._set_number(name, schedule(self._step), device)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        self._refresh()
        for name, kind in self._kinds.items():
            mirror = self._buffers.get(name)
            if kind == "number" and mirror is not None:
                self._set_number(name, self.__dict__[name], mirror.device)
        return self

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        with self._plain():
            super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        found = {name: state_dict.get(prefix + name) for name in (*self._mirrors, "step")}
        loaded = {name: value for name, value in found.items() if _holds_number(value)}
        if self._schedules:
            self._step = int(loaded["step"]) if "step" in loaded else self._step
            self._refresh()  # numbers of the state dict never stand for what a schedule says
        for name, value in loaded.items():
            if self._kinds.get(name) == "number":
                mirror = cast(Tensor, self._buffers[name])
                self._set_number(name, _like(self.__dict__[name], value.item()), mirror.device)

    @contextmanager
    def _plain(self) -> Generator[None, None, None]:
        """Within, torch may put tensors where numbers are mirrored."""
        kinds, self._kinds = self._kinds, {}
        try:
            yield
        finally:
            self._kinds = kinds


def saved_tables(module: Parts) -> set[str]:
    """The names of buffers in which tables, and the pointers of banks, are saved."""
    tables = module._tables  # pyright: ignore[reportPrivateUsage]
    names = {*tables, *(pointer_of(name) for name, by in tables.items() if by is None)}
    unsaved = module._non_persistent_buffers_set  # pyright: ignore[reportPrivateUsage]
    return {name for name, _ in module.named_buffers(recurse=False) if name in names and name not in unsaved}


def _holds_number(value: object) -> TypeGuard[Tensor]:
    return isinstance(value, Tensor) and value.dim() == 0 and not value.is_meta


def _like(old: float, new: float) -> float:
    """A loaded number of the type that the old one has, where it can be."""
    if isinstance(old, float) or not float(new).is_integer():
        return new
    return bool(new) if isinstance(old, bool) and new in (0, 1) else int(new)


def reserved(cls: type[nn.Module]) -> frozenset[str]:
    """The attributes of modules, which no part may hide."""
    return frozenset({*dir(cls), *dir(nn.Module()), "step", "strict", "training"})
