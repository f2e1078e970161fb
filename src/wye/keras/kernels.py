"""Dtypes, sizes, views and picks of Keras tensors that generated code calls."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import keras
from keras import KerasTensor

from ..formula import refusals
from ..formula.axes import placed
from ..formula.graph import Axes
from ..formula.shapes import UNKNOWN, Shape
from ..formula.shapes import broadcast as together
from ..formula.shapes import sizes as known_sizes

Array = Any
Sizes = tuple[Any, ...]
Called = TypeVar("Called", bound=Callable[..., Any])

ops: Any = keras.ops
"""Functions of any tensors: Keras annotates few of them, and from their bodies one infers that they may be None."""
ON_JAX = keras.backend.backend() == "jax"
ON_TENSORFLOW = keras.backend.backend() == "tensorflow"
WHOLE = "int32" if ON_JAX else "int64"
"""The dtype of whole numbers: JAX has none of 64 bits unless told."""
NARROW = {"float64": "float32", "int64": "int32"} if ON_JAX else {}


class TensorType(type):
    """Makes `isinstance(x, Tensor)` ask Keras, whose tensors are those of its backend, and symbols of them."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, KerasTensor | keras.Variable) or bool(ops.is_tensor(value))


class Tensor(metaclass=TensorType):
    """Any tensor of the backend, a variable, or a symbol of a tensor."""

    dtype: Any
    shape: Any


class Dtypes:
    """A set of dtypes by name, asked with whatever a backend calls its dtypes."""

    def __init__(self, *names: str) -> None:
        self.names = frozenset(names)
        self.known: dict[Any, bool] = {None: False}

    def __contains__(self, dtype: Any) -> bool:
        if dtype not in self.known:
            self.known[dtype] = keras.backend.standardize_dtype(dtype) in self.names
        return self.known[dtype]


FLOATS = Dtypes("float16", "bfloat16", "float32", "float64")
HALF = Dtypes("float16", "bfloat16")
LONG = Dtypes("float32", "float64")
SMALL = Dtypes("bool", "uint8", "int8", "int16", "uint16")
BOOLEAN = Dtypes("bool")
COMPLEX = Dtypes("complex64", "complex128")


def dtype_name(x: Array) -> str:
    return keras.backend.standardize_dtype(x.dtype)


def truth(x: Array) -> bool | None:
    """Whether it is true; None while a graph is captured, where nobody knows yet."""
    try:
        return bool(x)
    except (TypeError, RuntimeError, NotImplementedError):
        return None


def as_it_stands(function: Called) -> Called:
    """The function, which TensorFlow's AutoGraph is to call, not to rewrite."""
    function.autograph_info__ = None  # type: ignore[attr-defined]
    return function


def constant(name: str, value: Any, dtype: str | None = None) -> keras.Variable:
    """A variable that no optimizer moves, of a copy: torch writes in place, and JAX uses up what a step is given."""
    made: Any = keras.Variable
    own = ops.copy(value) if not ON_TENSORFLOW and ops.is_tensor(value) else value
    return made(own, dtype=dtype, trainable=False, autocast=False, name=name)


# dtypes


def number_dtype(x: float, like: Array = None) -> str:
    if isinstance(x, bool):
        return "bool"
    if isinstance(x, int):
        return WHOLE
    return dtype_name(like) if like is not None and like.dtype in FLOATS else keras.config.floatx()


def one_number(x: float, like: Array = None) -> Array:
    """A number as a tensor: whole ones stay whole, those with a fraction are floats like others."""
    return ops.convert_to_tensor(x, dtype=number_dtype(x, like))


def real(x: Array) -> Array:
    """x itself; complex numbers are refused."""
    if x.dtype in COMPLEX:
        raise refusals.complex_numbers(dtype_name(x))
    return x


def to_float(x: Array, like: Array = None) -> Array:
    """Whole numbers and booleans as floats like others, else in Keras's floatx; floats as they are."""
    if real(x).dtype in FLOATS:
        return x
    return ops.cast(x, number_dtype(1.0, like))


def widen(x: Array) -> Array:
    """Booleans and whole numbers below 32 bits in Keras's floatx; all else as it is."""
    return ops.cast(x, keras.config.floatx()) if x.dtype in SMALL else real(x)


def to_tensor(x: Any, like: Array = None) -> Array:
    """A number as a tensor, in the floats of the formula."""
    dtype = number_dtype(1.0, like)
    return ops.cast(x, dtype) if isinstance(x, Tensor) else ops.convert_to_tensor(x, dtype=dtype)


def number_like(number: Any, like: Array) -> Any:
    """A number in the dtype of the values it meets; those of Python fit as they are."""
    return ops.cast(number, number_dtype(1.0, like)) if isinstance(number, Tensor) else number


def cast(x: Array, dtype: str) -> Array:
    return ops.cast(x, NARROW.get(dtype, dtype))


def alike(left: Array, right: Array) -> tuple[Array, Array]:
    """Both in the dtype that they have together."""
    dtype = keras.backend.result_type(left.dtype, right.dtype)
    return ops.cast(left, dtype), ops.cast(right, dtype)


def in_one_dtype(function: Callable[[Array, Array], Array]) -> Callable[[Any, Any], Array]:
    """A function of two values, given tensors of one dtype: alone it would take numbers for float32."""

    def applied(x: Any, y: Any) -> Array:
        x, y = (value if isinstance(value, Tensor) else one_number(value, other) for value, other in ((x, y), (y, x)))
        return function(*alike(x, y))

    return applied


def add(x: Any, y: Any) -> Array:
    """x + y. On TensorFlow `ops.add` takes a column for a bias: to a square matrix it adds it as a row.

    A symbol is left to Keras: JAX would take one beside its own tensor for a value.
    """
    if not (isinstance(x, Tensor) and isinstance(y, Tensor)):
        return ops.add(x, y)
    x, y = alike(x, y)
    return ops.add(x, y) if isinstance(x, keras.KerasTensor) or isinstance(y, keras.KerasTensor) else x + y


def squared(x: Array) -> Array:
    """x ** 2; in TensorFlow's graphs as a product, whose two gradients become one, where that of a square stays two."""
    return ops.multiply(x, x) if in_graph(x) else ops.square(x)


def in_graph(x: Array) -> bool:
    """Whether it stands for a value in one of TensorFlow's graphs."""
    return ON_TENSORFLOW and hasattr(x, "op")


def graphs(x: Array) -> Iterator[Any]:
    """The graph of TensorFlow that a tensor belongs to, and those around it."""
    graph = getattr(x, "graph", None) if ON_TENSORFLOW else None
    while graph is not None:
        yield graph
        graph = getattr(graph, "outer_graph", None)


def by_xla(x: Array) -> bool:
    """Whether it stands for a value in a graph of TensorFlow that XLA compiles."""
    for graph in graphs(x):
        context = graph._get_control_flow_context()
        while context is not None:
            if context.IsXLAContext():
                return True
            context = context.outer_context
    return False


# sizes


def sizes(x: Array) -> Sizes:
    """The shape; a size not known before the run is a tensor, and in a symbol `UNKNOWN`."""
    return known_sizes(x.shape) if isinstance(x, KerasTensor) else tuple(ops.shape(x))


def is_empty(x: Array) -> bool:
    """Whether it is known to have no entries."""
    return any(isinstance(size, int) and size == 0 for size in x.shape)


def size(x: Array, dim: int) -> Any:
    """The length of an axis: a number where it is known, else a tensor of the run."""
    found = sizes(x)[dim]
    return KerasTensor((), "int32") if found is UNKNOWN else found


def reshape(x: Array, shape: Sizes) -> Array:
    """x in another shape, of which any sizes may not be known before the run."""
    if isinstance(x, KerasTensor):
        return KerasTensor(tuple(size if isinstance(size, int) else None for size in shape), x.dtype)
    return ops.reshape(x, shape)


def rows(x: Array) -> Array:
    """All axes but the first as one."""
    first, *others = sizes(x)
    return reshape(x, (first, math.prod(others)))


def broadcast(x: Array, like: Array) -> Array:
    """x repeated to the shape that both have together."""
    both: Sizes | None = together(known_sizes(x.shape), known_sizes(like.shape))
    if both is not None and all(isinstance(size, int) for size in both):
        return ops.broadcast_to(x, both)
    return ops.where(ops.ones_like(like, dtype="bool"), x, x)


def positions(x: Array, dim: int) -> Array:
    """0, 1, ... along an axis of x."""
    count = sizes(x)[dim]
    return KerasTensor((None,), WHOLE) if count is UNKNOWN else ops.arange(count, dtype=WHOLE)


# views


def select(x: Array, dim: int, place: int) -> Array:
    return ops.take(x, place, axis=dim)


def diagonal(x: Array, first: int, second: int) -> Array:
    return ops.diagonal(x, 0, first, second)


def spread(x: Array, own: Axes, axes: Axes, others: Sequence[tuple[Array, Axes]]) -> Array:
    """x with the axes in the order `axes`; `...` is as long as the longest of all."""
    wanted = placed(len(x.shape), own, axes, [(len(value.shape), names) for value, names in others])
    order = [dim for dim in wanted if dim is not None]
    if order != list(range(len(order))):
        x = ops.transpose(x, order)
    for place, dim in enumerate(wanted):
        if dim is None:
            x = ops.expand_dims(x, place)
    return x


def fit(context: Array, *data: Array) -> Array:
    """Context of one element without its axes, where it has more of them than the data it meets."""
    most = max(len(value.shape) for value in data)
    return reshape(context, ()) if len(context.shape) > most and is_one(context.shape) else context


def level(
    values: Sequence[Array], place: int, strict: bool, facts: Sequence[tuple[bool, bool, tuple[int, ...], bool]]
) -> Array:
    """One of several values that meet sample by sample: its own axes behind that of the samples."""
    own: list[Shape] = [
        known_sizes(value.shape[1:] if sample else value.shape)
        for value, (_, sample, _, _) in zip(values, facts, strict=True)
    ]
    if strict:
        refusals.check_within_a_sample(own, facts)
    value, sample = values[place], facts[place][1]
    if not sample:
        return reshape(value, ()) if is_one(own[place]) else value
    first, *rest = sizes(value)
    return reshape(value, (first, *[1] * (max(map(len, own)) - len(own[place])), *rest))


def is_one(shape: Sequence[Any]) -> bool:
    """Whether a value of this shape is known to have one entry."""
    return all(isinstance(size, int) and size == 1 for size in shape)
