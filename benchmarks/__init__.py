"""Figures of wye against code written by hand: `python -m benchmarks [group ...]`."""

import os

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # before torch is imported, else its profiler writes to the terminal
