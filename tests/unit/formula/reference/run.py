"""One call for the tests: a text, its values by keyword, and what it comes to."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from wye.formula.grammar import parse
from wye.formula.reference import evaluate

RANDOM = np.random.default_rng(5)


def value(
    text: str,
    /,
    *,
    formulas: Mapping[str, str] | None = None,
    context: Collection[str] = (),
    strict: bool = True,
    **values: object,
) -> Any:
    """The value of a text on the given values."""
    named = {name: (parse(own), own) for name, own in (formulas or {}).items()}
    return evaluate(parse(text), values, text, formulas=named, context=frozenset(context), strict=strict)


def drawn(*shape: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Standard normal values."""
    return RANDOM.normal(size=shape)


def same(left: object, right: object) -> None:
    """Both are alike in shape, and in value to the last digits of float64."""
    assert np.shape(left) == np.shape(right)  # type: ignore[arg-type]
    np.testing.assert_allclose(np.asarray(left), np.asarray(right), rtol=1e-12, atol=1e-12)
