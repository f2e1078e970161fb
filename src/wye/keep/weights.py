"""`Loaded`: which weights of a file went into a model, and which did not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import FileError, printable

Shape = tuple[int, ...]
Outline = tuple[Shape, str]
"""The shape and the dtype of a weight."""


@dataclass(frozen=True)
class Loaded:
    """What became of the weights of a file that were read into a model.

    Attributes:
        matched: keys of the model that were filled.
        missing: keys of the model that the file does not hold; they are as they were.
        unexpected: keys of the file that the model does not have.
        misshapen: keys of both, with the shape in the file and that in the model; they are as they were.
        cast: keys that were filled in another dtype, with the one in the file and that in the model.
    """

    matched: tuple[str, ...]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshapen: Mapping[str, tuple[Shape, Shape]] = field(default_factory=dict[str, tuple[Shape, Shape]])
    cast: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])

    @property
    def whole(self) -> bool:
        """Whether all weights of the file went into all of the model."""
        return not (self.missing or self.unexpected or self.misshapen)

    def __str__(self) -> str:
        lines = [f"{len(self.matched)} matched"]
        rows: dict[str, Sequence[str]] = {
            "missing, left as they were": self.missing,
            "unexpected, not read": self.unexpected,
            "of another shape, left as they were": _pairs(self.misshapen),
            "cast": _pairs(self.cast),
        }
        for words, keys in rows.items():
            lines += [f"{len(keys)} {words}", *(f"  {printable(key)}" for key in keys)] if keys else []
        return "\n".join(lines)


def compared(model: Mapping[str, Outline], file: Mapping[str, Outline], first: Callable[[str], str]) -> Loaded:
    """Which weights of a file fit into a model.

    Args:
        model: the shape and the dtype of each weight of the model by key.
        file: the same of the file, each under its first key.
        first: the key under which the file holds what stands under a key of the model.
    """
    held = {key: file[first(key)] for key in model if first(key) in file}
    firsts = {first(key) for key in held}
    matched = tuple(key for key, (shape, _) in held.items() if shape == model[key][0])
    return Loaded(
        matched,
        tuple(key for key in model if key not in held),
        tuple(key for key in file if key not in firsts),
        {key: (shape, model[key][0]) for key, (shape, _) in held.items() if key not in matched},
        {key: (held[key][1], model[key][1]) for key in matched if held[key][1] != model[key][1]},
    )


def misfit(path: str, found: Loaded, kind: str = "model") -> FileError:
    """The error of a strict reading: keys or shapes differ."""
    got = str(found).replace("\n", "\n       ")
    fix = f"build the model alike, or fill what fits: wye.load_weights({kind}, path, strict=False)"
    return FileError("the weights of the file are not those of the model.", path, got, fix)


def _pairs(found: Mapping[str, tuple[object, object]]) -> list[str]:
    return [f"{key}: {of_file} in the file, {of_model} in the model" for key, (of_file, of_model) in found.items()]
