"""`Tabled`: how a layer holds its tables, and how they are filled with other entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from ..errors import PartError
from ..formula.tables import check_entries, pointer_of
from .holding import Holder
from .kernels import WHOLE, constant
from .table import Table

if TYPE_CHECKING:

    class Seen(keras.Model):
        _held: Holder

        def _track(self, name: str, value: Any) -> None: ...
else:
    Seen = object


class Tabled(Seen):
    """A layer that holds tables: each as a variable that no optimizer moves."""

    def _hold_table(self, name: str, table: Table) -> None:
        held = self._held
        held.tables[name] = table.by
        if table.update is not None:
            held.updates[name] = table.update
        if table.by is None:
            self._track_pointer(pointer_of(name))
        self._track(name, constant(name, table.tensor, keras.backend.standardize_dtype(table.tensor.dtype)))

    def _track_pointer(self, name: str) -> None:
        """The place of a bank's oldest row."""
        variable = constant(name, 0, WHOLE)
        self._track_variable(variable)
        self._held._buffers.variables[name] = variable  # pyright: ignore[reportPrivateUsage]

    def _fill_table(self, name: str, value: Any) -> None:
        """Other entries for a table, in its dtype."""
        held = self._held
        variable = held.variable(name)
        by, new = (value.by, value.tensor) if isinstance(value, Table) else (None, value)
        known, given = (held.tables[name], tuple(variable.shape)), (by, tuple(new.shape))
        check_entries(name, f"{type(self).__name__}.{name} = ...", known, given)
        if isinstance(value, Table) and value.update not in (None, held.updates.get(name)):
            got, fix = f"update={str(value.update)!r}", "give entries alone, or build it anew"
            raise PartError(f"the table `{name}` keeps its update.", f"{type(self).__name__}.{name} = ...", got, fix)
        held.synced()
        variable.assign(new)
