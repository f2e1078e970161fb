"""The shapes that contrastive losses take."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .check import Check
from .shapes import UNKNOWN, Shape

EQUAL = frozenset({"clip_loss", "siglip_loss", "nt_xent"})
"""Losses of which both sides have as many rows."""


class ExactContrast(Check):
    """Rows of features on both sides, a label for each row, a weight for each pair."""

    def verify(self, shapes: Sequence[Shape]) -> None:
        name, roles = str(self.facts[0]), tuple(map(str, self.facts[1]))  # type: ignore[call-overload]
        known = dict(zip(roles, shapes, strict=True))
        for number in ("temperature", "bias"):
            if number in known and math.prod(known[number]) != 1:
                what = f"`{number}` of `{name}` is one number."
                raise self.error(what, self.described(shapes), f"give one for all: mean({self.word(roles, number)})")
        sides = [(role, shape) for role, shape in known.items() if role in ("a", "b", "query", "key", "x")]
        for role, shape in sides:
            if len(shape) != 2:
                what = f"`{name}` takes rows of features."
                word = self.word(roles, role)
                fix = f"name two axes of {word}, or flatten the others: one row for each sample"
                raise self.error(what, self.described(shapes), fix)
        (_, rows), (_, columns) = sides[0], sides[-1]
        if rows[1] != columns[1]:
            what = "both sides have as many features."
            raise self.error(what, self.described(shapes), "bring them to one size first: a linear layer on each")
        if name in EQUAL and rows[0] != columns[0]:
            what = f"`{name}` takes pairs: as many rows on both sides."
            raise self.error(what, self.described(shapes), "give them in pairs; queries against more keys: info_nce")
        self._others(name, known, shapes, rows[0], columns[0])

    def _others(self, name: str, known: dict[str, Shape], shapes: Sequence[Shape], rows: int, columns: int) -> None:
        fewer = rows is not UNKNOWN and columns is not UNKNOWN and rows > columns
        if fewer and name == "info_nce" and not {"label", "target"} & known.keys():
            what = "key i belongs to query i, and there are fewer keys than queries."
            raise self.error(what, self.described(shapes), "give label=... and key_label=..., or target=...")
        wanted: dict[str, Shape] = {"label": (rows,), "key_label": (columns,), "target": (rows, columns)}
        for role, shape in wanted.items():
            if role in known and known[role] != shape:
                what = f"`{role}` of `{name}` has the shape {shape}."
                fix = "give one weight for each pair of rows" if role == "target" else "give one label for each row"
                raise self.error(what, self.described(shapes), fix)

    def word(self, roles: Sequence[str], role: str) -> str:
        return self.words(roles.index(role))
