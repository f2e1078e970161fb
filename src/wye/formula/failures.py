"""Errors of a run, told in the words of the formula."""

from __future__ import annotations

from collections.abc import Sequence
from types import CodeType, TracebackType

from ..errors import FormulaError, KernelError, Place, RangeError, WyeError

OURS = (RuntimeError, IndexError, TypeError, ValueError, ArithmeticError, AttributeError, NotImplementedError)
Cures = Sequence[tuple[str, str, str]]
"""Words of a framework's message, what is wrong then, and the cure."""


def explained(
    error: Exception, code: CodeType, text: str, calls: frozenset[tuple[int, int]], cures: Cures
) -> Exception:
    """The error to raise instead; the same one where it comes from within a part.

    Args:
        error: what the generated function raised.
        code: the code of that function.
        text: the text that it was made from.
        calls: the places of calls of parts.
        cures: what the framework's messages mean.
    """
    if isinstance(error, WyeError) or not isinstance(error, (*OURS, KernelError)):
        return error
    span = where(error.__traceback__, code, text)
    if span is None or (span in calls and not isinstance(error, KernelError)):
        return error
    place = Place(text, *span)
    if isinstance(error, KernelError):
        return error.kind(error.what, place, error.got, error.fix)
    message = str(error).partition("\n")[0] or type(error).__name__
    for sign, what, cure in cures:
        if sign in message:
            return (RangeError if "index" in what else FormulaError)(what, place, message, cure)
    return FormulaError("the values cannot be computed with here.", place, message, "check their dtypes and shapes")


def where(traceback: TracebackType | None, code: CodeType, text: str) -> tuple[int, int] | None:
    """The stretch of the text that was being computed."""
    found: tuple[int, int] | None = None
    while traceback is not None:
        if traceback.tb_frame.f_code is code:
            line, end_line, column, end_column = list(code.co_positions())[traceback.tb_lasti // 2]
            starts = [0]
            for one in text.split("\n"):
                starts.append(starts[-1] + len(one) + 1)
            if line is not None and end_line is not None and column is not None and end_column is not None:
                found = (starts[line - 1] + column, starts[end_line - 1] + end_column)
        traceback = traceback.tb_next
    return found
