"""Errors of a run on Keras, told in the words of the formula."""

from __future__ import annotations

from types import CodeType

from ..formula import failures

CURES = (
    (
        "same device",
        "the values lie on different devices.",
        "make all of them under one keras.device(...)",
    ),
    ("same dtype", "the values are of different dtypes.", "cast one of them: cast(value, dtype='float32')"),
    ("out of range", "an index is out of range.", "give whole numbers from 0 to the size of the axis - 1"),
    ("out of bounds", "an index is out of range.", "give whole numbers from 0 to the size of the axis - 1"),
)


def explained(error: Exception, code: CodeType, text: str, calls: frozenset[tuple[int, int]]) -> Exception:
    """The error to raise instead; see `wye.formula.failures`."""
    if type(error).__module__.startswith("tensorflow"):  # errors of its own kinds, none of which is Python's
        error = RuntimeError(str(error)).with_traceback(error.__traceback__)
    return failures.explained(error, code, text, calls, CURES)
