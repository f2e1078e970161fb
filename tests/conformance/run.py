"""All cases on one front, in a process of its own: `KERAS_BACKEND=jax python -m tests.conformance.run jax`.

It prints the counts of what was compared and what was wrong as JSON, and ends with an error if anything was.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from tests.conformance.backends import BACKENDS, Backend
from tests.conformance.cases import CASES
from tests.conformance.oracle import expected, far, furthest, given, weights_of
from tests.laws.drawing import REFUSED, cases, on_arrays, told
from wye.errors import WyeError

RANDOM = {"front": 300, "tensorflow": 300, "jax": 40, "torch": 300}
SEED = 7

Report = dict[str, Any]


def written_cases(backend: Backend) -> Iterator[str]:
    """Each case in eager, then captured as a graph where the framework does that."""
    for case in CASES:
        want, values = expected(case), given(case)
        for capture in (False, True) if backend.captured else (False,):
            try:
                value, gradients = backend.run(case.text, values, partial(weights_of, case), capture=capture)
            except Exception as error:
                yield f"{case.text}\n{type(error).__name__}: {error}"
                continue
            pairs = [(gradients[name], want.gradients[name]) for name in want.gradients]
            if far(value, want.value, backend.value) or any(far(*pair, backend.gradient) for pair in pairs):
                off = f"value {value}\nwanted {want.value}\ngradients off by {furthest(pairs)}"
                yield f"{case.text}{' (captured)' if capture else ''}\n{off}"
            else:
                yield ""


def random_formulas(backend: Backend, count: int) -> Iterator[str]:
    """Random formulas, some of them wrong: the value of the reference, or refused by both."""
    tolerance = backend.value if backend.value < 1e-6 else 1e-4
    for case in itertools.islice(cases(count, SEED), count):
        want = told(on_arrays, case.text, case.values)
        try:
            found = backend.value_of(case.text, case.values, f=along_the_first(backend))
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


def along_the_first(backend: Backend) -> Callable[[Any], Any]:
    """The part `f` of random formulas: sums along the first axis, which tell the order of the axes."""
    return lambda x: backend.tensor(np.cumsum(backend.array(x), 0)) if len(x.shape) else x


def report(name: str) -> Report:
    backend = BACKENDS[name]()
    told_of = {
        "cases": list(written_cases(backend)),
        "random": list(random_formulas(backend, RANDOM[name])),
    }
    return {
        kind: {"passed": found.count(""), "wrong": [one for one in found if one]} for kind, found in told_of.items()
    }


if __name__ == "__main__":
    found = report(sys.argv[1])
    print(json.dumps(found))
    sys.exit(any(one["wrong"] for one in found.values()))
