"""The most that a formula can be, where its text says so."""

from __future__ import annotations

import pytest

from wye.formula.bounds import most_of
from wye.formula.formula import Formula

SAID = {
    "clamp(n, 0, 8)": 8,
    "clamp(n, low=0, high=8)": 8,
    "clamp(n, high=8)": 8,
    "clamp(n, 2)": None,  # that is the lower bound
    "clamp(n, 2, high=8)": 8,
    "min(n, 8)": 8,
    "min(8, n, 5)": 5,
    "max(n, 8)": None,
    "die(0, 3)": 3,
    "floor(min(n, 3.7))": 3,
    "round(min(n, 3.7))": 4,
    "round(min(n, 3.2))": 3,
    "relu(round(clamp(n, 0, 2.6)))": 3,
    "cast(min(n, 3.7), dtype='int32')": 3,
    "n": None,
    "n, m": None,
}


@pytest.mark.parametrize("text", SAID)
def test_the_bound_is_what_the_text_says(text: str) -> None:
    assert most_of(Formula(text).program) == SAID[text]


def test_a_part_of_the_name_of_a_function_says_nothing() -> None:
    assert most_of(Formula("min(n, 8)").program, {"min"}) is None
    assert most_of(Formula("min(n, 8)").program, {"norm"}) == 8
