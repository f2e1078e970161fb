"""Whole messages kept in a text: each call stands behind `>>> `, its message below it, an empty line between two."""

from __future__ import annotations

from pathlib import Path

import wye


def cases(name: str) -> list[tuple[str, str]]:
    """The calls and messages of a file beside this one."""
    blocks = Path(__file__).with_name(name).read_text().removesuffix("\n").split("\n\n")
    assert any(block.startswith(">>> ") for block in blocks), f"{name} holds no call"
    return [(call, message) for call, _, message in (b.partition("\n") for b in blocks if b.startswith(">>> "))]


def check(error: wye.WyeError, message: str) -> None:
    """The message to the letter, and none of its four parts missing."""
    assert f"{type(error).__name__}: {error}" == message
    assert all((error.what, error.where, error.got, error.fix))
