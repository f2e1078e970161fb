"""Reads the models of a folder in a process that knows no class of theirs: run by `test_fresh.py`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

import wye


def report(folder: Path, name: str) -> dict[str, Any]:
    """What a file gives: its outputs are written beside it, and the model is saved again."""
    from tests.unit.keep.running import run

    model = wye.load(folder / f"{name}.safetensors")
    wye.save(model, folder / f"{name}.again.safetensors")
    keys = {key: [list(one.shape), str(one.dtype)] for key, one in model.state_dict().items()}
    still = sorted(key for key, one in model.named_parameters() if not one.requires_grad)
    given = torch.load(folder / f"{name}.inputs.pt", weights_only=True)
    torch.save(run(model, given), folder / f"{name}.found.pt")
    resting = sorted(path for path, one in model.named_modules() if not one.training)
    return {"keys": keys, "still": still, "resting": resting, "repr": repr(model)}


def main(folder: Path) -> None:
    reports: dict[str, Any] = {}
    for name in json.loads((folder / "names.json").read_text()):
        reports[name] = report(folder, name)
    loaded = sorted(name for name in sys.modules if name.startswith("examples"))
    (folder / "found.json").write_text(json.dumps({"reports": reports, "loaded": loaded}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
