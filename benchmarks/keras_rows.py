"""The front on Keras: each backend in a process of its own, for Keras has one in each."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from .table import Row

BACKENDS = ("tensorflow", "jax", "torch")
LIMITED = ("tensorflow", "jax")
"""Those whose rows have limits; torch has a front of its own, and is shown."""
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "",
    "JAX_PLATFORMS": "cpu",
}


def fit_rows() -> list[Row]:
    return [row for backend in BACKENDS for row in measured(backend, "fit")]


def loss_rows() -> list[Row]:
    return [row for backend in BACKENDS for row in measured(backend, "losses")]


def flow_rows() -> list[Row]:
    return measured("tensorflow", "flow")


def measured(backend: str, group: str) -> list[Row]:
    """The rows of one backend, measured in a process that prints them as JSON on its last line."""
    environment = {**os.environ, **ONE_THREAD, "KERAS_BACKEND": backend}
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.keras_process", group],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise RuntimeError(f"{group} on {backend}:\n{run.stderr}")
    rows = [Row(*fields) for fields in json.loads(run.stdout.splitlines()[-1])]
    return [
        Row(f"{backend}: {row.name}", row.ratio, row.limit if backend in LIMITED else None, row.note) for row in rows
    ]
