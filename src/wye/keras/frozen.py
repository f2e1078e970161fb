"""`frozen`: a layer whose weights no gradient reaches, while gradients pass through to its inputs."""

from __future__ import annotations

from typing import Any

import keras

from ..errors import PartError
from .kernels import ops


@keras.saving.register_keras_serializable("wye")
class Frozen(keras.Layer):
    """A layer that is called with its weights held still."""

    def __init__(self, module: keras.Layer, name: str | None = None) -> None:
        super().__init__(name=name)
        self.module = module

    def call(self, *args: Any, **kwargs: Any) -> Any:
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


def frozen(module: keras.Layer) -> Frozen:
    """The layer with its weights held still: gradients pass through it, none to its weights.

    The weights stay its own and are saved with it; the same layer elsewhere still trains. On JAX, where a gradient
    cannot be missing, it is zero: an optimizer's weight decay still moves a weight that nothing else trains, unless
    `module.trainable = False`.

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
