"""Values with named axes for random formulas, and all ways in which they can be written.

Values have capital names, axes small ones. An axis has one size wherever it stands; `a` is as long as `b`, `j` as
long as `i`. With `rest`, the axis `b` is written `...` and stands for any number of dimensions.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Names = frozenset[str]
NONE: Names = frozenset()

SIZES = {"b": 3, "a": 3, "k": 4, "t": 2, "d": 5, "i": 6, "j": 6}
FLOATS = {
    **{"X": (3, 4), "P": (3, 4), "Y": (4, 3), "W": (3,), "V": (4,), "C": (3, 2, 5), "E": (4, 5)},
    **{"M": (2, 5), "S": (6, 6), "U": (6,), "Q": (6, 5), "R": (6, 5), "T": (3, 6, 5), "Z": ()},
}
INDICES = {"I": ((3,), 4), "J": ((3, 2), 4), "K": ((6,), 3), "L": ((2,), 5), "N": ((4,), 5)}
MASKS = {"A": (3, 4), "B": (3,), "D": (3, 2), "G": (6, 6), "H": (4,), "O": (2, 5)}


def values(seed: int, rest: tuple[int, ...] = (3,)) -> dict[str, Array]:
    """Fixed values for every name; `rest` are the sizes that the axis `b` stands for."""
    rng = np.random.default_rng(seed)

    def shape(sizes: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(one for size in sizes for one in (rest if size == SIZES["b"] else (size,)))

    found: dict[str, Array] = {name: rng.normal(size=shape(sizes)) for name, sizes in FLOATS.items()}
    found["P"] = np.exp(found["P"] / 2)
    found |= {name: rng.integers(0, most, shape(sizes)) for name, (sizes, most) in INDICES.items()}
    found |= {name: rng.random(shape(sizes)) < 0.7 for name, sizes in MASKS.items()}
    return {name: np.asarray(value) for name, value in found.items()}


@cache
def written(kind: str, rest: bool) -> dict[Names, list[str]]:
    """For each set of names all values of a kind (`float index mask pick`) that have just these."""
    shapes = {"float": FLOATS, "index": {name: sizes for name, (sizes, _) in INDICES.items()}, "mask": MASKS}
    found: dict[Names, list[str]] = defaultdict(list)
    if kind == "pick":
        for name, sizes in FLOATS.items():
            for place, size in enumerate(sizes):
                for names in namings(sizes[:place] + sizes[place + 1 :], rest):
                    for entry, axes in entries(size, rest):
                        own = [*names[:place], entry, *names[place:]]
                        found[frozenset(names) | axes].append(f"{name}[{', '.join(own)}]")
        found[frozenset("i")] += ["S[i, i]", "S[j, i][i, i]", "S[i, size(i) - 1 - i]"]
        return found
    for name, sizes in shapes[kind].items():
        for names in namings(sizes, rest):
            found[frozenset(names)].append(f"{name}[{', '.join(names)}]" if names else name)
    return found


def namings(sizes: tuple[int, ...], rest: bool) -> Iterable[tuple[str, ...]]:
    """All ways to name dimensions of these sizes, each name once."""
    known = [name for name in SIZES if not (rest and name == "a")]
    choices = [[name for name in known if SIZES[name] == size] for size in sizes]
    return (names for names in itertools.product(*choices) if len(set(names)) == len(names))


def entries(size: int, rest: bool) -> Iterable[tuple[str, Names]]:
    """What picks from an axis of a size: a number, a size, an index."""
    if rest and size == SIZES["b"]:
        return
    yield str(size - 1), NONE
    for name in SIZES:
        if SIZES[name] == size and not (rest and name == "a"):
            yield f"size({name}) - 1", NONE
    for name, (sizes, most) in INDICES.items():
        if most == size:
            for names in namings(sizes, rest):
                yield f"{name}[{', '.join(names)}]", frozenset(names)
