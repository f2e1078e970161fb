"""`Named`: how a layer of ours takes its inputs: by name, whatever way they are given, and built on symbols of them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import keras
from keras import KerasTensor

from .frozen import Stilled
from .holding import Holder
from .kernels import Tensor


class Named(Stilled):
    """A layer whose inputs have names. Its `call` gets one value: a dict of them."""

    _held: Holder
    autograph_info__ = None  # TensorFlow's AutoGraph is to call it, not to rewrite it

    def _by_name(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What `call` gets."""
        raise NotImplementedError

    def __call__(self, *args: Any, training: bool | None = None, **kwargs: Any) -> Any:
        inputs = self._by_name(args, kwargs)
        if not self.built:
            try:
                self._build_on(keras.tree.map_structure(outline, inputs))
            except NotImplementedError:  # a layer inside tells no shape before it runs; each is built as it is called
                self.built = True
        return super().__call__(inputs, training=training) if training is not None else super().__call__(inputs)

    def stateless_call(
        self,
        trainable_variables: Any,
        non_trainable_variables: Any,
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> Any:
        """As that of Keras, which would pass by all that a call says: names, and whether it is training."""
        own: list[Any] = [*self.trainable_variables, *self.non_trainable_variables]
        mapping = list(zip(own, [*trainable_variables, *non_trainable_variables], strict=True))
        with keras.StatelessScope(state_mapping=mapping, collect_losses=return_losses) as scope:
            outputs = self(*args, **kwargs)
            losses: Any = self.losses if return_losses else None
        written = [scope.get_current_value(variable) for variable in self.non_trainable_variables]
        return (outputs, written, losses) if return_losses else (outputs, written)

    def _build_on(self, symbols: Any) -> Any:
        """Builds all layers inside, by a call on symbols, and returns what that gave."""
        with keras.name_scope(self.name, caller=self), untraced(self):
            outline = self.compute_output_spec(symbols)
        self._shapes = Shapes(symbols)
        self.built = True
        return outline

    def get_build_config(self) -> dict[str, Any] | None:
        shapes = getattr(self, "_shapes", None)
        return None if shapes is None else {"inputs": keras.tree.map_structure(_written, shapes.symbols)}

    def build_from_config(self, config: dict[str, Any]) -> None:
        if not self.built and config.get("inputs") is not None:
            self._build_on(_read(config["inputs"]))

    def _seen(self) -> None:
        """Notes who is called around this layer: what is made of that must be made anew when this changes."""
        self._held.outer.add(self._get_call_context().entry_layer)


@contextmanager
def untraced(layer: Any) -> Generator[None, None, None]:
    """Within, calls on symbols leave no trace in the layers inside: a functional model counts the calls of each."""
    calls = [
        (nodes, len(nodes))
        for inner in layer._flatten_layers(include_self=False)
        for nodes in (inner._inbound_nodes, inner._outbound_nodes)
    ]
    try:
        yield
    finally:
        for nodes, count in calls:
            del nodes[count:]
        layer._maybe_reset_call_context()  # outside of a call nobody else would, and later calls would see this one


class Shapes:
    """What a layer was built on."""

    def __init__(self, symbols: Any) -> None:
        self.symbols = symbols


def outline(value: Any) -> Any:
    """A symbol of a tensor, in the dtype that a layer will see."""
    if not isinstance(value, Tensor) and not hasattr(value, "__array__"):
        return value
    dtype = keras.backend.standardize_dtype(value.dtype)
    return KerasTensor(tuple(value.shape), keras.config.floatx() if dtype.startswith(("float", "bfloat")) else dtype)


def _written(symbol: Any) -> dict[str, Any]:
    return {"shape": list(symbol.shape), "dtype": symbol.dtype}


def _read(written: Any) -> Any:
    if isinstance(written, dict) and written.keys() == {"shape", "dtype"}:  # pyright: ignore[reportUnknownMemberType]
        return KerasTensor(tuple(written["shape"]), written["dtype"])  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(written, dict):
        return {name: _read(value) for name, value in written.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(written, list | tuple):
        return type(written)(map(_read, written))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return written
