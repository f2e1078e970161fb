"""`inspect`: what a saved model holds, read from its file and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from ..errors import FileError, printable
from .description import Description, described, within
from .reading import Reading, formulas_of, title
from .sealed import SIZES, WHOLE, Path, opened
from .weights import Outline

LONG = {"BOOL": "bool", "BF": "bfloat", "F": "float", "I": "int", "U": "uint", "C": "complex"}
SMALL = {"E4M3": "e4m3fn", "E8M0": "e8m0fnu"}
"""The floats of 8 bits that the frameworks call otherwise."""


@dataclass(frozen=True)
class Tensor:
    """A tensor in a file.

    Attributes:
        shape: its shape.
        dtype: its dtype in the words of the frameworks, such as `float32`.
        read_by: the path that reads it, and under which condition.
    """

    shape: tuple[int, ...]
    dtype: str
    read_by: str


@dataclass(frozen=True)
class Contents:
    """What a saved model holds; `print` shows it.

    Attributes:
        path: of the file.
        modules: the class of each module by its path, with what decides in it.
        formulas: the formulas by their place, `deep.condition` for one: joins, conditions, named values, schedules.
        tensors: weights, buffers, numbers and dice by key.
        shared: further paths and keys, with those under which the same thing is held.
        opaque: the paths of the modules that `load` must be given.
        size: bytes of all tensors.
    """

    path: str
    modules: Mapping[str, str]
    formulas: Mapping[str, str]
    tensors: Mapping[str, Tensor]
    shared: Mapping[str, str]
    opaque: Sequence[str]
    size: int

    def __str__(self) -> str:
        numbers = sum(prod(one.shape) for one in self.tensors.values())
        top = f"{self.path}: a {self.modules['']}; {len(self.tensors)} tensors of {numbers:,} numbers"
        rows = [(_line(key), _shape(one.shape), one.dtype, _line(one.read_by)) for key, one in self.tensors.items()]
        groups = {
            ("formula", "text"): list(self.formulas.items()),
            ("key", "shape", "dtype", "read by"): rows,
            ("shared", "is"): list(self.shared.items()),
            ("opaque part", "class"): [(name or "the model", self.modules[name]) for name in self.opaque],
        }
        return "\n\n".join(
            [f"{top}, {self.size:,} bytes", *(_table(head, rows) for head, rows in groups.items() if rows)]
        )


def inspect(path: Path) -> Contents:
    """Tells what a file of `save` holds, whether or not its classes are known here. It builds nothing.

    Args:
        path: of the file.

    Returns:
        What it holds; `print` shows the formulas, every key with shape and dtype, and the path that reads it.

    Raises:
        FileError: the file is none of `save`, or damaged.
        OSError: there is no such file.

    Example:
        >>> import tempfile, torch, wye
        >>> net = wye.Chain(torch.nn.Linear(4, 8), deep=wye.When("norm(x) > 1", torch.nn.Linear(8, 8)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     wye.save(net, f"{folder}/net.safetensors")
        ...     held = wye.inspect(f"{folder}/net.safetensors")
        >>> held.formulas
        {'deep.condition': 'norm(x) > 1'}
        >>> held.tensors["deep.then.weight"]
        Tensor(shape=(8, 8), dtype='float32', read_by='deep.then, by When norm(x) > 1')
    """
    with opened(path) as sealed:
        sealed.check()
    outlines = {key: (one.shape, _dtype(one.dtype)) for key, one in sealed.tensors.items()}
    size = sum(one.stop - one.start for one in sealed.tensors.values())
    try:
        return contents(sealed.path, described(sealed.path, sealed.text), outlines, size)
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        if isinstance(error, FileError):
            raise
        got = f"{type(error).__name__}: {str(error)[:200]}"
        raise FileError("the settings in the file make no sense.", sealed.path, got, WHOLE) from None


def contents(path: str, description: Description, outlines: Mapping[str, Outline], size: int) -> Contents:
    """What is in a file, from the description of its model.

    Args:
        path: of the file.
        description: of the model.
        outlines: the shape and the dtype of each tensor by key.
        size: the bytes of all of them.
    """
    reading = Reading(description)
    formulas = {
        within(place, name): text
        for place, entry in description.parts.items()
        for name, text in formulas_of(entry).items()
    }
    tensors = {key: Tensor(shape, dtype, reading.of(key)) for key, (shape, dtype) in outlines.items()}
    order = {place: number for number, place in enumerate(description.parts)}
    return Contents(
        path,
        {place: title(entry) for place, entry in description.parts.items()},
        formulas,
        {key: tensors[key] for key in sorted(tensors, key=lambda key: _place(key, order))},
        {**description.same, **description.ties},
        description.opaque,
        size,
    )


def _place(key: str, order: Mapping[str, int]) -> tuple[int, bool]:
    """Tensors in the order of their modules, weights before biases."""
    path = key.rpartition(".")[0]
    while path and path not in order:
        path = path.rpartition(".")[0]
    return order[path], key.endswith("bias")


def _dtype(name: str) -> str:
    if name.startswith("F8_"):
        return f"float8_{SMALL.get(name[3:], name[3:].lower())}"
    begin = next(begin for begin in LONG if name.startswith(begin))
    bits = str(8 * SIZES[name]) if name != "BOOL" else ""
    return LONG[begin] + bits


def _line(text: str) -> str:
    """In one line: a name that holds others would make rows of its own."""
    return text.replace("\n", "\\n")


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "()"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as what stands in them; more lines of a formula stand beneath its first."""
    widths = [
        max(len(line) for row in (head, *rows) for line in printable(row[column]).split("\n"))
        for column in range(len(head))
    ]
    lines = list[str]()
    for row in (head, *rows):
        cells = [printable(cell).split("\n") for cell in row]
        for line in range(max(map(len, cells))):
            texts = [cell[line] if line < len(cell) else "" for cell in cells]
            lines.append("  ".join(text.ljust(width) for text, width in zip(texts, widths, strict=True)).rstrip())
    return "\n".join(lines)
