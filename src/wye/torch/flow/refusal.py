"""Errors that reach the user from within a capture as well."""

from __future__ import annotations

from typing import NoReturn

from ...errors import FlowError, WyeError


def refuse(what: str, where: str, got: str, fix: str, kind: type[WyeError] = FlowError) -> NoReturn:
    """Raises, from within a capture too: marked as a constant, Dynamo runs it, and the message comes through."""
    raise kind(what, where, got, fix)


refuse._dynamo_marked_constant = True  # type: ignore[attr-defined]
