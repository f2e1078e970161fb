"""Prints every figure with its limit; the exit status does not depend on them."""

from __future__ import annotations

import gc
import sys
import time

import torch

from . import (
    axes,
    balance,
    edges,
    elr,
    graphs,
    idle,
    join,
    keep,
    keras_rows,
    loops,
    skipped,
    start,
    switch,
    table_ema,
    tiles,
    towers,
    watch,
    when,
)
from .memory import warm_heap
from .table import table
from .timing import versions

GROUPS = {
    "start": ("import wye in an empty Python, as the caller waits", start.rows),
    "skipped": ("a skipped block over one call of an empty module, CPU time", skipped.rows),
    "when": ("When per sample over its block on the full batch, forward and backward", when.rows),
    "samples": ("When per sample over a loop over samples, forward and backward", when.by_sample),
    "switch": ("Switch over one branch on the full batch, forward and backward", switch.rows),
    "while": ("While per sample over the sum of its steps, forward and backward", loops.while_rows),
    "graphs": ("graphs that a random depth is captured in, a count", graphs.rows),
    "idle": ("a training step with the hooks of idle weights over one without", idle.rows),
    "watch": ("a training step that is watched over one that is not", watch.rows),
    "memory": ("what a long run that is watched adds to the process, in MB", watch.memory),
    "keep": ("saving and loading over safetensors and a sha256 of the same bytes, CPU time", keep.rows),
    "join": ("Join over the module written by hand, CPU time", join.rows),
    "product": ("a product of matrices by named axes over a @ b.T, forward and backward", axes.product_rows),
    "balance": ("terms balanced at shared features over their plain sum, forward and backward", balance.rows),
    "edges": ("losses over the edges of a graph over the plain ways, forward and backward", edges.rows),
    "table": ("targets as large as the dataset, updated in each step, CPU time", table_ema.rows),
    "elr": ("digits with 40 % wrong labels, early learning over cross-entropy", elr.rows),
    "towers": ("glyphs and names held out, recall of two towers by label over by position, five seeds", towers.rows),
    "keras_fit": ("fit on Keras over the same model written in keras.ops, a step", keras_rows.fit_rows),
    "keras_losses": ("losses on Keras over the same in keras.ops, forward and backward", keras_rows.loss_rows),
    "keras_flow": (
        "Switch over all branches and a choice, When over its block on the full batch, in a tf.function",
        keras_rows.flow_rows,
    ),
    "tiles": ("contrastive losses in tiles over the plain forms, forward and backward", tiles.rows),
    "axes": ("named axes over the fastest form written by hand, forward and backward", axes.rows),
}


def main(names: list[str]) -> None:
    unknown = [name for name in names if name not in GROUPS]
    if unknown:
        raise SystemExit(f"no group {unknown[0]!r}: choose from {' '.join(GROUPS)}")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warm_heap()
    began = time.perf_counter()
    print(versions("torch", "keras", "tensorflow", "tensorflow-cpu", "jax", "numpy"))
    for name in names or GROUPS:
        title, rows = GROUPS[name]
        if "torch._dynamo" in sys.modules:
            torch._dynamo.reset()
        gc.collect()  # nets of the group before would still be asked at every optimizer step
        print(f"\n{table(title, rows())}", flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
