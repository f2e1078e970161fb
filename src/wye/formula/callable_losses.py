"""The losses of the catalogue as functions of Python: each is one call of a formula, whatever the front."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from ..errors import InputError
from .functions import FUNCTIONS, Option
from .text import write
from .tree import Call, Name, Negative, Node, Number, Several, Text, Truth


class Losses:
    """The named losses, computed by the `evaluate` of a front.

    Each takes tensors, and returns one: without axes, or with `reduction="none"` one loss for each entry, row or
    pair. The dtype is that of the floats given. What does not fit is refused as in a formula, with the place and
    the cure.
    """

    def __init__(self, evaluate: Callable[..., Any]) -> None:
        self._evaluate = evaluate

    def mse(self, pred: Any, target: Any, reduction: str = "mean") -> Any:
        """The mean squared error: mean((pred - target)²); of nothing it is 0.

        Args:
            pred: floats of any shape.
            target: numbers of that shape.
            reduction: "mean" or "sum" over all entries, or "none".

        Raises:
            ShapeError: the shapes differ. In a formula, name the axes to broadcast on purpose.

        Example:
            >>> import numpy, wye
            >>> float(wye.losses.mse(numpy.array([1.0, 3.0]), numpy.array([0.0, 1.0])))
            2.5
        """
        return self._value("mse", {"pred": pred, "target": target}, reduction=reduction)

    def cross_entropy(
        self,
        logits: Any,
        target: Any,
        reduction: str = "mean",
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
    ) -> Any:
        """Cross entropy: the mean of -log(softmax(logits)[target]), over the last axis (Goodfellow et al. 2016, 6.2).

        Args:
            logits: floats, the classes along the last axis.
            target: class ids, whole numbers of the shape of the logits without their last axis; or probabilities of
                the shape of the logits.
            reduction: "mean" over the targets kept (0 if there are none), "sum", or "none".
            ignore_index: the class id of targets that are left out.
            label_smoothing: how much of the target is spread over all classes, from 0 to 1 (Szegedy et al. 2016, 7).

        Raises:
            ShapeError: the shapes do not fit, or the class ids are no whole numbers.
            RangeError: a class id is out of range. A captured graph cannot refuse it.

        Example:
            >>> import numpy, wye
            >>> logits, label = numpy.array([[2.0, 0.0], [0.0, 0.0]]), numpy.array([0, 1])
            >>> round(float(wye.losses.cross_entropy(logits, label)), 4)
            0.41
        """
        options: dict[str, Any] = {"ignore_index": ignore_index, "label_smoothing": label_smoothing}
        return self._value("cross_entropy", {"logits": logits, "target": target}, reduction=reduction, **options)

    def pair(
        self,
        a: Any,
        b: Any,
        label: Any,
        margin: float = 0.1,
        label_weights: Sequence[float] | None = None,
        reduction: str = "mean",
    ) -> Any:
        """Draws pairs together or apart: with s = Σ a·b over the last axis, 1 - s or max(0, s + margin).

        The first is the loss where the label is 1, the second where it is 0. s is not normalised, and is computed in
        the dtype of the values: give `unit(a)` for cosines, and float32 where 16 bits are too few.

        Args:
            a: floats of shape (..., d).
            b: floats of that shape.
            label: 1 or True for pairs that belong together, 0 or False for others; of shape (...).
            margin: how far below 0 the products of pairs that do not belong together are to be.
            label_weights: (w0, w1) multiply the losses of labels 0 and 1; left out, both are 1.
            reduction: "mean" over all pairs (0 if there are none), "sum", or "none".

        Raises:
            ShapeError: the shapes do not fit, or the label is of floats.
            RangeError: a label is neither 0 nor 1. In a captured graph, and on an accelerator under torch, nobody
                looks: the loss of that pair is NaN there.

        Example:
            >>> import numpy, wye
            >>> a, b = numpy.array([[1.0, 0.0], [0.5, 0.5]]), numpy.array([[0.5, 1.0], [1.0, 0.0]])
            >>> wye.losses.pair(a, b, numpy.array([1, 0]), label_weights=(0.7, 0.3), reduction="none").round(4)
            array([0.15, 0.42])
        """
        options: dict[str, Any] = {"margin": margin, "label_weights": label_weights}
        return self._value("pair", {"a": a, "b": b, "label": label}, reduction=reduction, **options)

    def pair_margin(
        self,
        a: Any,
        b: Any,
        label: Any,
        margin: float = 0.2,
        label_weights: Sequence[float] | None = None,
        reduction: str = "mean",
    ) -> Any:
        """Draws pairs together or apart up to a margin: with s = Σ a·b, max(0, margin - s) or max(0, s + margin).

        As in `pair`, whose arguments and errors these are, the first is the loss where the label is 1. `margin` is
        also how far above 0 the products of pairs that belong together are to be.

        Example:
            >>> import numpy, wye
            >>> a, b = numpy.array([[0.1, 0.0], [0.5, 0.5]]), numpy.array([[0.5, 1.0], [1.0, 0.0]])
            >>> wye.losses.pair_margin(a, b, numpy.array([1, 0]), reduction="none").round(4)
            array([0.15, 0.7 ])
        """
        options: dict[str, Any] = {"margin": margin, "label_weights": label_weights}
        return self._value("pair_margin", {"a": a, "b": b, "label": label}, reduction=reduction, **options)

    def _value(self, name: str, values: dict[str, Any], **options: Any) -> Any:
        function = FUNCTIONS[name]
        usual = function.options
        given = tuple(
            (key, value if value is usual[key] else _constant(name, key, value)) for key, value in options.items()
        )
        extra = tuple(key for key in function.extra if values.get(key) is not None)
        values = {key: values[key] for key in (*function.values, *extra)}
        return self._evaluate(_text(name, extra, given), **values)


def _constant(name: str, key: str, value: Any) -> Option:
    """The value of a keyword, if it is made of words and numbers."""
    several = isinstance(value, tuple | list)
    items: tuple[Any, ...] = (*value,) if several else (value,)  # pyright: ignore[reportUnknownVariableType]
    truth = isinstance(FUNCTIONS[name].options[key], bool)
    known = all(isinstance(item, str | int | float) and (truth or not isinstance(item, bool)) for item in items)
    if not known and value is not None:
        where, got = f"losses.{name}(..., {key}=...)", type(value).__name__  # pyright: ignore[reportUnknownArgumentType]
        raise InputError(f"`{key}` is a constant.", where, got, f"write {key}={FUNCTIONS[name].options[key]!r}")
    return items if several else value  # pyright: ignore[reportUnknownVariableType]


@lru_cache(maxsize=256)
def _text(name: str, extra: tuple[str, ...], options: tuple[tuple[str, Option], ...]) -> str:
    """The call as it is written in a formula; what is as it would be anyway is left out."""
    function = FUNCTIONS[name]
    written = tuple((key, _node(value)) for key, value in options if value not in (None, function.options[key]))
    keywords = (*((key, Name(key)) for key in extra), *written)
    return write(Call(name, tuple(map(Name, function.values)), keywords))


def _node(value: Any) -> Node:
    match value:
        case str():
            return Text(value)
        case bool():
            return Truth(value)
        case tuple():
            return Several(tuple(map(_node, value)))  # pyright: ignore[reportUnknownArgumentType]
        case _ if value < 0:
            return Negative(_node(-value))
        case _:
            # Those of NumPy are numbers that print otherwise.
            return Number(int(value) if isinstance(value, int) else float(value))
