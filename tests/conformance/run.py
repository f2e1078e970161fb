"""All cases on one front, in a process of its own: `KERAS_BACKEND=jax python -m tests.conformance.run jax`.

It prints the counts of what was compared and what was wrong as JSON, and ends with an error if anything was.
"""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.collector import settle
from tests.conformance.backends import BACKENDS, Backend
from tests.conformance.cases import CASES, VALUES, Case
from tests.conformance.flow_run import empty_nodes, node_cases
from tests.conformance.oracle import expected, far, furthest, given, value, weights_of
from tests.laws.drawing import REFUSED, cases, on_arrays, told
from wye.errors import WyeError

RANDOM = {"front": 300, "tensorflow": 300, "jax": 120, "torch": 300}
SEED = 7

FUNCTIONAL = (
    "mean(w[b] * (x[b, k] - y[b, k]) ** 2)",
    "x * y + 1",
    "g[a, b] = sum(x[a, k] * y[b, k], k)\ng",
    "x[b, i[b]]",
    "q[b, t, i[b]] / size(b)",
    "mean(q[b, t, k] * x[b, k] * w[b], b, t)",
    "softmax(x[b, k], b, where=m[b, k])",
    "cross_entropy(x, i, label_smoothing=0.125)",
    "where(b == 0, w[b], 0)",
    "mse(x, y) + norm(x - y)",
)
REFUSED_TEXTS = (Path(__file__).with_name("refused.txt")).read_text(encoding="utf-8").splitlines()

Report = dict[str, Any]


def written_cases(backend: Backend) -> Iterator[str]:
    """Each case in eager and captured as a graph of unknown sizes; on JAX compiled alone."""
    ways = ("", "graph") if "graph" in backend.captured else tuple(backend.captured) or ("",)
    for case in CASES:
        want, values = expected(case), given(case)
        for capture in ways:
            try:
                found, gradients = backend.run(case.text, values, partial(weights_of, case), capture=capture)
            except Exception as error:
                yield f"{case.text}\n{type(error).__name__}: {error}"
                continue
            pairs = [(gradients[name], want.gradients[name]) for name in want.gradients]
            if far(found, want.value, backend.value) or any(far(*pair, backend.gradient) for pair in pairs):
                off = f"value {found}\nwanted {want.value}\ngradients off by {furthest(pairs)}"
                yield f"{case.text}{f' ({capture})' if capture else ''}\n{off}"
            else:
                yield ""


def random_formulas(backend: Backend, name: str) -> Iterator[str]:
    """Random formulas, some of them wrong: the value of the reference, or refused by both."""
    part = along_the_first(name)
    tolerance = backend.value if backend.value < 1e-6 else 1e-4
    for case in itertools.islice(cases(RANDOM[name], SEED), RANDOM[name]):
        want = told(on_arrays, case.text, case.values)
        try:
            # Some refusals depend on entries, which a captured graph does not know.
            found = backend.value_of(case.text, case.values, part, eager=isinstance(want, str))
        except WyeError:
            found = REFUSED
        if isinstance(want, str) or isinstance(found, str):
            same = isinstance(want, str) and isinstance(found, str)
        else:
            ours, theirs = (value if isinstance(value, tuple) else (value,) for value in (found, want))
            same = len(ours) == len(theirs) and not any(
                far(one if isinstance(one, int | float) else backend.array(one), other, tolerance)
                for one, other in zip(ours, theirs, strict=True)
            )
        yield "" if same else f"{case.text}\nfound {found}\nwanted {want}"


def along_the_first(name: str) -> Callable[[Any], Any]:
    """The part `f` of random formulas: sums along the first axis, which tell the order of the axes."""
    if name == "front":
        from torch import cumsum
    else:
        from keras.ops import cumsum
    return lambda x: cumsum(x, 0) if len(x.shape) else x


def symbols(backend: Backend) -> Iterator[str]:
    """Each case on symbols: the shape and the dtype of the run, as far as they can be known."""
    from keras import KerasTensor

    for case in CASES:
        tensors = {name: backend.tensor(value) for name, value in given(case).items()}
        found = backend.outline(partial(backend.evaluate, case.text), tensors)
        for known in (True, False):
            shapes = {name: one.shape if known else (None,) * len(one.shape) for name, one in tensors.items()}
            inputs = {name: KerasTensor(tuple(shapes[name]), dtype_of(one)) for name, one in tensors.items()}
            try:
                symbol = backend.evaluate(case.text, **inputs)
            except Exception as error:
                yield f"{case.text} on symbols\n{type(error).__name__}: {error}"
                continue
            shape, wanted = tuple(symbol.shape), tuple(found.shape)
            fits = len(shape) == len(wanted) and all(
                ours == size or (ours is None and not known) for ours, size in zip(shape, wanted, strict=True)
            )
            same = fits and dtype_of(symbol, backend.narrow) == dtype_of(found, backend.narrow)
            yield "" if same else f"{case.text}\n{symbol} for {wanted} of {found.dtype}"


def dtype_of(x: Any, narrow: bool = False) -> str:
    from keras import backend

    name: str = backend.standardize_dtype(x.dtype)
    return {"float64": "float32", "int64": "int32"}.get(name, name) if narrow else name


def functional(backend: Backend) -> Iterator[str]:
    """Formulas as steps of a functional model of an unknown batch: called, and loaded from a file."""
    import keras

    shapes = {"x": (4,), "y": (4,), "w": (), "q": (2, 4), "i": (), "m": (4,)}
    values = {name: backend.tensor(VALUES[name]) for name in shapes}
    dtypes = {name: keras.backend.standardize_dtype(value.dtype) for name, value in values.items()}
    inputs = {name: keras.Input(shape, dtype=dtypes[name], name=name) for name, shape in shapes.items()}
    model = keras.Model(inputs, [backend.evaluate(text, **inputs) for text in FUNCTIONAL])
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.keras")
        loaded: Any = keras.models.load_model(f"{folder}/model.keras")
    for text, one, other in zip(FUNCTIONAL, model(values), loaded(values), strict=True):
        want = value(Case(text), {name: VALUES[name] for name in shapes})
        wrong = far(backend.array(one), want, 1e-5) or far(backend.array(other), backend.array(one), 0)
        yield f"{text}\nfound {one}, loaded {other}\nwanted {want}" if wrong else ""


def refusals(backend: Backend) -> Iterator[str]:
    """Values that do not fit are refused in the words of the torch front."""
    import torch

    import wye

    for text in REFUSED_TEXTS:
        tensors = {name: backend.tensor(value) for name, value in given(Case(text)).items()}
        alike = {name: torch.from_numpy(np.array(backend.array(one))) for name, one in tensors.items()}
        ours, theirs = words(backend.evaluate, text, tensors), words(wye.evaluate, text, alike)
        yield "" if ours == theirs and theirs else f"{text}\nfound {ours}\nwanted {theirs}"


def words(evaluate: Callable[..., Any], text: str, values: dict[str, Any]) -> str:
    try:
        evaluate(text, **values)
    except WyeError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def report(name: str) -> Report:
    backend = BACKENDS[name]()
    settle()
    sections: dict[str, Iterator[str]] = {
        "cases": written_cases(backend),
        "random": random_formulas(backend, name),
        "nodes": node_cases(backend, name),
        "empty": empty_nodes(backend, name),
    }
    if name != "front":
        sections |= {
            "symbols": symbols(backend),
            "functional": functional(backend),
            "refusals": refusals(backend),
        }
    told_of = {kind: list(found) for kind, found in sections.items()}
    return {
        kind: {"passed": found.count(""), "wrong": [one for one in found if one]} for kind, found in told_of.items()
    }


if __name__ == "__main__":
    found = report(sys.argv[1])
    print(json.dumps(found))
    sys.exit(any(one["wrong"] for one in found.values()))
