"""Measures one group on the backend that KERAS_BACKEND names, and prints its rows as JSON on the last line."""

from __future__ import annotations

import json
import sys
from dataclasses import astuple

import keras
import numpy as np

from . import keras_fit, keras_flow, keras_losses

GROUPS = {"fit": keras_fit.rows, "losses": keras_losses.rows, "flow": keras_flow.rows}


def warm_heap() -> None:
    """Grows the heap once, so that nobody pays for memory that the system takes back and gives again."""
    large = np.ones(31 * 2**17)
    del large
    many = [np.ones(2**17) for _ in range(200)]
    del many


def main(group: str) -> None:
    keras.utils.set_random_seed(0)
    warm_heap()
    print(json.dumps([astuple(row) for row in GROUPS[group]()]))


if __name__ == "__main__":
    main(sys.argv[1])
