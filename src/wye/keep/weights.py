"""`Loaded`: which weights of a file went into a model, and which did not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Shape = tuple[int, ...]


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
            lines += [f"{len(keys)} {words}", *(f"  {key}" for key in keys)] if keys else []
        return "\n".join(lines)


def _pairs(found: Mapping[str, tuple[object, object]]) -> list[str]:
    return [f"{key}: {of_file} in the file, {of_model} in the model" for key, (of_file, of_model) in found.items()]
