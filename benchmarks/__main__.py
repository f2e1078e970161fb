"""Prints every figure with its limit; the exit status does not depend on them."""

from __future__ import annotations

import sys
import time

import torch

from . import axes, flow, join, start
from .table import table
from .timing import versions

GROUPS = {
    "start": ("import wye in an empty Python, as the caller waits", start.rows),
    "flow": ("a skipped block over one call of an empty module, CPU time", flow.rows),
    "join": ("Join over the module written by hand, CPU time", join.rows),
    "product": ("a product of matrices by named axes over a @ b.T, forward and backward", axes.product_rows),
    "axes": ("named axes over the fastest form written by hand, forward and backward", axes.rows),
}


def main(names: list[str]) -> None:
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        raise SystemExit(f"no group {unknown[0]!r}: choose from {' '.join(GROUPS)}")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    began = time.perf_counter()
    print(versions())
    for name in names or GROUPS:
        title, rows = GROUPS[name]
        print(f"\n{table(title, rows())}", flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
