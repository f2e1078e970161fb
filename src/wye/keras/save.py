"""`save`, `load`, `load_weights` and `inspect`: a model in one file of Keras: formulas and weights, and no code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from os import PathLike
from typing import Any, cast

import keras
import numpy as np

from ..errors import FileError, InputError, listed
from ..keep.aside import written_aside
from ..keep.inspecting import Contents, contents
from ..keep.weights import Loaded, compared, misfit
from .describing import missing, named
from .parts import Parts
from .table import Table


def save(model: keras.Model, path: str | PathLike[str]) -> None:
    """Writes a model as a `.keras` file: its formulas, layers and settings as text, and its weights.

    It is `model.save(path)`, written aside, synced, and then put in its place: what fails, or is killed, leaves an old
    file whole. A layer that stands in several places is written once. A callable is refused, by name: nothing that is
    loaded may run code.

    Args:
        model: of wye, or any of Keras that holds some.
        path: ends with `.keras`.

    Raises:
        PartError: a part is a callable.
        ValueError: the path ends otherwise.

    Example:
        >>> import keras, tempfile, wye.keras as wye
        >>> join = wye.Join("a(x) * gain", a=keras.layers.Dense(2), gain=0.5)
        >>> x = keras.ops.ones((1, 3))
        >>> y = join(x)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     wye.save(join, f"{folder}/join.keras")
        ...     again = wye.load(f"{folder}/join.keras")
        >>> bool(keras.ops.all(again(x) == y)), str(again.formula)
        (True, 'a(x) * gain')
    """
    if not isinstance(model, keras.Model):  # pyright: ignore[reportUnnecessaryIsInstance]
        got, fix = type(model).__name__, "save the model around it, or a Chain of it: wye.save(wye.Chain(node), path)"
        raise InputError("only a model is saved.", "save(...)", got, fix)
    _hand_back(model)
    name = os.fspath(path)
    if not name.endswith(".keras") or "://" in name:
        model.save(name)
        return
    with written_aside(name) as aside:
        model.save(aside)


def load(path: str | PathLike[str], parts: Mapping[str, Any] = {}) -> Any:
    """Reads a model that `save` wrote, in Keras's safe mode: nothing in the file runs.

    Args:
        path: of the file.
        parts: the tables that the file does not hold, by their paths: memory maps, sparse matrices, and those with
            `persistent=False`. They are read and updated as the saved ones were. A layer is none of them: its class
            is registered with `keras.saving.register_keras_serializable`.

    Raises:
        FileError: a table is not given, or one that the file does not ask for is.
        InputError: what is given is no table.
        ValueError: there is no such file, or it is none of Keras.

    Example:
        >>> import keras, tempfile, wye.keras as wye
        >>> weights = wye.Table(keras.ops.array([0.5, 1.0, 2.0]), persistent=False)
        >>> join = wye.Join("w[b] * x[b]", w=weights)
        >>> given = {"x": keras.ops.ones(2), "id": keras.ops.array([2, 0])}
        >>> y = join(given)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     wye.save(join, f"{folder}/join.keras")
        ...     again = wye.load(f"{folder}/join.keras", parts={"w": weights})
        >>> bool(keras.ops.all(again(given) == y))
        True
    """
    where = f"load({os.fspath(path)!r}, parts=...)"
    for name, value in parts.items():
        if not isinstance(value, Table):
            fix = "give a Table; the class of a layer is registered: keras.saving.register_keras_serializable()"
            raise InputError(f"the part {name!r} is no table.", where, type(value).__name__, fix)
    model: Any = keras.saving.load_model(path, safe_mode=True)
    wanted = missing(model)
    for key in wanted:
        if key not in parts:
            fix = f"give it: wye.load(path, parts={{{key!r}: wye.Table(...)}})"
            given = f"given: {listed(repr(one) for one in parts)}"
            raise FileError(f"the table `{key[:60]}` is not in the file.", where, given, fix)
    for key, value in parts.items():
        if key not in wanted:
            fix = "leave it out, or assign it once it is loaded"
            raise FileError(f"the file asks for no table {key!r}.", where, f"a {value!r}", fix)
    for key, (layer, name) in wanted.items():
        layer._give_table(name, parts[key])
    if wanted and not all(one.supports_jit for one in model._flatten_layers()):
        model.jit_compile = False  # as Keras settles it where it knows that before
    return model


def load_weights(model: keras.Model, path: str | PathLike[str], *, strict: bool = True) -> Loaded:
    """Reads the weights of a file into a model that is there, whose formulas and nodes may be others.

    Weights belong to each other by the names of stages and parts, where Keras itself goes by the classes of layers.
    They are assigned, in the dtype of the model. Numbers and dice are among them, formulas and settings are not.

    Args:
        model: built, such as another network over parts of the same names.
        path: of a file that `save` wrote.
        strict: whether all weights of the file must fit all of the model; False fills what fits.

    Returns:
        What matched and what did not.

    Raises:
        FileError: with `strict`, keys or shapes differ, and the model is as it was.
        InputError: the model is not built, so that it has no weights yet.

    Example:
        >>> import keras, tempfile, wye.keras as wye
        >>> x = keras.ops.ones((1, 4))
        >>> looped = wye.Chain(loop=wye.While("norm(x) < 10", keras.layers.Dense(4), max_steps=9))
        >>> other = wye.Chain(loop=wye.Repeat(keras.layers.Dense(4), 2))
        >>> y, z = looped(x), other(x)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     wye.save(looped, f"{folder}/net.keras")
        ...     print(wye.load_weights(other, f"{folder}/net.keras"))
        2 matched
    """
    if not model.built or not all(layer.built for layer in cast(Any, model)._flatten_layers()):
        got = f"{model.name}, not built"
        raise InputError("a model has no weights before it is built.", "load_weights(...)", got, "call it on one batch")
    _hand_back(model)
    description, held = named(keras.saving.load_model(path, safe_mode=True))
    _, state = named(model)
    found = compared(_outlines(state), _outlines(held), description.first)
    if strict and not found.whole:
        raise misfit(os.fspath(path), found)
    for key in found.matched:
        state[key].assign(keras.ops.cast(held[description.first(key)].value, state[key].dtype))
    return found


def inspect(path: str | PathLike[str]) -> Contents:
    """Tells what a file of `save` holds: the model is loaded for it, in Keras's safe mode.

    Args:
        path: of the file.

    Returns:
        What it holds; `print` shows the formulas, every variable with shape and dtype, and the path that reads it.

    Raises:
        ValueError: there is no such file, or it is none of Keras.

    Example:
        >>> import keras, tempfile, wye.keras as wye
        >>> net = wye.Chain(keras.layers.Dense(8), deep=wye.When("norm(x) > 1", keras.layers.Dense(8)))
        >>> y = net(keras.ops.ones((1, 4)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     wye.save(net, f"{folder}/net.keras")
        ...     held = wye.inspect(f"{folder}/net.keras")
        >>> held.formulas, held.tensors["deep.then.kernel"].read_by
        ({'deep.condition': 'norm(x) > 1'}, 'deep.then, by When norm(x) > 1')
    """
    description, held = named(keras.saving.load_model(path, safe_mode=True))
    size = sum(np.asarray(keras.ops.convert_to_numpy(one.value)).nbytes for one in held.values())
    return contents(os.fspath(path), description, _outlines(held), size)


def _hand_back(model: Any) -> None:
    """On JAX a running fit holds the variables itself: it hands them back before they are read or written."""
    for layer in model._flatten_layers():
        if hasattr(layer, "jax_state_sync"):
            layer.jax_state_sync()
        if isinstance(layer, Parts):
            layer._held.synced()  # pyright: ignore[reportPrivateUsage]


def _outlines(variables: dict[str, Any]) -> dict[str, tuple[tuple[int, ...], str]]:
    return {key: (tuple(one.shape), one.dtype) for key, one in variables.items()}
