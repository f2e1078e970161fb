"""The law of texts: each gives a value or a FormulaError in four parts, soon, whatever it says.

How soon is counted in calls of functions, not in seconds: a count is the same on every machine.
"""

from __future__ import annotations

import resource
import sys
from random import Random
from typing import Any

import numpy as np
import pytest
import torch

import wye
from tests.laws import named_values, random_shapes
from tests.laws.hostile_named import HOSTILE
from tests.laws.hostile_texts import hostile
from wye.errors import FormulaError

CALLS = 2_000_000  # of functions, for one text; 2,001 characters of hostility take 534,000
ROOM = 512 * 2**10  # KiB that the process may grow by, over thousands of texts


def _part(*values: Any, **_: Any) -> Any:
    return values[0] if values else torch.ones(2)


def given(seed: int = 1) -> dict[str, Any]:
    """Values under every name that the texts read, some of them not tensors."""
    rng = np.random.default_rng(seed)
    named = {**random_shapes.values(seed), **named_values.values(seed)}
    small: dict[str, Any] = {
        "x": rng.normal(size=(3, 4)),
        "y": rng.normal(size=(3, 4)),
        "s": rng.normal(size=(4, 4)),
        "w": rng.normal(size=3),
        "z": np.asarray(0.5),
        "n": np.asarray([0, 3, 1]),
        "m": rng.random((3, 4)) < 0.5,
    }
    tensors = {name: torch.from_numpy(np.asarray(value)) for name, value in {**named, **small}.items()}
    return {**tensors, "out": (torch.ones(2), torch.ones(3)), "f": _part}


class Calls:
    """How many functions are called within its block, those written in C too."""

    def __enter__(self) -> Calls:
        self.count = 0
        sys.setprofile(self._called)
        return self

    def _called(self, frame: object, event: str, what: object) -> None:
        self.count += event in ("call", "c_call")

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)


def outcome(text: str, values: dict[str, Any]) -> FormulaError | None:
    """The refusal, if there is one; anything else that is raised is a failure of the law."""
    try:
        wye.evaluate(text, **values)
    except FormulaError as error:
        return error
    return None


@pytest.mark.long
def test_any_text_gives_a_value_or_says_why_not() -> None:
    """20,000 texts; warnings are errors here, as everywhere."""
    random, values, refused = Random(9), given(), 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(20_000):
        text = hostile(random)
        try:
            with Calls() as calls:
                error = outcome(text, values)
        except Exception as wrong:
            raise AssertionError(f"{wrong!r} for {text!r}") from wrong
        assert calls.count < CALLS, text
        if error is not None:
            refused += 1
            assert all((error.what, error.where, error.got, error.fix)), f"{text!r}: {error}"
            assert "^" in str(error), text
    assert 5_000 < refused < 19_500
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < ROOM


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_by_name(name: str) -> None:
    text, fragment = HOSTILE[name]
    values = given()
    with Calls() as calls:
        error = outcome(text, values)
    assert calls.count < CALLS
    assert error is not None, "it gave a value"
    assert fragment in str(error), str(error)
    assert all((error.what, error.where, error.got, error.fix)), str(error)


def test_sub_formulas_nest_32_deep() -> None:
    parts = {f"a{place}": f"a{place + 1} + 1" for place in range(200)}
    with pytest.raises(FormulaError, match="nest at most 32 deep"):
        wye.Join("a0", **parts)
    assert wye.Join("a0", **{f"a{place}": f"a{place + 1} + 1" for place in range(30)})(torch.zeros(())) == 30


@pytest.mark.parametrize("name", "type half to forward self _modules training float _self _0 _k1 f_exp Tensor".split())
def test_inputs_may_be_named_like_what_is_inside(name: str) -> None:
    """A value called like an attribute of modules or like the inside of generated code is only a value."""
    if name.startswith("_"):
        with pytest.raises(FormulaError, match="starts with a letter"):
            wye.evaluate(f"{name} + 1", **{name: torch.ones(2)})
        return
    assert wye.evaluate(f"exp({name}) - exp({name}) + {name}", **{name: torch.ones(2)}).tolist() == [1, 1]
    join = wye.Join(f"{name} * 2 + beta", beta=0.5)
    assert join(torch.ones(2)).tolist() == [2.5, 2.5]
    if name != "self":  # Python's own: a module's `__call__` takes it
        assert join(**{name: torch.ones(2)}).tolist() == [2.5, 2.5]


def test_callers_tensors_stay_as_they_are() -> None:
    values = given()
    before = {name: value.clone() for name, value in values.items() if isinstance(value, torch.Tensor)}
    random = Random(10)
    for _ in range(500):
        outcome(hostile(random), values)
    assert all(torch.equal(values[name], value) for name, value in before.items())
