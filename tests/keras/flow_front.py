"""Small nets and values on either front, of which wrong calls are made: what each tells is to be the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import torch

import wye as on_torch
import wye.keras as on_keras
from tests.keras.plain import dense


class Front:
    """What a wrong call needs, on one front.

    Args:
        wye: the front.
        tensor: an array as a tensor.
        linear: a layer, from its widths in and out.
        relu: the class of a layer.
        side: a layer that takes the side input `rows`.
        joined: tensors one behind the other, along an axis.
    """

    def __init__(
        self,
        wye: Any,
        tensor: Callable[..., Any],
        linear: Callable[[int, int], Any],
        relu: type,
        side: type,
        joined: Callable[..., Any],
    ) -> None:
        self.wye, self.tensor, self.linear, self.relu = wye, tensor, linear, relu
        self.side, self.joined = side, joined
        self.X = tensor(np.zeros((4, 2), "float32"))
        self.C = tensor(np.array([1, 0, 1, 0], "float32"))
        self.FIRST = tensor(np.array([0, 0, 0, 1]))
        self.nan = float("nan")

    def of(self, *numbers: Any) -> Any:
        return self.tensor(np.array(numbers))

    def floats(self, *numbers: Any) -> Any:
        return self.tensor(np.array(numbers, "float32"))

    def ones(self, *shape: int) -> Any:
        return self.tensor(np.ones(shape, "float32"))

    def when(self, condition: Any = "c > 0.5", then: Any = "x + 1", otherwise: Any = None, **settings: Any) -> Any:
        return self.wye.When(condition, then, otherwise, **settings)

    def loop(self, block: Any = "x + 1", condition: Any = "norm(x) < 10", **settings: Any) -> Any:
        return self.wye.While(condition, block, **{"max_steps": 3, **settings})

    def repeat(self, times: Any, block: Any = "x + 1", **settings: Any) -> Any:
        return self.wye.Repeat(block, times, **settings)

    def switch(self, *branches: Any, index: Any = "c", **settings: Any) -> Any:
        return self.wye.Switch(index, *(branches or ("x + 1", "2 * x", None)), **settings)

    def choice(self, *branches: Any, **settings: Any) -> Any:
        return self.wye.RandomChoice(*(branches or ("x + 1", "2 * x")), **settings)

    def sided(self) -> Any:
        return self.side()

    def wider(self, x: Any) -> Any:
        return self.joined([x, x], 1)

    def fewer(self, x: Any) -> Any:
        return x[:1]

    def assigned(self, net: Any, name: str, value: Any) -> None:
        setattr(net, name, value)

    def eval(self, net: Any) -> Any:
        return net.eval() if isinstance(net, torch.nn.Module) and self.wye is on_torch else net


class SidedOnKeras(keras.Layer):
    def call(self, x: Any, rows: Any) -> Any:
        return x * rows[:, None]


class SidedOnTorch(torch.nn.Module):
    def forward(self, x: Any, rows: Any) -> Any:
        return x * rows[:, None]


SidedOnKeras.__name__ = SidedOnTorch.__name__ = "Sided"  # what messages call them


def built(width: int, units: int) -> keras.layers.Dense:
    return dense(1, units, width)


ON_KERAS = Front(on_keras, keras.ops.convert_to_tensor, built, keras.layers.ReLU, SidedOnKeras, keras.ops.concatenate)
ON_TORCH = Front(on_torch, torch.as_tensor, torch.nn.Linear, torch.nn.ReLU, SidedOnTorch, torch.cat)
