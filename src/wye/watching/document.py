"""The account of a run for programs: one JSON document.

    {"wye": "watch", "format": 1, "steps": 200, "skipped": 0, "every": 50, "elements": 256,
     "nodes":   {"deep": {"title": "When control > 0.5", "paths": ["then", "passed"], "apart": ["then", "passed"]}},
     "paths":   {"deep.then": {"calls": 99, "samples": 3120}},
     "modules": {"deep.then.0": {"calls": 99, "samples": 3120}},
     "ways":    [{"modules": ["0", "deep.then.0"], "calls": 99, "samples": 6336}],
     "unseen":  [], "strangers": 0,
     "weights": {"deep.then.0.weight": {
         "size": 4096, "steps": 200, "none": 101, "zero": 0, "nonzero": 99,
         "reasons": {"When control > 0.5 sent no sample": 101}, "zero_reasons": {},
         "moved": 41.2, "by_gradient": 40.1, "by_momentum": 3.5, "by_decay": 0.0, "exact": false,
         "moved_without": 0, "written": 0, "looked": 8,
         "movement": [{"step": 0, "gradient": 0.3, "momentum": 0.0, "decay": 0.0}]}},
     "terms":   {"ce": {"since": 0, "until": null, "value": [{"step": 0, "is": 2.3}], "weight": [], "share": []}},
     "terms_lack": "",
     "contexts": {"mask": {"shape": [64, 64], "dtype": "float32", "bytes": 16384}},
     "batch":   {"bytes": 8192, "entries": 2048}}

The names are those of `Account`, `Path` and `Weight`, which explain them. `by_…` is null where an optimizer cannot
be replayed. Numbers that are not finite are null too, so that every reader of JSON can read it.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from .account import Account, Path, Term, Weight

FORMAT = 1


def document(seen: Account) -> str:
    """The account as text; one line a weight keeps it readable and short."""
    whole = {
        "wye": "watch",
        "format": FORMAT,
        "steps": seen.steps,
        "skipped": seen.skipped,
        "every": seen.every,
        "elements": seen.elements,
        "nodes": {
            name: {"title": node.title, "paths": list(node.paths), "apart": list(node.apart)}
            for name, node in seen.junctions.items()
        },
        "paths": _counts(seen.paths),
        "modules": _counts(seen.modules),
        "ways": [{"modules": list(way), "calls": n.calls, "samples": n.samples} for way, n in seen.ways.items()],
        "unseen": list(seen.unseen),
        "strangers": seen.strangers,
        "weights": {key: _weight(weight) for key, weight in seen.weights.items()},
        "terms": {name: _term(term) for name, term in seen.terms.items()},
        "terms_lack": seen.terms_lack,
        "contexts": {
            name: {"shape": list(one.shape), "dtype": one.dtype, "bytes": one.bytes}
            for name, one in seen.contexts.items()
        },
        "batch": {"bytes": seen.batch.bytes, "entries": seen.batch.entries},
    }
    return json.dumps(finite(whole), indent=1, allow_nan=False)


def _counts(paths: Mapping[str, Path]) -> dict[str, dict[str, int]]:
    return {name: {"calls": path.calls, "samples": path.samples} for name, path in paths.items()}


def _weight(weight: Weight) -> dict[str, Any]:
    plain = ("size", "steps", "none", "zero", "nonzero", "moved_without", "written", "looked")
    told = ("moved", "by_gradient", "by_momentum", "by_decay", "exact")
    return {
        **{name: getattr(weight, name) for name in plain},
        "reasons": dict(weight.reasons),
        "zero_reasons": dict(weight.zero_reasons),
        **{name: getattr(weight, name) for name in told},
        "movement": [
            dict(zip(("step", "gradient", "momentum", "decay"), (step, *parts), strict=True))
            for step, parts in weight.movement
        ],
    }


def _term(term: Term) -> dict[str, Any]:
    numbers = {"value": term.value, "weight": term.weight, "share": term.share}
    return {
        "since": term.since,
        "until": term.until,
        **{name: [{"step": step, "is": value} for step, (value,) in one] for name, one in numbers.items()},
    }


def finite(value: Any) -> Any:
    """The same with None in place of numbers that JSON does not know."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list):
        return [finite(one) for one in value]  # pyright: ignore[reportUnknownVariableType]
    return value


def written(text: str, path: str | os.PathLike[str] | None) -> str:
    """The text, in a file too where there is a path."""
    if path is not None:
        FilePath(path).write_text(text, encoding="utf-8")
    return text
