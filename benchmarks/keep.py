"""Saving and loading a model, over safetensors and a sha256 of the same bytes."""

from __future__ import annotations

import hashlib
import mmap
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

import wye

from .table import Row, milliseconds
from .timing import interleaved

LIMIT = 1.2
Make = Callable[[], wye.Chain]


def layers(depth: int = 32, width: int = 1024) -> wye.Chain:
    return wye.Chain(*(nn.Linear(width, width) for _ in range(depth)))


def nodes(depth: int = 16, width: int = 1024) -> wye.Chain:
    """Each layer within a formula, half of them beneath conditions."""
    joins = [wye.Join("x + relu(layer(x))", layer=nn.Linear(width, width)) for _ in range(depth)]
    return wye.Chain(*(wye.When("norm(x) > 1", one) if place % 2 else one for place, one in enumerate(joins)))


def digest(path: Path) -> str:
    """The sha256 of a file by the quickest way there is: of its pages in memory, which are not copied."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        return hashlib.sha256(pages).hexdigest()


@contextmanager
def folder() -> Iterator[Path]:
    """In memory where there is such a place: what is measured is what the processor does, not a disk."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as name:
        yield Path(name)


def rows() -> list[Row]:
    with folder() as place:
        return [*measured("32 layers, 134 MB", layers, place, LIMIT), *measured("16 nodes, 67 MB", nodes, place, None)]


def measured(title: str, make: Make, place: Path, limit: float | None) -> list[Row]:
    """Saving, and loading against two peers.

    Both hash the file and read its tensors, which safetensors leaves in the file until somebody needs them; the
    second one also builds the model by its code, without first values, and gives it the tensors.
    """
    net, ours, peer = make(), place / "ours", place / "peer"

    def saved() -> None:
        save_file(net.state_dict(), peer)
        digest(peer)

    def read() -> dict[str, torch.Tensor]:
        digest(peer)
        return load_file(peer)

    def rebuilt() -> wye.Chain:
        with torch.device("meta"):
            again = make()
        again.load_state_dict(read(), assign=True)
        return again

    saving = interleaved({"ours": lambda: wye.save(net, ours), "peer": saved}, seconds=10)
    loading = interleaved({"ours": lambda: wye.load(ours), "read": read, "rebuilt": rebuilt}, seconds=10)
    times = {name: milliseconds(loading.median(name)) for name in loading.seconds}
    note = f"{milliseconds(saving.median('ours'))} against {milliseconds(saving.median('peer'))}"
    return [
        Row(f"save, {title}", saving.ratio("ours", "peer"), LIMIT, note),
        Row(f"load, {title}", loading.ratio("ours", "read"), limit, f"{times['ours']} against {times['read']}"),
        Row("  over a model that is built too", loading.ratio("ours", "rebuilt"), LIMIT, f"against {times['rebuilt']}"),
    ]
