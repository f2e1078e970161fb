"""`frozen`: a layer whose weights no gradient reaches, while gradients pass through to its inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras

from ..errors import PartError
from .kernels import ops

if TYPE_CHECKING:
    Seen = keras.Model
else:
    Seen = object


@keras.saving.register_keras_serializable("wye")
class Frozen(keras.Layer):
    """A layer that is called with its weights held still."""

    def __init__(self, module: keras.Layer, name: str | None = None) -> None:
        super().__init__(name=name)
        self.module = module

    def build(self, input_shape: Any = None) -> None:
        """The layer is built as it is called."""

    def call(self, *args: Any, **kwargs: Any) -> Any:
        if not self.module.built:
            symbols: Any = keras.tree.map_structure(_symbol, (args, kwargs))
            self.module(*symbols[0], **symbols[1])
        still = [(variable, ops.stop_gradient(variable.value)) for variable in self.module.variables]
        with keras.StatelessScope(state_mapping=still) as scope:
            found = self.module(*args, **kwargs)
        for variable in self.module.non_trainable_variables:
            value = scope.get_current_value(variable)
            if value is not None:
                variable.assign(value)  # what the layer wrote itself, such as the averages of a batch norm
        return found

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {"module": keras.saving.serialize_keras_object(self.module), "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Frozen:  # pyright: ignore
        return cls(keras.saving.deserialize_keras_object(config["module"]), config["name"])


def _symbol(value: Any) -> Any:
    if not ops.is_tensor(value):
        return value
    return keras.KerasTensor(tuple(value.shape), keras.backend.standardize_dtype(value.dtype))


class Stilled(Seen):
    """A layer that counts what stands only behind `frozen` among the variables that no optimizer moves."""

    @property
    def trainable_variables(self) -> list[Any]:
        return self._without_still(super().trainable_variables)

    @property
    def trainable_weights(self) -> list[Any]:
        return self._without_still(super().trainable_weights)

    @property
    def non_trainable_variables(self) -> list[Any]:
        return [*super().non_trainable_variables, *self._only_still(super().trainable_variables)]

    @property
    def non_trainable_weights(self) -> list[Any]:
        return [*super().non_trainable_weights, *self._only_still(super().trainable_weights)]

    def _without_still(self, variables: list[Any]) -> list[Any]:
        still = self._held_still()
        return [one for one in variables if id(one) not in still]

    def _only_still(self, variables: list[Any]) -> list[Any]:
        still = self._held_still()
        return [one for one in variables if id(one) in still]

    def _held_still(self) -> set[int]:
        """The ids of variables that stand behind `frozen` and nowhere else."""
        behind, free, waiting, known = set[int](), set[int](), list[Any]([self]), set[int]()
        while waiting:
            layer = waiting.pop()
            if id(layer) in known:
                continue
            known.add(id(layer))
            if isinstance(layer, Frozen):
                behind |= {id(one) for one in layer.variables}
            else:
                free |= {id(one) for one in layer._trainable_variables}
                waiting += layer._layers
        return behind - free


def frozen(module: keras.Layer) -> Frozen:
    """The layer with its weights held still: gradients pass through it, none to its weights.

    The weights stay its own and are saved with it; the same layer elsewhere still trains. A model of wye counts those
    that stand nowhere else among its `non_trainable_variables`; any other model of Keras hands them to its optimizer,
    which gets no gradient for them on TensorFlow and torch, and zeros on JAX.

    Example:
        >>> import keras, wye.keras as wye
        >>> target = keras.layers.Dense(2)
        >>> join = wye.Join("mse(a(x), b(x))", a=keras.layers.Dense(2), b=wye.frozen(target))
        >>> tuple(join(keras.ops.ones((1, 2))).shape)
        ()
    """
    if not isinstance(module, keras.Layer):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise PartError(
            "only a layer can be frozen.", "frozen(...)", type(module).__name__, "write stop(x) for a value"
        )
    return Frozen(module)
