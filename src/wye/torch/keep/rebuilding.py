"""From a description to a model, whose weights are still to come."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from ...errors import FileError, InputError, WyeError, listed
from ...keep.description import Description, Entry, is_within, resolved, within
from ...keep.plain import read
from ...keep.sealed import WHOLE
from ..keras_layer import adopted
from ..table import Table
from . import layers, nodes, registry
from .describing import held, own
from .nodes import switch
from .values import UnregisteredError, again


class Rebuilding:
    """A model as a file describes it.

    Args:
        path: of the file, for errors.
        description: what it describes.
        tensors: what it holds.
        given: modules of the caller by their paths; and tables that the file does not hold.
    """

    def __init__(
        self, path: str, description: Description, tensors: Mapping[str, Tensor], given: Mapping[str, Any]
    ) -> None:
        self.path, self.description, self.tensors = path, description, tensors
        self.tables = {name: one for name, one in given.items() if isinstance(one, Table)}
        modules = {name: one for name, one in given.items() if name not in self.tables}
        self.given = {name: adopted(one, name, f"load(..., parts={{{name!r}: ...}})") for name, one in modules.items()}
        self.done: dict[str, nn.Module] = {}
        self._check_given()

    def model(self) -> nn.Module:
        """The model; its weights lie on no device, but for those of modules that were given."""
        model = self._module("")
        for name in self.tables:
            what, got = f"the file asks for no table {name!r}.", f"a {self.tables[name]!r}"
            raise FileError(
                what, f"load({self.path!r}, parts=...)", got, "leave it out, or assign it once it is loaded"
            )
        return model

    def _check_given(self) -> None:
        """All that is opaque is given, and nothing that is not there."""
        where = f"load({self.path!r}, parts=...)"
        parts = self.description.parts
        for name in self.given:
            if not isinstance(self.given[name], nn.Module):
                got, fix = type(self.given[name]).__name__, "give a module"
                raise InputError(f"the part {name!r} is no module.", where, got, fix)
            if name not in parts:
                got = f"opaque parts: {listed(repr(one) for one in self.description.opaque)}"
                fix = "give parts by their paths, as wye.inspect(path) lists them"
                raise FileError(f"the file has no part {name!r}.", where, got, fix)
        for name in self.description.opaque:
            if not any(is_within(name, one) for one in self.given):
                raise _opaque(name, parts[name], where, self.given)

    def _module(self, path: str) -> nn.Module:
        path = self.description.same.get(path, path)
        if path not in self.done:
            entry = self.description.parts[path]
            module = self.given[path] if path in self.given else self._made(path, entry)
            self._settle(path, module, entry)
        return self.done[path]

    def _settle(self, path: str, module: nn.Module, entry: Entry) -> None:
        """A module takes the modules inside that the file tells of, and is in training or not as it was."""
        self.done[path] = module
        inside = held(module)
        for name in entry.holds:
            new = self._inside(within(path, name), inside.get(name))
            if new is not inside.get(name):
                module._modules[name] = new  # pyright: ignore[reportPrivateUsage]
        if list(held(module)) != list(entry.holds):
            for name in entry.holds:  # in the order of the file
                module._modules[name] = module._modules.pop(name)  # pyright: ignore[reportPrivateUsage]
        for name in inside.keys() - set(entry.holds):
            got = f"{type(module).__name__} with `{name}`"
            fix = "give one that is built as the saved one was"
            raise FileError(f"the file holds no `{within(path, name)}`.", self.path, got, fix)
        if entry.state:
            switch(module, {name: read(value, again(self._module, self._own)) for name, value in entry.state.items()})
        module.training = not entry.eval

    def _inside(self, path: str, there: nn.Module | None) -> nn.Module:
        """What stands at a path: what is there already, where that is as the file tells."""
        first = self.description.same.get(path, path)
        if first in self.done or first != path or path in self.given:
            return self._module(path)
        entry = self.description.parts[path]
        if entry.opaque:
            if there is None:
                raise _opaque(path, entry, self.path, self.given)
        elif there is None or not self._alike(path, there, entry):
            new = self._module(path)
            if there is None or type(there) is not type(new):
                return new
            _become(there, new)
            self.done[path] = there
            return there
        self._settle(path, there, entry)
        return there

    def _alike(self, path: str, there: nn.Module, entry: Entry) -> bool:
        """Whether a module that its owner built is the one that the file tells of, but for what is inside."""
        try:
            return own(path, there) == (entry.kind, entry.settings)
        except WyeError:
            return False

    def _made(self, path: str, entry: Entry) -> nn.Module:
        """A module from its name in the registry and its settings."""
        try:
            return self._from(path, entry)
        except FileError:
            raise
        except UnregisteredError as error:
            what, fix = f"nothing is registered here as `{error.args[0][:60]}`.", "import what registers it"
            raise FileError(what, self._at(path), entry.kind, fix) from error
        except Exception as error:
            got = f"{type(error).__name__}: {str(error)[:200]}"
            fix = f"give one: {_given(path, entry)}" if entry.kind in registry.CLASSES else WHOLE
            raise FileError("no module can be built from what the file says.", self._at(path), got, fix) from error

    def _from(self, path: str, entry: Entry) -> nn.Module:
        def child(name: str) -> nn.Module:
            if name.partition(".")[0] not in entry.holds:
                raise ValueError(f"no part `{name}`")
            return self._module(resolved(f"{within(path, name)}.", self.description.same)[:-1])

        def empty(name: str) -> Tensor:
            return self._empty(within(path, name))

        own = self._own if entry.kind in registry.CLASSES else self._empty
        values = {
            name: read(value, again(child, lambda name: own(within(path, name))))
            for name, value in entry.settings.items()
        }
        if entry.kind in nodes.MODULES:
            return nodes.built(entry.kind, values, child, empty, lambda name: self._table(within(path, name)))
        if entry.kind in layers.LAYERS:
            self._check_rounds(values)
            with torch.device("meta"), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # who built it has been warned
                return layers.built(entry.kind, values, lambda name: self._count(within(path, name)), child)
        return self._registered(path, entry, values)

    def _registered(self, path: str, entry: Entry, values: dict[str, Any]) -> nn.Module:
        cls = registry.CLASSES.get(entry.kind)
        if cls is None:
            got = f"registered: {listed(sorted(registry.CLASSES))}"
            fix = f"import what registers it, or give one: {_given(path, entry)}"
            raise FileError(f"no class is registered here as `{entry.kind[:60]}`.", self._at(path), got, fix)
        return registry.built(cls, values)

    def _check_rounds(self, values: Mapping[str, Any]) -> None:
        """Layers that make weights in a loop make no more than the file holds."""
        rounds = values.get("num_layers", 0)
        if not isinstance(rounds, int) or rounds > len(self.tensors):
            raise ValueError(f"num_layers={str(rounds)[:40]}, where the file holds {len(self.tensors)} tensors")

    def _count(self, path: str) -> int:
        return len(self.description.parts[path].holds)

    def _table(self, key: str) -> Table:
        """A table of the caller, which the file does not hold."""
        if key not in self.tables:
            what, got = f"the table `{key[:60]}` is not in the file.", f"given: {listed(map(repr, self.tables))}"
            fix = f"give it: wye.load(path, parts={{{key!r}: wye.Table(...)}})"
            raise FileError(what, f"load({self.path!r}, parts=...)", got, fix)
        return self.tables.pop(key)

    def _own(self, key: str) -> Tensor:
        """A tensor of the file, for a constructor to do with as it likes."""
        key = self.description.first(key)
        if key not in self.tensors:
            raise ValueError(f"no tensor `{key}`")
        return self.tensors[key].clone()

    def _empty(self, key: str) -> Tensor:
        """The same on no device, where only its dtype and its shape matter."""
        key = self.description.first(key)
        if key not in self.tensors:
            raise ValueError(f"no tensor `{key}`")
        return torch.empty_like(self.tensors[key], device="meta")

    def _at(self, path: str) -> str:
        return f"{self.path}, part {path[:60]!r}" if path else self.path


def _given(path: str, entry: Entry) -> str:
    """The call that gives a part back."""
    return f"wye.load(path, parts={{{path!r}: {entry.kind[:60]}(...)}})"


def _opaque(path: str, entry: Entry, where: str, given: Mapping[str, nn.Module]) -> FileError:
    """A part that the file cannot build, and nobody gave."""
    kind, got = entry.kind[:60], f"given: {listed(repr(one) for one in given)}"
    fix = f"give one that is built alike: {_given(path, entry)}"
    if not path:
        fix = f"read its weights into one: wye.load_weights({kind}(...), path)"
    return FileError(
        f"{f'the part `{path}`' if path else 'the model'} is a {kind}, which its owner builds.", where, got, fix
    )


def _become(there: nn.Module, new: nn.Module) -> None:
    """A module takes the state of another of its class, and stays the object that others may refer to."""
    state: Any = new.__reduce_ex__(2)[2]
    restore: Callable[[Any], None] = cast(Any, there).__setstate__
    restore(state)
