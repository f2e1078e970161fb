"""`Holder`: what generated code finds by name in a layer, and what else a layer keeps out of Keras's sight."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
from keras import KerasTensor

from ..errors import PartError
from ..formula.formula import Formula
from ..formula.schedule import Schedule
from ..formula.tables import pointer_of
from .kernels import Array, ops
from .making import as_value
from .renewing import pushed, renewed
from .sources import Source


class Values(Mapping[str, Array]):
    """The values of variables by name, as they are when they are read."""

    def __init__(self) -> None:
        self.variables: dict[str, keras.Variable] = {}

    def __getitem__(self, name: str) -> Array:
        return as_value(self.variables[name])

    def __contains__(self, name: object) -> bool:
        return name in self.variables

    def __iter__(self) -> Iterator[str]:
        return iter(self.variables)

    def __len__(self) -> int:
        return len(self.variables)


class Reading:
    """A holder as generated code sees it: a name is that of a part, whatever the attributes of a holder are called."""

    def __init__(self, held: Holder) -> None:
        self._held = held

    def __getattr__(self, name: str) -> Any:
        return getattr(self._held, name) if name.startswith("_") else self._held.read(name)


class Holder:
    """Parts by name, apart from the layer itself, which tracks and saves what it sees in its attributes.

    Attributes:
        kinds: for each part `module parameter buffer number schedule formula table edges` or `callable`.
        numbers: the numbers as they were last assigned, for their types.
        sources: the tables that are only read, or whose entries a file did not hold.
        unsaved: the names of variables that no file holds.
        outer: the layers and models that were called around this one: what is made of them must be made anew.
    """

    def __init__(self) -> None:
        self._modules: dict[str, Any] = {}
        self._callables: dict[str, Callable[..., Any]] = {}
        self._buffers = Values()
        self.kinds: dict[str, str] = {}
        self.formulas: dict[str, Formula] = {}
        self.schedules: dict[str, Schedule] = {}
        self.numbers: dict[str, float] = {}
        self.tables: dict[str, str | None] = {}
        self.updates: dict[str, Formula] = {}
        self.sources: dict[str, Source] = {}
        self.unsaved: set[str] = set()
        self.training = False
        self.reading = Reading(self)
        self.outer: weakref.WeakSet[Any] = weakref.WeakSet()

    def read(self, name: str) -> Any:
        """What the name of a part stands for in a formula."""
        if self.kinds.get(name) == "edges":
            return self._modules[name]
        if name in self.sources:
            source = self.sources[name]  # a bank is read only on symbols before it is given
            return KerasTensor(source.shape, source.dtype) if self.tables[name] is None else source
        value = as_value(self._buffers.variables[name])
        # Torch writes into a bank that the backward may still read.
        return ops.copy(value) if self.training and self.tables.get(name, "") is None else value

    def hold(self, name: str, value: Any) -> None:
        """Puts a part where generated code looks for it."""
        if isinstance(value, keras.Variable):
            self._buffers.variables[name] = value
        elif self.kinds[name] == "callable":
            self._callables[name] = value
        else:
            self._modules[name] = value

    def variable(self, name: str) -> keras.Variable:
        return self._buffers.variables[name]

    def part(self, name: str) -> Any:
        """What was given under the name: a layer, a callable, a variable, or the source of a table."""
        for home in (self._modules, self._callables, self._buffers.variables, self.sources):
            if name in home:
                return home[name]
        raise AttributeError(name)

    def value(self, name: str) -> Any:
        """The same for a callable in the place of a formula: of variables their value."""
        return as_value(self.part(name))

    # tables

    def read_by(self) -> tuple[dict[str, str], dict[str, tuple[str | None, Formula]]]:
        """By which input tables are read, and their updates."""
        updates = {name: (self.tables[name], update) for name, update in self.updates.items()}
        return {name: by for name, by in self.tables.items() if by is not None}, updates

    def refuse_updates(self, kind: str, why: str, fix: str) -> None:
        """Refuses tables with an update.

        Raises:
            PartError: there is one.
        """
        for name, update in self.updates.items():
            what = f"the table `{name}` cannot be updated here: {why}."
            raise PartError(what, f"{name}=Table(..., update={update.text!r})", kind, fix)

    def _refuse_recompute(self) -> None:
        """Nobody recomputes a call here."""

    def _renews(self) -> bool:
        """Whether this call updates tables."""
        return self.training

    def _renew(self, name: str, ids: Array | None, new: object) -> None:
        """The update of a table, from what its formula gave."""
        held = self.variable(name)
        if ids is not None:
            held.assign(renewed(as_value(held), ids, new))
            return
        pointer = self.variable(pointer_of(name))
        rows, oldest = pushed(as_value(held), as_value(pointer), new)
        held.assign(rows)
        pointer.assign(oldest)

    # what was made of this

    def around(self) -> list[Any]:
        """The models around this one, and those around them."""
        found, waiting = dict[int, Any](), list(self.outer)
        while waiting:
            model = waiting.pop()
            if id(model) not in found:
                found[id(model)] = model
                waiting += model._held.outer if hasattr(model, "_held") else ()
        return list(found.values())

    def synced(self) -> None:
        """On JAX a running fit holds the variables itself: it hands them back before they are written."""
        for model in self.around():
            if hasattr(model, "jax_state_sync"):
                model.jax_state_sync()

    def renewed(self) -> None:
        """Lets the models around this one capture their steps anew; optimizers stay as they are."""
        self.synced()
        for model in self.around():
            for step in ("train", "test", "predict"):
                if getattr(model, f"{step}_function", None) is not None:
                    getattr(model, f"make_{step}_function")(force=True)
