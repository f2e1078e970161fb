"""What one slip of the pen does: each single axis name of each formula, written wrongly.

`python -m tests.field.slips` writes the list of slips that nothing notices and prints their rate.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import wye
from tests.field.entry import as_tuple
from tests.field.gallery import GALLERY, Entry

FRESH = "zz"
SILENT = Path(__file__).with_name("silent_slips.txt")


@dataclass(frozen=True)
class Slip:
    """One formula with one axis name replaced by a name that stands nowhere else."""

    entry: Entry
    occurrence: int
    text: str

    def __str__(self) -> str:
        return "\t".join([self.entry.name, str(self.occurrence), self.text.replace("\n", "; ")])


def bound_names(tree: ast.Module) -> set[str]:
    """The names that the lines of a formula bind."""
    targets: list[ast.expr] = []
    for line in tree.body:
        if isinstance(line, ast.Assign):
            target = line.targets[0]
            targets += target.elts if isinstance(target, ast.Tuple) else [target]
    bare = [target.value if isinstance(target, ast.Subscript) else target for target in targets]
    return {target.id for target in bare if isinstance(target, ast.Name)}


def axis_places(entry: Entry) -> list[tuple[int, int, int]]:
    """Line, start and end of every axis name: within brackets, in reductions, as a position, in size()."""
    tree = ast.parse(entry.text)
    values = set(entry.recipe) | bound_names(tree)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called]
    axes = [node for node in names if node.id not in values]
    return sorted((node.lineno - 1, node.col_offset, node.col_offset + len(node.id)) for node in axes)


def slips(entry: Entry) -> Iterator[Slip]:
    """Every text that differs from the formula by one axis name."""
    for occurrence, (row, start, end) in enumerate(axis_places(entry)):
        lines = entry.text.split("\n")
        lines[row] = lines[row][:start] + FRESH + lines[row][end:]
        yield Slip(entry, occurrence, "\n".join(lines))


def is_silent(slip: Slip, right: tuple[Tensor, ...]) -> bool:
    """Whether a slip gives another value and no error.

    A loss that is a scalar no longer is noticed too: no objective takes it.
    """
    try:
        got = as_tuple(wye.evaluate(slip.text, **slip.entry.inputs()))
    except wye.WyeError:
        return False
    if right[0].ndim == 0 and got[0].ndim > 0:
        return False
    return not all(a.shape == b.shape and torch.allclose(a, b, rtol=1e-9) for a, b in zip(right, got, strict=True))


def silent_slips() -> tuple[list[Slip], int]:
    """The slips that nothing notices, and the number of places tried."""
    silent: list[Slip] = []
    places = 0
    for entry in GALLERY:
        right = as_tuple(entry.plain(**entry.inputs()))
        for slip in slips(entry):
            places += 1
            if is_silent(slip, right):
                silent.append(slip)
    return silent, places


if __name__ == "__main__":
    found, tried = silent_slips()
    SILENT.write_text("".join(f"{slip}\n" for slip in found))
    print(f"{len(found)} of {tried} slips in {len(GALLERY)} formulas go unnoticed: {len(found) / tried:.4f}")
