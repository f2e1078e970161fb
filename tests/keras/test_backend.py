"""What is said where Keras or its backend is missing; and that the front chooses none, and loads none of its own."""

from __future__ import annotations

import pytest

from tests.keras.fresh import answered, ran
from tests.keras.plain import BACKEND

# In a fresh process, packages that are installed are looked for in vain.
HIDING = """
import sys
from importlib.machinery import PathFinder
found = PathFinder.find_spec
hidden = sys.argv[1].split()
PathFinder.find_spec = lambda name, *given, **more: (
    None if name.partition(".")[0] in hidden else found(name, *given, **more)
)
"""
IMPORTED = (
    HIDING
    + """
try:
    import wye.keras
except ImportError as error:
    print(f"{type(error).__name__}: {error}")
"""
)
HEAD = "BackendError: Keras has no backend to compute with.\n  in:  import wye.keras\n  got: "
CASES = {
    "no Keras": (
        "keras",
        BACKEND,
        "BackendError: Keras is not installed.\n  in:  import wye.keras\n  got: no package `keras`\n"
        '  fix: pip install "wye[keras]" tensorflow, or jax or torch in the place of tensorflow\n',
    ),
    "no backend": (
        "tensorflow jax torch",
        "",
        f"{HEAD}no KERAS_BACKEND, and Keras's own choice is tensorflow; installed: none\n"
        "  fix: pip install one of tensorflow, jax and torch, and set KERAS_BACKEND to its name\n",
    ),
    "another one than Keras's own choice": (
        "tensorflow jax",
        "",
        f"{HEAD}no KERAS_BACKEND, and Keras's own choice is tensorflow; installed: torch\n"
        "  fix: before Keras is imported, set KERAS_BACKEND=torch\n",
    ),
    "not the one that is named": (
        "jax",
        "jax",
        f"{HEAD}KERAS_BACKEND='jax'; installed: tensorflow, torch\n"
        "  fix: before Keras is imported, set KERAS_BACKEND=tensorflow\n",
    ),
    "a name that is none": (
        "tensorflow",
        "theano",
        f"{HEAD}KERAS_BACKEND='theano'; installed: jax, torch\n"
        "  fix: before Keras is imported, set KERAS_BACKEND=jax\n",
    ),
}


@pytest.mark.skipif(BACKEND != "jax", reason="no backend of this process plays a part: once is enough")
@pytest.mark.parametrize("case", CASES)
def test_what_is_missing_is_said(case: str) -> None:
    hidden, named, message = CASES[case]
    status, output, errors = ran(IMPORTED, hidden, backend=named)
    assert (status, output) == (0, message), errors


def test_no_backend_is_chosen_and_none_is_loaded_but_by_keras() -> None:
    code = (
        "import json, os, sys; import {}; kinds = {{'tensorflow', 'jax', 'torch'}}; "
        "loaded = set(sys.modules); named = os.environ.get('KERAS_BACKEND'); "
        "print(json.dumps([named, sorted(kinds & loaded), 'wye.torch' in loaded]))"
    )
    named, loaded, other_front = answered(code.format("wye.keras"))
    assert (named, other_front) == (BACKEND, False)
    assert loaded == answered(code.format("keras"))[1]
    if BACKEND == "tensorflow":  # Keras's own choice
        assert answered(code.format("wye.keras"), backend="")[0] is None
