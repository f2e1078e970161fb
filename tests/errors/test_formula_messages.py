"""Whole messages of texts that are no formula, and of formulas made from formulas."""

from __future__ import annotations

from pathlib import Path

import pytest

import wye
from wye import Formula, Schedule

HERE = Path(__file__).parent
NAMES = {"Formula": Formula, "Schedule": Schedule}


def cases(name: str) -> list[tuple[str, str]]:
    """Each case: a line after `>>> `, and the message that follows it."""
    blocks = (HERE / name).read_text().removesuffix("\n").split("\n\n")
    return [(first[4:], rest) for first, _, rest in (block.partition("\n") for block in blocks) if first[:4] == ">>> "]


def whole(error: wye.WyeError) -> str:
    assert all((error.what, error.where, error.got, error.fix))
    return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize(("text", "message"), cases("grammar_messages.txt"))
def test_a_text_that_is_no_formula(text: str, message: str) -> None:
    with pytest.raises(wye.FormulaError) as caught:
        Formula(eval(text))
    assert whole(caught.value) == message


@pytest.mark.parametrize(("call", "message"), cases("formula_messages.txt"))
def test_a_formula_that_cannot_be_made(call: str, message: str) -> None:
    with pytest.raises(wye.WyeError) as caught:
        eval(call, dict(NAMES))
    assert whole(caught.value) == message
