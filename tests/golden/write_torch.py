"""Writes golden files of the torch front that are not there yet: `python -m tests.golden.write_torch 1`.

A file that is there is never written again, and none of an old format: there is nobody left who could.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import wye
from tests.unit.keep.kept import OWN, losses
from tests.unit.keep.running import run

FOLDER = Path(__file__).parent


def plain(tensor: Tensor) -> np.ndarray:
    """In a dtype that NumPy has."""
    return (tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor).numpy()


def main(format: int) -> None:
    folder = FOLDER / f"torch_format_{format}"
    folder.mkdir(exist_ok=True)
    for name, make in {**{one.__name__: one for one in OWN}, **losses()}.items():
        if (folder / f"{name}.npz").exists():
            continue
        torch.manual_seed(23)
        model, given = make()
        wye.save(model, folder / f"{name}.safetensors")
        inputs = {f"given.{key}": plain(value) for key, value in given.items()}
        keys = np.array(list(model.state_dict()))
        found = {f"found.{place}": plain(value) for place, value in enumerate(run(model, given))}
        np.savez_compressed(folder / f"{name}.npz", keys=keys, **inputs, **found)


if __name__ == "__main__":
    main(int(sys.argv[1]))
