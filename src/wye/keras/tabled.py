"""`Tabled`: how a layer holds its tables, and how they are filled with other entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from ..errors import FileError, PartError
from ..formula.tables import check_entries, pointer_of
from .holding import Holder
from .kernels import ON_TENSORFLOW, WHOLE, constant, dtype_name
from .sources import Source
from .table import Table

if TYPE_CHECKING:

    class Seen(keras.Model):
        _held: Holder

        def _track(self, name: str, value: Any) -> None: ...
else:
    Seen = object


class Tabled(Seen):
    """A layer that holds tables: each as a variable that no optimizer moves, or as the source that it is read from."""

    def _hold_table(self, name: str, table: Table) -> None:
        held = self._held
        held.tables[name] = table.by
        if table.update is not None:
            held.updates[name] = table.update
        if isinstance(table.tensor, Source):
            self._hold_source(name, table.tensor)
            return
        if table.by is None:
            self._track_pointer(pointer_of(name))
        self._track(name, constant(name, table.tensor, dtype_name(table.tensor)))
        if not table.persistent:
            held.unsaved |= {name, *([pointer_of(name)] if table.by is None else [])}

    def _hold_source(self, name: str, source: Source) -> None:
        """Its variables are Keras's to track, which gives them to captured steps."""
        held = self._held
        for variable in held.sources[name].variables if name in held.sources else ():
            self._untrack_variable(variable)
        held.sources[name] = source = source.held(name)
        for variable in source.variables:
            self._track_variable(variable)
        if ON_TENSORFLOW:
            self.supports_jit = all(one.compiles for one in held.sources.values())

    def _track_pointer(self, name: str) -> None:
        """The place of a bank's oldest row."""
        variable = constant(name, 0, WHOLE)
        self._track_variable(variable)
        self._held._buffers.variables[name] = variable  # pyright: ignore[reportPrivateUsage]

    # other entries

    def _fill_table(self, name: str, value: Any) -> None:
        """Other entries for a table, in its dtype; those that a file did not hold as they are given."""
        held, where = self._held, f"{type(self).__name__}.{name} = ..."
        old = held.part(name)
        by, new = (value.by, value.tensor) if isinstance(value, Table) else (None, value)
        missing = isinstance(old, Source) and not old.given
        known, given = (held.tables[name], tuple(old.shape)), (by, tuple(new.shape))
        check_entries(name, where, known, (by, known[1]) if missing else given)
        if isinstance(value, Table) and value.update not in (None, held.updates.get(name)):
            got, fix = f"update={str(value.update)!r}", "give entries alone, or build it anew"
            raise PartError(f"the table `{name}` keeps its update.", where, got, fix)
        if missing:
            self._give_table(name, value)
        elif isinstance(old, Source) != isinstance(new, Source):
            got, fix = f"{type(new).__name__} for {type(old).__name__}", "give one of the same kind, or build it anew"
            raise PartError(f"the table `{name}` is held in another way.", where, got, fix)
        elif isinstance(new, Source):
            held.synced()
            self._hold_source(name, new)
            held.renewed()
        else:
            held.synced()
            held.variable(name).assign(new)

    def _give_table(self, name: str, value: Any) -> None:
        """The table that a file did not hold, read and updated as it was."""
        held = self._held
        given = value if isinstance(value, Table) else Table(value, "id", persistent=False)
        table = Table(given.tensor, held.tables[name], persistent=given.persistent, update=held.updates.get(name))
        held.synced()
        del held.sources[name]
        self._hold_table(name, table)
        self._remake()

    def _remake(self) -> None:
        """Makes anew what was made of the kinds of parts."""
        raise NotImplementedError

    def _refuse_missing(self, inputs: Any) -> None:
        """Refuses to compute without a table that a file did not hold; on symbols its shape is enough.

        Raises:
            FileError: there is one.
        """
        lacking = [name for name, source in self._held.sources.items() if not source.given]
        if lacking and not any(isinstance(one, keras.KerasTensor) for one in keras.tree.flatten(inputs)):
            name, kind = lacking[0], type(self).__name__
            got = f"no entries of shape {tuple(self._held.sources[name].shape)}"
            fix = f"assign it: {kind.lower()}.{name} = wye.Table(...); or load the file by wye.load(path, parts=...)"
            raise FileError(f"the table `{name}` was not in the file.", f"{kind}({name}=Table(...))", got, fix)

    # what a file holds of them

    def _saved(self) -> list[Any]:
        """The variables of this layer that files hold."""
        held = self._held
        unsaved = {id(held.variable(name)) for name in held.unsaved}
        unsaved |= {id(one) for source in held.sources.values() for one in source.variables}
        return [v for v in (*self._trainable_variables, *self._non_trainable_variables) if id(v) not in unsaved]

    def save_own_variables(self, store: Any) -> None:
        for place, variable in enumerate(self._saved()):
            store[str(place)] = variable

    def load_own_variables(self, store: Any) -> None:
        saved = self._saved()
        if len(saved) == len(self._trainable_variables) + len(self._non_trainable_variables):
            super().load_own_variables(store)
            return
        if len(store) != len(saved):
            got, fix = f"{len(store)} in the file, {len(saved)} in the layer", "build the layer as the saved one was"
            raise FileError("the variables of the file are not those of the layer.", self.name, got, fix)
        for place, variable in enumerate(saved):
            variable.assign(store[str(place)])
