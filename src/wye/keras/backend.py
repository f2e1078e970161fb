"""Keras and its backend, looked for when this package is first imported; which one is the user's to say."""

from __future__ import annotations

import os
from importlib.util import find_spec

from ..errors import BackendError

BACKENDS = ("tensorflow", "jax", "torch")


def missing() -> BackendError | None:
    """What is not there; None where Keras fails for another reason."""
    if find_spec("keras") is None:
        fix = 'pip install "wye[keras]" tensorflow, or jax or torch in the place of tensorflow'
        return BackendError("Keras is not installed.", "import wye.keras", "no package `keras`", fix)
    installed = [name for name in BACKENDS if find_spec(name) is not None]
    wanted = os.environ.get("KERAS_BACKEND", "")
    if wanted in installed:
        return None
    got = f"KERAS_BACKEND={wanted!r}" if wanted else "no KERAS_BACKEND, and Keras's own choice is tensorflow"
    if installed:
        fix = f"before Keras is imported, set KERAS_BACKEND={installed[0]}"
    else:
        fix = "pip install one of tensorflow, jax and torch, and set KERAS_BACKEND to its name"
    some = f"; installed: {', '.join(installed) or 'none'}"
    return BackendError("Keras has no backend to compute with.", "import wye.keras", got + some, fix)


try:
    import keras as keras
except (ImportError, ValueError) as error:
    found = missing()
    if found is None:
        raise
    raise found from error
